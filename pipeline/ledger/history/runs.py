"""The runs, who holds which job, and how a run is opened again."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import orjson

from pipeline.errors import LedgerError, SettingsError
from pipeline.ledger.records import InputRecord, NewRun, Phase, RunRecord, RunState
from pipeline.model import Api, Export

_COLUMNS = ", ".join({"phase": "act"}.get(f.name, f.name) for f in fields(RunRecord))


def bind_account(connection: sqlite3.Connection, name: str, merchant: str, generation: int) -> int:
    """
    Return the number that the account has in a generation, which the config calls `name`.

    `holder` says who that is at the platform. Raises LedgerError when the name stood for somebody else before: what
    was delivered for one account says nothing of another.
    """
    known = account_no_of(connection, name, merchant, generation)
    asked = (name, generation)
    named = connection.execute("SELECT 1 FROM accounts WHERE name = ? AND generation = ?", asked).fetchone()
    if named is None:
        cursor = connection.execute(
            "INSERT INTO accounts (name, holder, generation) VALUES (?, ?, ?)", (name, merchant, generation)
        )
        return known or int(cursor.lastrowid or 0)
    return known or 0


def account_no_of(connection: sqlite3.Connection, name: str, merchant: str, generation: int) -> int | None:
    """Return the number of an account, None where nothing is known of its holder; raise as `bind_account` does."""
    line = connection.execute("SELECT holder FROM accounts WHERE name = ? LIMIT 1", (name,)).fetchone()
    if line is not None and line[0] != merchant:
        raise LedgerError(
            f"the ledger keeps account {name} as {line[0]}, the config now says {merchant}; "
            "name another ledger in [ledger] url, or give the other account a name of its own"
        )
    (first,) = connection.execute(
        "SELECT min(account_no) FROM accounts WHERE holder = ? AND generation = ?", (merchant, generation)
    ).fetchone()
    return None if first is None else int(first)


def begin(connection: sqlite3.Connection, new: NewRun, account_no: int) -> RunRecord:
    """Write a new run, in its first act."""
    connection.execute(
        "INSERT INTO runs (run_id, job, export, api, account, account_no, parent, options, act, limit_per_s,"
        " started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (new.run_id, new.job, new.export, new.api, new.account, account_no, new.parent,
         orjson.dumps(dict(new.options)).decode(), Phase.STAGING, new.limit_per_s, new.started_at),
    )  # fmt: skip
    return find(connection, new.run_id)


def _record(line: Sequence[object]) -> RunRecord:
    named = dict(zip((f.name for f in fields(RunRecord)), line, strict=True))
    named["export"], named["api"] = Export(str(named["export"])), Api(str(named["api"]))
    named["phase"] = Phase(str(named["phase"]))
    named["state"] = None if named["state"] is None else RunState(str(named["state"]))
    named["options"] = orjson.loads(str(named["options"]))
    named["waits"] = orjson.loads(str(named["waits"]))
    return RunRecord(**named)  # type: ignore[arg-type] # the columns are the fields


_DID_NOTHING = (
    "coalesce(exit_code = 2 AND act = 'staging', 0)"
    " OR (state IS NOT NULL AND json_extract(options, '$.only') IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM rows AS w WHERE w.run_no = r.run_no))"
)


def find(connection: sqlite3.Connection, wanted: str) -> RunRecord:
    """
    Return the run with this id, with a unique prefix of its id, or the `last`; else raise SettingsError.

    The last one is the last that did something: it was not refused for its inputs, and is no rerun without rows.
    """
    if wanted == "last":
        found = connection.execute(
            f"SELECT {_COLUMNS} FROM runs AS r ORDER BY {_DID_NOTHING}, run_no DESC LIMIT 1"
        ).fetchall()
    elif not wanted.isascii():
        # An id is ASCII, and SQLite can't be asked for what is no UTF-8.
        found = []
    else:
        found = connection.execute(
            f"SELECT {_COLUMNS} FROM runs WHERE substr(run_id, 1, length(?)) = ? ORDER BY run_no LIMIT 2",
            (wanted.upper(), wanted.upper()),
        ).fetchall()
    if len(found) == 1:
        return _record(found[0])
    what = "is the beginning of more than one run's id" if found else "is no run in this ledger"
    raise SettingsError([f"RUN {wanted!r} {what}; `backfill runs` lists them"])


def by_number(connection: sqlite3.Connection, run_no: int) -> RunRecord:
    """Return the run with this number, which there is."""
    return _record(connection.execute(f"SELECT {_COLUMNS} FROM runs WHERE run_no = ?", (run_no,)).fetchone())


def is_there(connection: sqlite3.Connection, run_no: int) -> bool:
    """Return whether there is a run with this number: it may have been pruned."""
    return connection.execute("SELECT 1 FROM runs WHERE run_no = ?", (run_no,)).fetchone() is not None


def recent(connection: sqlite3.Connection, limit: int) -> list[RunRecord]:
    """Return the newest runs, newest first."""
    lines = connection.execute(f"SELECT {_COLUMNS} FROM runs ORDER BY run_no DESC LIMIT ?", (limit,))
    return [_record(line) for line in lines]


def inputs(connection: sqlite3.Connection, run: RunRecord) -> list[InputRecord]:
    """Return the input files of a run, in the order they were read."""
    lines = connection.execute(
        "SELECT file_no, name, location, columns, rows, sha256, encoding FROM inputs WHERE run_no = ? ORDER BY file_no",
        (run.run_no,),
    )
    return [
        InputRecord(
            file_no=n, name=name, location=where, columns=tuple(orjson.loads(c)), rows=rows, sha256=sha, encoding=code
        )
        for n, name, where, c, rows, sha, code in lines
    ]


def input_locations(connection: sqlite3.Connection) -> list[str]:
    """Return where the inputs of all runs were found."""
    return [location for (location,) in connection.execute("SELECT DISTINCT location FROM inputs")]


def start_delivering(connection: sqlite3.Connection, run: RunRecord) -> None:
    """Enter the second act: all inputs are read."""
    connection.execute("UPDATE runs SET act = ? WHERE run_no = ?", (Phase.DELIVERING, run.run_no))


_STANDS = (
    "(SELECT v.state FROM deliveries AS v JOIN runs AS r ON r.account_no = v.account_no AND r.api = v.api"
    " WHERE r.run_no = dues.run_no AND v.identity = dues.identity AND v.digest = dues.digest)"
)
# What becomes of a due that the run did not reach: nothing, where its content was delivered otherwise; unknown, where
# an earlier attempt may have been applied; else it is unsent.
UNREACHED = (
    f"CASE {_STANDS} WHEN 'succeeded' THEN 'skipped' WHEN 'sending' THEN 'unknown' WHEN 'unknown' THEN 'unknown'"
    " ELSE 'unsent' END"
)
IS_DELIVERED = f"coalesce({_STANDS} = 'succeeded', 0)"


# Of the dues of a run: what it did not come to; and what it did not come to the end of.
NOT_REACHED = "status IS NULL"
LEFT_OPEN = "status IN ('unsent', 'blocked') OR (is_open AND status = 'unknown')"


def close_dues(
    connection: sqlite3.Connection, first: int, last: int, run: RunRecord, *, code: str, message: str
) -> None:
    """Settle whatever the run did not come to, from one row to another."""
    connection.execute(
        f"UPDATE dues SET status = {UNREACHED}, code = CASE WHEN {IS_DELIVERED} THEN 'already_succeeded' ELSE ? END,"
        f" message = CASE WHEN {IS_DELIVERED} THEN '' ELSE ? END, is_open = NOT {IS_DELIVERED}"
        f" WHERE run_no = ? AND row_no BETWEEN ? AND ? AND {NOT_REACHED}",
        (code, message, run.run_no, first, last),
    )


def move_ends_to_rows(connection: sqlite3.Connection, first: int, last: int, run: RunRecord) -> None:
    """Give rows the ends of their dues, from one row to another, and forget these: nothing is due any more."""
    rows = (run.run_no, first, last)
    connection.execute(
        "UPDATE rows SET (status, code, message) = (SELECT d.status, d.code, d.message FROM dues AS d"
        " WHERE d.run_no = rows.run_no AND d.row_no = rows.row_no"
        " ORDER BY d.status = 'unknown' DESC, d.status = 'unsent' DESC LIMIT 1)"
        " WHERE run_no = ? AND row_no BETWEEN ? AND ? AND status IS NULL",
        rows,
    )
    connection.execute("DELETE FROM dues WHERE run_no = ? AND row_no BETWEEN ? AND ?", rows)


def has_open_dues(connection: sqlite3.Connection, run: RunRecord) -> bool:
    """Return whether there is anything that the run did not come to, or not to the end of."""
    asked = "SELECT EXISTS (SELECT 1 FROM dues WHERE run_no = ? AND (status IS NULL OR is_open))"
    return bool(connection.execute(asked, (run.run_no,)).fetchone()[0])


def has_dues_to_resume(connection: sqlite3.Connection, run: RunRecord) -> bool:
    """Return whether a resume of the run would send anything."""
    asked = f"SELECT EXISTS (SELECT 1 FROM dues WHERE run_no = ? AND ({NOT_REACHED} OR {LEFT_OPEN}))"
    return bool(connection.execute(asked, (run.run_no,)).fetchone()[0])


def reopen(connection: sqlite3.Connection, run: RunRecord, options: Mapping[str, Any]) -> None:
    """
    Go on with a run that ended: in its first act, where it did not come to the end of that, else in its second.

    `options` are those that are given anew.
    """
    connection.execute(
        "UPDATE runs SET state = NULL, exit_code = NULL, reason = NULL, finished_at = NULL, act ="
        " CASE act WHEN 'concluded' THEN 'delivering' ELSE act END, options = ? WHERE run_no = ?",
        (orjson.dumps({**run.options, **options}).decode(), run.run_no),
    )


def reopen_dues(connection: sqlite3.Connection, first: int, last: int, run: RunRecord) -> None:
    """Make due again what the run left unsent, blocked or unfinished, from one row to another."""
    connection.execute(
        "UPDATE dues SET status = NULL, code = NULL, message = NULL, is_open = 0"
        f" WHERE run_no = ? AND row_no BETWEEN ? AND ? AND ({LEFT_OPEN})",
        (run.run_no, first, last),
    )


def record_progress(
    connection: sqlite3.Connection, run: RunRecord, done: Mapping[str, float], waits: Sequence[Mapping[str, Any]]
) -> None:
    """Add to what the run has done so far: throttled, elapsed_s, sending_s, and what it waited for."""
    all_waits = orjson.dumps([*find(connection, run.run_id).waits, *waits]).decode()
    connection.execute(
        "UPDATE runs SET throttled = throttled + :throttled, elapsed_s = elapsed_s + :elapsed_s,"
        " sending_s = sending_s + :sending_s, waits = :waits WHERE run_no = :run_no",
        {**done, "waits": all_waits, "run_no": run.run_no},
    )


def conclude(
    connection: sqlite3.Connection,
    run: RunRecord,
    *,
    state: RunState,
    reason: str | None,
    finished_at: str,
) -> RunRecord:
    """End the run's last act; a run that ended while it was staged is staged anew by `resume`."""
    connection.execute(
        "UPDATE runs SET act = CASE act WHEN 'staging' THEN act ELSE ? END, state = ?, reason = ?,"
        " finished_at = ?, concluded_at = ? WHERE run_no = ?",
        (Phase.CONCLUDED, state, reason, finished_at, finished_at, run.run_no),
    )
    return find(connection, run.run_id)


def finish(connection: sqlite3.Connection, run: RunRecord, exit_code: int) -> None:
    """Write down how the command ended."""
    connection.execute("UPDATE runs SET exit_code = ? WHERE run_no = ?", (exit_code, run.run_no))
