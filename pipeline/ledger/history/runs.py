"""Runs and accounts: a run's line in the ledger from its begin to its exit code, and how runs are found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from itertools import repeat
from typing import Any

import orjson

from pipeline.errors import LedgerError, SettingsError
from pipeline.language import t
from pipeline.ledger.records import NewRun, Phase, RunRecord, RunState
from pipeline.ledger.store.port import Connection, json_of
from pipeline.model import Api, Export

# Runs among which a misspelt one is looked for, and the cutoff of difflib: an id with 2 wrong characters passes.
_RECENT_RUNS = 20
_NEAR = 0.7

# The columns of a `RunRecord`. The column `act` is the phase.
_COLUMNS = ", ".join({"phase": "act"}.get(f.name, f.name) for f in fields(RunRecord))

# Characters of a short run id at least. They change each second.
_SHORTEST_ID = 8
# Whom an account name stands for, in any generation.
_MERCHANT = "SELECT holder FROM accounts WHERE name = ? LIMIT 1"
_MERCHANT_OF_ACCOUNT = "SELECT holder FROM accounts WHERE account_no = ?"
# The first number of a merchant in a generation.
_ACCOUNT_NO = "SELECT min(account_no) FROM accounts WHERE holder = ? AND generation = ?"
# Whether an account name is known in a generation.
_IS_NAMED = "SELECT 1 FROM accounts WHERE name = ? AND generation = ?"
_INSERT_ACCOUNT = "INSERT INTO accounts (name, holder, generation) VALUES (?, ?, ?) RETURNING account_no"
_INSERT = """
INSERT INTO runs (run_id, job, export, api, account, account_no, parent, options, act, limit_per_s, started_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# The last run that did something: it was not refused for its inputs, and is no rerun without rows.
_LAST = f"""
SELECT {_COLUMNS} FROM runs AS r
ORDER BY CASE WHEN exit_code = 2 AND act = 'staging' OR (
    state IS NOT NULL AND options ->> 'only' IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM rows AS w WHERE w.run_no = r.run_no)
) THEN 1 ELSE 0 END, run_no DESC LIMIT 1
"""
# Two runs at most whose id begins with a text.
_BY_PREFIX = f"SELECT {_COLUMNS} FROM runs WHERE substr(run_id, 1, length(?)) = ? ORDER BY run_no LIMIT 2"
# The runs with some numbers, oldest first.
_WITH_NUMBERS = (
    f"SELECT {_COLUMNS} FROM runs WHERE run_no IN (SELECT CAST(value AS BIGINT) FROM json_each(?)) ORDER BY run_no"
)
_BY_ID = f"SELECT {_COLUMNS} FROM runs WHERE run_id = ?"
# The runs for a day, oldest first.
_ON_DAY = f"SELECT {_COLUMNS} FROM runs WHERE options ->> 'date' = ? ORDER BY run_no"
# The ids that begin with a text.
_IDS_FROM = "SELECT run_id FROM runs WHERE substr(run_id, 1, length(?)) = ?"
# The last run of a job that completed and read its inputs itself. Reruns and fixes have a parent.
_LAST_COMPLETED = f"""
SELECT {_COLUMNS} FROM runs WHERE job = ? AND state = 'completed' AND parent IS NULL ORDER BY run_no DESC LIMIT 1
"""
# The newest runs, newest first. `_ALL` is the limit where there is none: PostgreSQL takes no negative one.
_ALL = (1 << 63) - 1
_RECENT = f"SELECT {_COLUMNS} FROM runs ORDER BY run_no DESC LIMIT ?"
# The newest run of a job.
_LAST_OF_JOB = f"SELECT {_COLUMNS} FROM runs WHERE job = ? ORDER BY run_no DESC LIMIT 1"
# Open a run again: in staging, if it ended there, else in delivering.
_REOPEN = """
UPDATE runs SET state = NULL, exit_code = NULL, reason = NULL, finished_at = NULL,
    act = CASE act WHEN 'concluded' THEN 'delivering' ELSE act END, options = ?
WHERE run_no = ?
"""
# Add to the totals of a run.
_ADD_PROGRESS = """
UPDATE runs SET throttled = throttled + :throttled, elapsed_s = elapsed_s + :elapsed_s,
    sending_s = sending_s + :sending_s, waits = :waits
WHERE run_no = :run_no
"""
# End a run. One that ends while staging stays in that phase: `resume` stages it again.
_CONCLUDE = """
UPDATE runs SET act = CASE act WHEN 'staging' THEN act ELSE ? END, state = ?, reason = ?,
    finished_at = ?, concluded_at = ?
WHERE run_no = ?
"""


def bind_account(connection: Connection, name: str, merchant: str, generation: int) -> int:
    """
    Return the number of the account that the config calls `name`, in a generation; make one if there is none.

    `merchant` is its id at the platform. Raises LedgerError if the name stood for another merchant before: what was
    delivered for one says nothing of the other.
    """
    known = account_no_of(connection, name, merchant, generation)
    if connection.execute(_IS_NAMED, (name, generation)).fetchone() is None:
        (made,) = connection.execute(_INSERT_ACCOUNT, (name, merchant, generation)).fetchone()
        return known or int(made)
    return known or 0


def account_no_of(connection: Connection, name: str, merchant: str, generation: int) -> int | None:
    """Return the number of an account; None if its merchant is not known yet. Raises as `bind_account` does."""
    line = connection.execute(_MERCHANT, (name,)).fetchone()
    if line is not None and line[0] != merchant:
        raise LedgerError(
            t(
                "the ledger keeps account {name} as {line}, the config now says {merchant}; name another ledger "
                "in [ledger] url, or give the other account a name of its own",
                name=name,
                line=line[0],
                merchant=merchant,
            )
        )
    (first,) = connection.execute(_ACCOUNT_NO, (merchant, generation)).fetchone()
    return None if first is None else int(first)


def merchant_of(connection: Connection, run: RunRecord) -> str:
    """Return the merchant that a run sends for."""
    return str(connection.execute(_MERCHANT_OF_ACCOUNT, (run.account_no,)).fetchone()[0])


def begin(connection: Connection, new: NewRun, account_no: int) -> RunRecord:
    """Write a new run; it is staging."""
    options = orjson.dumps(dict(new.options)).decode()
    connection.execute(
        _INSERT,
        (new.run_id, new.job, new.export, new.api, new.account, account_no, new.parent, options, Phase.STAGING,
         new.limit_per_s, new.started_at),
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


def find(connection: Connection, wanted: str) -> RunRecord:
    """
    Return the run with this id, or a unique prefix of it, or the `last` one that did something.

    Raises SettingsError where there is none, or more than one.
    """
    if wanted == "last":
        found = connection.execute(_LAST).fetchall()
    elif not wanted.isascii():
        # An id is ASCII, and SQLite refuses a text that is no UTF-8.
        found = []
    else:
        found = connection.execute(_BY_PREFIX, (wanted.upper(), wanted.upper())).fetchall()
    if len(found) == 1:
        return _record(found[0])
    if found:
        raise SettingsError(
            [t("RUN {run!r} is the beginning of more than one run's id; `backfill runs` lists them", run=wanted)]
        )
    near = _nearest(connection, wanted)
    hint = t("; did you mean {near}?", near=near) if near else ""
    raise SettingsError(
        [t("RUN {run!r} is no run in this ledger{hint}; `backfill runs` lists them", run=wanted, hint=hint)]
    )


def _nearest(connection: Connection, wanted: str) -> str | None:
    """Return `last` or the id of a recent run, if one was probably meant."""
    ids = [run.run_id for run in recent(connection, _RECENT_RUNS)]
    near = get_close_matches(wanted[:60].upper(), ["LAST", *ids], n=1, cutoff=_NEAR)
    return {"LAST": "last"}.get(near[0], near[0]) if near else None


def short_id(connection: Connection, run_id: str) -> str:
    """Return the shortest prefix of a run's id, of 8 characters at least, that no other run's id has now."""
    start = run_id[:_SHORTEST_ID]
    same_start = connection.execute(_IDS_FROM, (start, start)).fetchall()
    others = [other for (other,) in same_start if other != run_id]
    prefixes = (run_id[:length] for length in range(_SHORTEST_ID, len(run_id)))
    return next((prefix for prefix in prefixes if not any(map(str.startswith, others, repeat(prefix)))), run_id)


def _first(connection: Connection, sql: str, parameters: Sequence[object]) -> RunRecord | None:
    """Return the first run that a query finds; None if it finds none."""
    line = connection.execute(sql, parameters).fetchone()
    return None if line is None else _record(line)


def last_completed(connection: Connection, job: str) -> RunRecord | None:
    """Return the last run of a job that completed, without reruns and fixes; None if there is none."""
    return _first(connection, _LAST_COMPLETED, (job,))


def parent_of(connection: Connection, run: RunRecord) -> RunRecord | None:
    """Return the run that a run reruns or fixes; None if there is none, or if it was pruned."""
    return _first(connection, _BY_ID, (run.parent,))


def on_day(connection: Connection, day: str) -> list[RunRecord]:
    """Return the runs for a day (YYYY-MM-DD), oldest first."""
    return [_record(line) for line in connection.execute(_ON_DAY, (day,))]


def with_numbers(connection: Connection, run_nos: Iterable[int]) -> list[RunRecord]:
    """Return the runs with these numbers, oldest first; pruned ones are left out."""
    return [_record(line) for line in connection.execute(_WITH_NUMBERS, (json_of(run_nos),))]


def recent(connection: Connection, limit: int | None = None) -> list[RunRecord]:
    """Return the newest runs, newest first: up to `limit`, or all."""
    return [_record(line) for line in connection.execute(_RECENT, (_ALL if limit is None else limit,))]


def last_of(connection: Connection, job: str) -> RunRecord | None:
    """Return the newest run of a job; None if there is none."""
    return _first(connection, _LAST_OF_JOB, (job,))


def start_delivering(connection: Connection, run: RunRecord) -> None:
    """Set the phase to delivering: all inputs are read."""
    connection.execute("UPDATE runs SET act = ? WHERE run_no = ?", (Phase.DELIVERING, run.run_no))


def reopen(connection: Connection, run: RunRecord, options: Mapping[str, Any]) -> None:
    """Open a run that ended: in staging, if it ended there, else in delivering. `options` replace those it has."""
    connection.execute(_REOPEN, (orjson.dumps({**run.options, **options}).decode(), run.run_no))


def conclude(
    connection: Connection,
    run: RunRecord,
    *,
    state: RunState,
    reason: str | None,
    finished_at: str,
    progress: Mapping[str, float],
    waits: Sequence[Mapping[str, Any]],
) -> RunRecord:
    """
    End a run. If it ends while staging, `resume` stages it again.

    `progress` is added to its totals (throttled, elapsed_s, sending_s), and `waits` to its waits.
    """
    all_waits = orjson.dumps([*find(connection, run.run_id).waits, *waits]).decode()
    connection.execute(_ADD_PROGRESS, {**progress, "waits": all_waits, "run_no": run.run_no})
    connection.execute(_CONCLUDE, (Phase.CONCLUDED, state, reason, finished_at, finished_at, run.run_no))
    return find(connection, run.run_id)


def finish(connection: Connection, run: RunRecord, exit_code: int) -> None:
    """Write the exit code of the command."""
    connection.execute("UPDATE runs SET exit_code = ? WHERE run_no = ?", (exit_code, run.run_no))
