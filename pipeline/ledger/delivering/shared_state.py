"""The state that all senders of a run share, on a server: one line for each run that is being sent."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pipeline.ledger.records import REQUESTS, RunEnding, RunRecord, SenderNews, SharedState
from pipeline.ledger.store.port import Connection
from pipeline.model import Status

_COUNTED = (*REQUESTS, *map(str, Status))
_READ = f"is_proven, max_failures, ending, reason, halt_code, {', '.join(_COUNTED)}"
# When the lease of the run's job ends; NULL if another run has the job.
_LEASE = "(SELECT expires_at FROM jobs WHERE job = :job AND run_id = :run_id)"
# Begin anew: each execution of a run has its own counts.
_BEGIN = f"""
INSERT INTO run_states (run_no, max_failures, {", ".join(_COUNTED)})
VALUES (:run_no, :max_failures, {", ".join(f":{name}" for name in _COUNTED)})
"""
_DELETE = "DELETE FROM run_states WHERE run_no = ?"
_SELECT = f"SELECT clock_timestamp(), {_LEASE}, {_READ} FROM run_states WHERE run_no = :run_no"
# Add the news of a sender. The first ending counts.
_ADD = f"""
UPDATE run_states SET is_proven = CASE WHEN :is_proven = 1 THEN 1 ELSE is_proven END,
    reason = CASE WHEN ending IS NULL THEN :reason ELSE reason END,
    halt_code = CASE WHEN ending IS NULL THEN :halt_code ELSE halt_code END,
    ending = coalesce(ending, :ending),
    {", ".join(f"{name} = {name} + :{name}" for name in _COUNTED)}
WHERE run_no = :run_no RETURNING clock_timestamp(), {_LEASE}, {_READ}
"""


def begin(connection: Connection, run: RunRecord, counts: Mapping[str, int], max_failures: float | None) -> None:
    """Begin with these counts; no other sender may join before the state is proven."""
    connection.execute(_DELETE, (run.run_no,))
    connection.execute(_BEGIN, {"run_no": run.run_no, "max_failures": max_failures, **_numbers(counts)})


def end(connection: Connection, run: RunRecord) -> None:
    """Delete the state: nothing is sent any more."""
    connection.execute(_DELETE, (run.run_no,))


def read(connection: Connection, run: RunRecord, seconds: float) -> SharedState | None:
    """Return the state; None if the run is not being sent. `seconds` is the length of the lease of its job."""
    values = {"job": run.job, "run_id": run.run_id, "run_no": run.run_no}
    line = connection.execute(_SELECT, values).fetchone()
    return None if line is None else _state(line, seconds)


def add(connection: Connection, run: RunRecord, news: SenderNews, seconds: float) -> SharedState | None:
    """Add the news of a sender; return the state as `read` does."""
    ending = news.ending
    values = {
        "job": run.job, "run_id": run.run_id, "run_no": run.run_no, "is_proven": int(news.is_proven),
        "ending": ending and ending.ending, "reason": ending and ending.reason,
        "halt_code": ending and ending.halt_code, **_numbers(news.counts),
    }  # fmt: skip
    line = connection.execute(_ADD, values).fetchone()
    return None if line is None else _state(line, seconds)


def _numbers(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: counts.get(name, 0) for name in _COUNTED}


def _state(line: Sequence[Any], seconds: float) -> SharedState:
    now, expires_at, is_proven, max_failures, ending, reason, halt_code, *counts = line
    return SharedState(
        is_led=_is_led(now, expires_at, seconds),
        is_proven=bool(is_proven),
        max_failures=max_failures,
        ending=None if ending is None else RunEnding(ending, reason, halt_code),
        counts=dict(zip(_COUNTED, counts, strict=True)),
    )


def _is_led(now: datetime, expires_at: str | None, seconds: float) -> bool:
    """Return whether the lease of the job was renewed within half of its length; '' or None: nobody has it."""
    return bool(expires_at) and datetime.fromisoformat(str(expires_at)) - now >= timedelta(seconds=seconds / 2)
