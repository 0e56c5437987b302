"""The result of a rerun or resume with nothing to do: no run, but a reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.assemble.reports.reporting import summary_of
from pipeline.language import counted, later, t
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.model import Status
from pipeline.report import CSV_NAME

_ALL_DONE, _ROWS_LEFT = 0, 3
_ADVICE = {
    Status.INVALID: (
        later("1 row is {status}: fix it in {file}"),
        later("{count:,} rows are {status}: fix them in {file}"),
    ),
    Status.REJECTED: (
        later("1 row is {status}: fix it in {file}, or rerun with --only rejected or --new-keys"),
        later("{count:,} rows are {status}: fix them in {file}, or rerun with --only rejected or --new-keys"),
    ),
}
_OTHER_ADVICE = (
    later("1 row is {status}: rerun without --only, --code and --limit to send it"),
    later("{count:,} rows are {status}: rerun without --only, --code and --limit to send them"),
)


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
    why = "; ".join(advice) or t("no row of run {run_id} is left", run_id=parent.run_id)
    reason = t("nothing to send: {why}", why=why)
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
    reason = t(
        "run {run_id} is finished (exit code {exit_code}): nothing to resume",
        run_id=run.run_id,
        exit_code=summary.exit_code,
    )
    return NothingDone(run, folder, summary.exit_code, reason, summary.as_dict())


def _advice(status: Status, rows: int) -> str:
    return counted(rows, *_ADVICE.get(status, _OTHER_ADVICE), status=status, file=CSV_NAME)
