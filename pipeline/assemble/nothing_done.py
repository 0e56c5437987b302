"""The result of a rerun or resume with nothing to do: no run, but a reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.assemble.reporting import summary_of
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.model import Status
from pipeline.report import CSV_NAME

_ALL_DONE, _ROWS_LEFT = 0, 3
_ADVICE = {
    Status.INVALID: f"fix {{them}} in {CSV_NAME}",
    Status.REJECTED: f"fix {{them}} in {CSV_NAME}, or rerun with --only rejected or --new-keys",
}
_OTHER_ADVICE = "rerun without --only, --code and --limit to send {them}"


@dataclass(frozen=True, slots=True)
class NothingDone:
    """
    The result of a command with nothing to do for a run: `reason` for people, `facts` for scripts.

    `report` is the run's report folder.
    """

    run: RunRecord
    report: Path = field(repr=False)
    exit_code: int
    reason: str
    facts: Mapping[str, Any] = field(repr=False)


def nothing_to_send(ledger: Ledger, parent: RunRecord, folder: Path) -> NothingDone:
    """Return the result of a rerun that selects no row: the rows left, and what to do about them."""
    left = ledger.left(parent)
    exit_code = _ROWS_LEFT if left else _ALL_DONE
    advice = [_advice(status, left[status]) for status in Status if left[status]]
    reason = f"nothing to send: {'; '.join(advice) or f'no row of run {parent.run_id} is left'}"
    facts = {
        "run_id": None,
        "parent": parent.run_id,
        "job": parent.job,
        "exit_code": exit_code,
        "rows": 0,
        "left": left.total(),
        "counts": {status.value: left[status] for status in Status},
        "reason": reason,
    }
    return NothingDone(parent, folder, exit_code, reason, facts)


def already_finished(ledger: Ledger, run: RunRecord, folder: Path) -> NothingDone:
    """Return the result of a resume of a finished run; the facts are its summary."""
    summary, _ = summary_of(ledger, run, folder)
    reason = f"run {run.run_id} is finished (exit code {summary.exit_code}): nothing to resume"
    return NothingDone(run, folder, summary.exit_code, reason, summary.as_dict())


def _advice(status: Status, rows: int) -> str:
    them = "it" if rows == 1 else "them"
    counted = f"1 row is {status}" if rows == 1 else f"{rows:,} rows are {status}"
    return f"{counted}: {_ADVICE.get(status, _OTHER_ADVICE).format(them=them)}"
