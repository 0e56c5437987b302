"""The end of a run in words, and the next steps: a sentence and a command for each."""

import shlex
from dataclasses import dataclass
from enum import StrEnum

from pipeline.model import Status
from pipeline.report.files.rows_to_fix import CSV_NAME, WORKBOOK_NAME
from pipeline.report.summary import Summary
from pipeline.report.tally import Tally
from pipeline.report.texts import Texts

# Code of rows that were not sent because too many other rows are invalid.
_TOO_MANY_INVALID = "too_many_invalid"
_OPEN = (Status.UNKNOWN, Status.BLOCKED, Status.UNSENT)
_VERDICTS = range(6)
# A run with fewer open rows than this has a minor fault.
_MAJOR_PERCENT = 1
_ENGLISH = Texts()


class Severity(StrEnum):
    """How bad the end of a run is."""

    NONE = "none"
    MINOR = "minor"
    MAJOR = "major"


@dataclass(frozen=True, slots=True)
class Step:
    """One next step: a sentence and its command."""

    text: str
    command: str


def verdict(summary: Summary, texts: Texts = _ENGLISH) -> str:
    """Return one sentence: how the run ended."""
    if summary.exit_code in _VERDICTS:
        return texts(f"verdict_{summary.exit_code}")
    return texts("verdict_other", exit_code=summary.exit_code)


def severity(summary: Summary) -> Severity:
    """Return how bad the run's end is, by the share of rows that are left."""
    if summary.state == "completed" and not summary.left:
        return Severity.NONE
    if summary.state != "stopped" and summary.left * 100 < summary.rows * _MAJOR_PERCENT:
        return Severity.MINOR
    return Severity.MAJOR


def next_steps(summary: Summary, tally: Tally, texts: Texts = _ENGLISH) -> list[Step]:
    """Return the next steps in order; empty if every row is done."""
    if summary.state == "completed" and not summary.left:
        # Reruns and fixes have done all rows that this run left.
        return []
    finished = summary.state == "completed"
    steps = _send_again(summary, tally, texts) if finished else _continue(summary, tally, texts)
    to_fix = tally.counts[Status.INVALID] + tally.counts[Status.REJECTED] - tally.new_keys_wanted
    if to_fix > 0:
        text = texts.rows("step_fix", to_fix, csv=CSV_NAME, workbook=WORKBOOK_NAME)
        steps.append(Step(text, _command("run", summary.job, f"{summary.report}/{CSV_NAME}")))
    return steps


def _continue(summary: Summary, tally: Tally, texts: Texts) -> list[Step]:
    """Return the steps that continue a run that was stopped."""
    if _TOO_MANY_INVALID in tally.codes:
        return [
            Step(texts("step_config"), _command("resume", summary.run_id)),
            Step(texts("step_valid"), _command("resume", summary.run_id, "--max-invalid", "100%")),
        ]
    text = texts("step_cause" if summary.state == "stopped" else "step_rest")
    return [Step(text, _command("resume", summary.run_id))]


def _send_again(summary: Summary, tally: Tally, texts: Texts) -> list[Step]:
    """Return the step that sends the open rows of a finished run again."""
    open_rows = sum(tally.counts[status] for status in _OPEN)
    if new_keys := tally.new_keys_wanted:
        text = texts.rows("step_new_keys", new_keys)
        if open_rows:
            text = texts.rows("step_new_and_old_keys", open_rows, new=texts.rows("rows", new_keys))
        return [Step(text, _command("rerun", summary.run_id, "--new-keys"))]
    if open_rows:
        return [Step(texts.rows("step_again", open_rows), _command("rerun", summary.run_id))]
    return []


def _command(*words: str) -> str:
    return shlex.join(("backfill", *words))
