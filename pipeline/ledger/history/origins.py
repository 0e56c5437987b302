"""Origins: the row of an earlier run that a fixed row, or a row of a rerun, stands for."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

import orjson

from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.ledger.history.inputs import inputs_of
from pipeline.ledger.history.runs import with_numbers
from pipeline.ledger.records import ROW_BITS, Phase, RunRecord, position
from pipeline.ledger.store.port import Connection
from pipeline.tables.outcome_page import Outcome
from pipeline.tables.row_mark import RowMark

# The bits of a position that hold the number of a row in its run.
_ROW = (1 << ROW_BITS) - 1

# A row, by the number of its run and its number in the run.
RowId = tuple[int, int]

# Whether a run was pruned.
_IS_PRUNED = "SELECT 1 FROM known_traces WHERE name = ? AND run_no IS NOT NULL"
# The run with an id, if it is of an account, an API and an export.
_RUN = "SELECT run_no FROM runs WHERE run_id = ? AND account_no = ? AND api = ? AND export = ?"
# The fixed row of an earlier run that a row was recognised as.
_RECOGNISED_AS = "SELECT origin FROM contents WHERE variant = ? AND origin <> variant LIMIT 1"
# The number in its run of a row of a file: it is known exactly, or in a rerun at most.
_ROW_NO = "SELECT row_no FROM rows WHERE run_no = ? AND row_no {is_known_as} ? AND file_no = ? AND source_row = ?"
# The origins of some rows of a run.
_OF_FIX = "SELECT row_no, origin_run_no, origin_row_no FROM origins WHERE run_no = ? AND row_no BETWEEN ? AND ?"
# The same for a rerun: its dues keep the position of the row that was staged first, which may be a fixed row itself.
_OF_RERUN = f"""
SELECT d.row_no, coalesce(o.origin_run_no, d.position >> {ROW_BITS}), coalesce(o.origin_row_no, d.position & {_ROW})
FROM dues AS d
LEFT JOIN origins AS o ON o.run_no = d.position >> {ROW_BITS} AND o.row_no = d.position & {_ROW}
WHERE d.run_no = ? AND d.row_no BETWEEN ? AND ?
"""
# The cells of a row, and the columns of its file.
_CELLS = """
SELECT w.cells, i.columns FROM rows AS w JOIN inputs AS i USING (run_no, file_no) WHERE w.run_no = ? AND w.row_no = ?
"""
# The run and the file of a row, and its number there; for a skipped row by how many rows each file has.
_MARK = """
SELECT r.run_id, w.file_no, w.source_row FROM runs AS r JOIN rows AS w USING (run_no)
WHERE r.run_no = :run_no AND w.row_no = :row_no
UNION ALL
SELECT r.run_id, i.file_no, :row_no - i.before FROM runs AS r JOIN (
    SELECT run_no, file_no, rows, sum(rows) OVER (ORDER BY file_no) - rows AS before FROM inputs WHERE run_no = :run_no
) AS i USING (run_no)
WHERE :row_no > i.before AND :row_no <= i.before + i.rows LIMIT 1
"""
_INSERT = """
INSERT INTO origins (run_no, row_no, origin_run_no, origin_row_no) VALUES (?, ?, ?, ?)
ON CONFLICT (run_no, row_no) DO UPDATE
    SET origin_run_no = excluded.origin_run_no, origin_row_no = excluded.origin_row_no
"""
# Write the run of the first fixed row as the parent of a run.
_LINK = """
UPDATE runs SET parent = (
    SELECT r.run_id FROM origins AS o JOIN runs AS r ON r.run_no = o.origin_run_no
    WHERE o.run_no = :run_no ORDER BY o.row_no LIMIT 1
)
WHERE run_no = :run_no AND parent IS NULL
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """
    The first row that a fixed row stands for, with its cells in the order of the columns of its file.

    The cells are None if they were deleted, since the row is done.
    """

    run_no: int
    row_no: int
    columns: tuple[str, ...]
    cells: tuple[str | None, ...] | None = field(repr=False)


def find_origins(connection: Connection, run: RunRecord, marks: Iterable[str]) -> dict[str, Origin]:
    """
    Return the origin of each mark. A mark that names no row of the run's account, API and export is left out.

    Raises SettingsError if a mark names a run that is still to read its rows again, or that was pruned: a fixed row
    without its origin would count besides the row that it fixes.
    """
    by_run: dict[str, dict[str, RowMark]] = defaultdict(dict)
    for text in marks:
        if (mark := RowMark.read(text)) is not None:
            by_run[mark.run_id][text] = mark
    found: dict[str, Origin] = {}
    for run_id, named in by_run.items():
        _refuse_pruned(connection, run_id)
        numbers = connection.execute(_RUN, (run_id, run.account_no, run.api, run.export)).fetchall()
        for of_run in with_numbers(connection, (run_no for (run_no,) in numbers)):
            found |= _origins_in(connection, of_run, named)
    return found


def _refuse_pruned(connection: Connection, run_id: str) -> None:
    if connection.execute(_IS_PRUNED, (run_id,)).fetchone() is not None:
        raise SettingsError(
            [t("run {run_id}, whose rows are fixed here, was pruned; to send these rows like those of an "
"export, empty their cells _row", run_id=run_id)]
        )  # fmt: skip


def _origins_in(connection: Connection, run: RunRecord, marks: Mapping[str, RowMark]) -> dict[str, Origin]:
    row_nos = _row_nos(connection, run, set(marks.values()))
    numbers = row_nos.values()
    first = first_origins_between(connection, run, min(numbers), max(numbers)) if numbers else {}
    found: dict[str, Origin] = {}
    for text, mark in marks.items():
        if mark in row_nos:
            own = (run.run_no, row_nos[mark])
            row = first.get(row_nos[mark]) or _recognised_as(connection, own) or own
            found[text] = _read(connection, row)
    return found


def _recognised_as(connection: Connection, row: RowId) -> RowId | None:
    """Return the fixed row of an earlier run that a row was recognised as, if any."""
    line = connection.execute(_RECOGNISED_AS, (position(*row),)).fetchone()
    return None if line is None else (line[0] >> ROW_BITS, line[0] & _ROW)


def _row_nos(connection: Connection, run: RunRecord, marks: Iterable[RowMark]) -> dict[RowMark, int]:
    """Return the number in its run of each mark's row."""
    counts = {source.file_no: source.rows for source in inputs_of(connection, run)}
    before = dict(zip(counts, accumulate(counts.values(), initial=0), strict=False))
    # A run numbers its rows as it reads them. A rerun has only some of them.
    query = _ROW_NO.format(is_known_as="<=" if run.is_rerun else "=")
    found: dict[RowMark, int] = {}
    for mark in marks:
        guess = before.get(mark.file_no, 0) + mark.source_row
        line = connection.execute(query, (run.run_no, guess, mark.file_no, mark.source_row)).fetchone()
        if line is not None:
            found[mark] = line[0]
        elif run.phase is Phase.STAGING:
            raise SettingsError(
                [
                    t(
                        "run {run_id}, whose rows are fixed here, is not read to its end; resume it before this",
                        run_id=run.run_id,
                    )
                ]
            )
        elif not run.is_rerun and mark.source_row <= counts.get(mark.file_no, 0):
            # The row was skipped: it has no line of its own.
            found[mark] = guess
    return found


def first_origins_between(connection: Connection, run: RunRecord, first: int, last: int) -> dict[int, RowId]:
    """Return the first origins of the rows from `first` to `last`, where they are other rows."""
    found = connection.execute(_OF_RERUN if run.is_rerun else _OF_FIX, (run.run_no, first, last))
    return {row_no: (origin_run_no, origin_row_no) for row_no, origin_run_no, origin_row_no in found}


def _read(connection: Connection, row: RowId) -> Origin:
    cells, columns = connection.execute(_CELLS, row).fetchone() or (None, "[]")
    return Origin(*row, tuple(orjson.loads(columns)), None if cells is None else tuple(orjson.loads(cells)))


def _first_mark(connection: Connection, run: RunRecord, row_no: int) -> str | None:
    """Return the mark of a row's first origin; None if it is the row itself, or its run was pruned."""
    origin = first_origins_between(connection, run, row_no, row_no).get(row_no)
    if origin is None:
        return None
    line = connection.execute(_MARK, {"run_no": origin[0], "row_no": origin[1]}).fetchone()
    return None if line is None else str(RowMark(*line))


def mark_of(connection: Connection, run: RunRecord, row_no: int, outcome: Outcome) -> str:
    """Return the mark of a row: it names the row's first origin, see `RowMark`."""
    return _first_mark(connection, run, row_no) or str(RowMark(run.run_id, outcome.file_no, outcome.source_row))


def write_origins(connection: Connection, run: RunRecord, origins: Mapping[int, RowId]) -> None:
    """Write the origins of rows, by their number in the run."""
    connection.executemany(_INSERT, ((run.run_no, row_no, *origin) for row_no, origin in origins.items()))


def link_run(connection: Connection, run: RunRecord) -> None:
    """Make the run of the first fixed row the parent of a run, if it has none."""
    connection.execute(_LINK, {"run_no": run.run_no})
