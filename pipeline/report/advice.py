"""The end of a run in words, and the next steps: a sentence and a command for each."""

import shlex
from dataclasses import dataclass, replace
from enum import StrEnum

from pipeline.language import counted, later, t
from pipeline.model import Status
from pipeline.report.files.rows_to_fix import CSV_NAME, WORKBOOK_NAME
from pipeline.report.summary import Summary
from pipeline.report.tally import Tally

# Code of rows that were not sent because too many other rows are invalid.
_TOO_MANY_INVALID = "too_many_invalid"
_OPEN = (Status.UNKNOWN, Status.BLOCKED, Status.UNSENT)
# By exit code.
_VERDICTS = (
    later("Run finished: every row succeeded or was skipped."),
    later("Run failed: an internal error of the program."),
    later("Run not started: the command, the config, a key or an input file is wrong. Nothing was sent."),
    later("Run finished: some rows need attention."),
    later("Run aborted: the same error would hit every remaining row."),
    later("Run interrupted: rows are left."),
)
# A run with fewer open rows than this has a minor fault.
_MAJOR_PERCENT = 1


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


def verdict(summary: Summary) -> str:
    """Return one sentence: how the run ended."""
    if summary.exit_code in range(len(_VERDICTS)):
        return t(_VERDICTS[summary.exit_code])
    return t("The run ended with exit code {exit_code}.", exit_code=summary.exit_code)


def severity(summary: Summary) -> Severity:
    """Return how bad the run's end is, by the share of rows that are left."""
    if summary.state == "completed" and not summary.left:
        return Severity.NONE
    if summary.state != "stopped" and summary.left * 100 < summary.rows * _MAJOR_PERCENT:
        return Severity.MINOR
    return Severity.MAJOR


def next_steps(summary: Summary, tally: Tally) -> list[Step]:
    """Return the next steps in order; empty if every row is done."""
    if summary.state == "completed" and not summary.left:
        # Reruns and fixes have done all rows that this run left.
        return []
    finished = summary.state == "completed"
    steps = _send_again(summary, tally) if finished else _continue(summary, tally)
    to_fix = tally.counts[Status.INVALID] + tally.counts[Status.REJECTED] - tally.new_keys_wanted
    if to_fix > 0:
        text = counted(
            to_fix,
            "Fix the 1 row in {csv} or {workbook} (reason in `_message`), then run:",
            "Fix the {count:,} rows in {csv} or {workbook} (reason in `_message`), then run:",
            csv=CSV_NAME,
            workbook=WORKBOOK_NAME,
        )
        steps.append(Step(text, _command("run", summary.job, f"{summary.report}/{CSV_NAME}")))
    return [replace(step, text=_done_elsewhere(summary, tally) + step.text) for step in steps[:1]] + steps[1:]


def _done_elsewhere(summary: Summary, tally: Tally) -> str:
    """Return a sentence on rows that reruns and fixes of a finished run have done; empty if there are none."""
    done = sum(tally.counts[status] for status in (*_OPEN, Status.INVALID, Status.REJECTED)) - summary.left
    if summary.state != "completed" or done <= 0:
        return ""
    return counted(
        done,
        "Reruns and fixes have done 1 of these rows; it is not sent again. ",
        "Reruns and fixes have done {count:,} of these rows; they are not sent again. ",
    )


def _continue(summary: Summary, tally: Tally) -> list[Step]:
    """Return the steps that continue a run that was stopped."""
    if _TOO_MANY_INVALID in tally.codes:
        return [
            Step(t("Fix the config, then read and send the rows again:"), _command("resume", summary.run_id)),
            Step(t("Or send only the valid rows:"), _command("resume", summary.run_id, "--max-invalid", "100%")),
        ]
    is_stopped = summary.state == "stopped"
    text = t("Fix the cause, then send the rows that are left:") if is_stopped else t("Send the rest:")
    return [Step(text, _command("resume", summary.run_id))]


def _send_again(summary: Summary, tally: Tally) -> list[Step]:
    """Return the step that sends the open rows of a finished run again."""
    open_rows = sum(tally.counts[status] for status in _OPEN)
    if new_keys := tally.new_keys_wanted:
        text = counted(
            new_keys,
            "Send 1 row with new request keys, as the platform demands:",
            "Send {count:,} rows with new request keys, as the platform demands:",
        )
        if open_rows:
            text = counted(
                open_rows,
                "Send {new} with new request keys, as the platform demands, and 1 open row with the old keys:",
                "Send {new} with new request keys, as the platform demands, and {count:,} open rows with the old keys:",
                new=counted(new_keys, "1 row", "{count:,} rows"),
            )
        return [Step(text, _command("rerun", summary.run_id, "--new-keys"))]
    if open_rows:
        return [
            Step(
                counted(
                    open_rows,
                    "Send the 1 open row again with the same keys (the platform counts each once):",
                    "Send the {count:,} open rows again with the same keys (the platform counts each once):",
                ),
                _command("rerun", summary.run_id),
            )
        ]
    return []


def _command(*words: str) -> str:
    return shlex.join(("backfill", *words))
