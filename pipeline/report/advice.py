"""The next steps after a run: a sentence and a command for each."""

import shlex
from dataclasses import dataclass

from pipeline.model import Status
from pipeline.redact import counted
from pipeline.report.files.rows_to_fix import CSV_NAME, WORKBOOK_NAME
from pipeline.report.summary import Summary
from pipeline.report.tally import Tally

# Code of rows that were not sent because too many other rows are invalid.
_TOO_MANY_INVALID = "too_many_invalid"
_OPEN = (Status.UNKNOWN, Status.BLOCKED, Status.UNSENT)
_VERDICTS = {
    0: "Run finished: every row succeeded or was skipped.",
    1: "Run failed: an internal error of the program.",
    2: "Run not started: the command, the config, a key or an input file is wrong. Nothing was sent.",
    3: "Run finished: some rows need attention.",
    4: "Run aborted: the same error would hit every remaining row.",
    5: "Run interrupted: rows are left.",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One next step: a sentence and its command."""

    text: str
    command: str


def verdict(summary: Summary) -> str:
    """Return one sentence: how the run ended."""
    return _VERDICTS.get(summary.exit_code, f"The run ended with exit code {summary.exit_code}.")


def next_steps(summary: Summary, tally: Tally) -> list[Step]:
    """Return the next steps in order; empty if every row is done."""
    if summary.state == "completed" and not summary.left:
        # Reruns and fixes have done all rows that this run left.
        return []
    steps = _send_again(summary, tally) if summary.state == "completed" else _continue(summary, tally)
    to_fix = tally.counts[Status.INVALID] + tally.counts[Status.REJECTED] - tally.new_keys_wanted
    if to_fix > 0:
        text = f"Fix the {counted(to_fix, 'row')} in {CSV_NAME} or {WORKBOOK_NAME} (reason in `_message`), then run:"
        steps.append(Step(text, _command("run", summary.job, f"{summary.report}/{CSV_NAME}")))
    return steps


def _continue(summary: Summary, tally: Tally) -> list[Step]:
    """Return the steps that continue a run that was stopped."""
    if _TOO_MANY_INVALID in tally.codes:
        return [
            Step("Fix the config, then read and send the rows again:", _command("resume", summary.run_id)),
            Step("Or send only the valid rows:", _command("resume", summary.run_id, "--max-invalid", "100%")),
        ]
    text = "Fix the cause, then send the rows that are left:" if summary.state == "stopped" else "Send the rest:"
    return [Step(text, _command("resume", summary.run_id))]


def _send_again(summary: Summary, tally: Tally) -> list[Step]:
    """Return the step that sends the open rows of a finished run again."""
    open_rows = sum(tally.counts[status] for status in _OPEN)
    if tally.new_keys_wanted:
        text = f"Send {counted(tally.new_keys_wanted, 'row')} with new request keys, as the platform demands"
        also = f", and {counted(open_rows, 'open row')} with the old keys" if open_rows else ""
        return [Step(f"{text}{also}:", _command("rerun", summary.run_id, "--new-keys"))]
    if open_rows:
        text = f"Send the {counted(open_rows, 'open row')} again with the same keys (the platform counts each once):"
        return [Step(text, _command("rerun", summary.run_id))]
    return []


def _command(*words: str) -> str:
    return shlex.join(("backfill", *words))
