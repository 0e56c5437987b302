"""Which row of an earlier run a row stands for: a fixed row for the one that was fixed, a rerun's for its parent's."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import orjson

from pipeline.ledger.records import ROW_BITS, RunRecord
from pipeline.ledger.runs import by_number
from pipeline.row_mark import RowMark

_ROW = (1 << ROW_BITS) - 1

# A row, by the numbers of its run and in its run.
RowId = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Origin:
    """The row that a fixed row stands for, the first of all; with its cells, in the order of its file's columns."""

    run_no: int
    row_no: int
    columns: tuple[str, ...]
    cells: tuple[str | None, ...] = field(repr=False)


def find_origins(connection: sqlite3.Connection, run: RunRecord, marks: Iterable[str]) -> dict[str, Origin]:
    """
    Return what marks stand for; one that names no row to fix, of the run's account, API and export, is left out.
    """
    read = {text: mark for text in marks if (mark := RowMark.read(text)) is not None}
    by_run: dict[str, dict[str, RowMark]] = defaultdict(dict)
    for text, mark in read.items():
        by_run[mark.run_id][text] = mark
    found: dict[str, Origin] = {}
    for run_id, named in by_run.items():
        run_no = _run_no(connection, run, run_id)
        if run_no is not None:
            found |= _origins_in(connection, run_no, named)
    return found


def _run_no(connection: sqlite3.Connection, run: RunRecord, run_id: str) -> int | None:
    line = connection.execute(
        "SELECT run_no FROM runs WHERE run_id = ? AND account_no = ? AND api = ? AND export = ?",
        (run_id, run.account_no, run.api, run.export),
    ).fetchone()
    return None if line is None else int(line[0])


def _origins_in(connection: sqlite3.Connection, run_no: int, marks: Mapping[str, RowMark]) -> dict[str, Origin]:
    run = by_number(connection, run_no)
    row_nos = _row_nos(connection, run, set(marks.values()))
    first = first_origins(connection, run, sorted(set(row_nos.values())))
    found: dict[str, Origin] = {}
    for text, mark in marks.items():
        row_no = row_nos.get(mark)
        if row_no is None:
            continue
        # A run that was pruned has no rows any more: then the row itself is the first that is known.
        origin = _read(connection, first.get(row_no, (run_no, row_no))) or _read(connection, (run_no, row_no))
        if origin is not None:
            found[text] = origin
    return found


def _row_nos(connection: sqlite3.Connection, run: RunRecord, marks: Iterable[RowMark]) -> dict[RowMark, int]:
    """Return the numbers of rows in their run."""
    inputs = connection.execute("SELECT file_no, rows FROM inputs WHERE run_no = ? ORDER BY file_no", (run.run_no,))
    counts = dict(inputs.fetchall())
    before = dict(zip(counts, accumulate(counts.values(), initial=0), strict=False))
    # A run numbers the rows that it reads one after another. A rerun has taken some of them.
    compared = "<=" if run.is_rerun else "="
    found: dict[RowMark, int] = {}
    for mark in marks:
        line = connection.execute(
            f"SELECT row_no FROM rows WHERE run_no = ? AND row_no {compared} ? AND file_no = ? AND source_row = ?",
            (run.run_no, before.get(mark.file_no, 0) + mark.source_row, mark.file_no, mark.source_row),
        ).fetchone()
        if line is not None:
            found[mark] = line[0]
    return found


def first_origins(connection: sqlite3.Connection, run: RunRecord, row_nos: Sequence[int]) -> dict[int, RowId]:
    """Return the first origin of each of these rows of a run, where it is another row; they are in order."""
    if not row_nos:
        return {}
    between = first_origins_between(connection, run, row_nos[0], row_nos[-1])
    return {row_no: between[row_no] for row_no in row_nos if row_no in between}


def first_origins_between(connection: sqlite3.Connection, run: RunRecord, first: int, last: int) -> dict[int, RowId]:
    """Return the first origin of the rows of a run from one to another, where it is another row."""
    found = connection.execute(_OF_RERUN if run.is_rerun else _OF_FIX, (run.run_no, first, last))
    return {row_no: (origin_run_no, origin_row_no) for row_no, origin_run_no, origin_row_no in found}


_OF_FIX = "SELECT row_no, origin_run_no, origin_row_no FROM origins WHERE run_no = ? AND row_no BETWEEN ? AND ?"
# Dues of a rerun keep the place of the row that was staged first, which may be a fixed row itself.
_OF_RERUN = (
    f"SELECT d.row_no, coalesce(o.origin_run_no, d.position >> {ROW_BITS}),"
    f" coalesce(o.origin_row_no, d.position & {_ROW})"
    f" FROM dues AS d LEFT JOIN origins AS o ON o.run_no = d.position >> {ROW_BITS} AND o.row_no = d.position & {_ROW}"
    " WHERE d.run_no = ? AND d.row_no BETWEEN ? AND ?"
)


def _read(connection: sqlite3.Connection, row: RowId) -> Origin | None:
    line = connection.execute(
        "SELECT w.cells, i.columns FROM rows AS w JOIN inputs AS i USING (run_no, file_no)"
        " WHERE w.run_no = ? AND w.row_no = ? AND w.cells IS NOT NULL",
        row,
    ).fetchone()
    return None if line is None else Origin(*row, tuple(orjson.loads(line[1])), tuple(orjson.loads(line[0])))


def first_mark(connection: sqlite3.Connection, run: RunRecord, row_no: int) -> str | None:
    """Return the mark of a row's first origin; None where it is its own, or not known any more."""
    origin = first_origins_between(connection, run, row_no, row_no).get(row_no)
    line = (
        origin
        and connection.execute(
            "SELECT r.run_id, w.file_no, w.source_row FROM rows AS w JOIN runs AS r USING (run_no)"
            " WHERE w.run_no = ? AND w.row_no = ?",
            origin,
        ).fetchone()
    )
    return str(RowMark(*line)) if line else None


def write_origins(connection: sqlite3.Connection, run: RunRecord, origins: Mapping[int, RowId]) -> None:
    """Tie rows of a run, by their numbers in it, to their origins."""
    connection.executemany(
        "INSERT OR REPLACE INTO origins (run_no, row_no, origin_run_no, origin_row_no) VALUES (?, ?, ?, ?)",
        ((run.run_no, row_no, *origin) for row_no, origin in origins.items()),
    )


def link_run(connection: sqlite3.Connection, run: RunRecord) -> None:
    """Let a run that fixes rows name the run of the first of them as its parent."""
    connection.execute(
        "UPDATE runs SET parent = (SELECT r.run_id FROM origins AS o JOIN runs AS r ON r.run_no = o.origin_run_no"
        " WHERE o.run_no = ?1 ORDER BY o.row_no LIMIT 1) WHERE run_no = ?1 AND parent IS NULL",
        (run.run_no,),
    )
