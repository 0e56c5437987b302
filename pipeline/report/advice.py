"""What a person does after a run: sentences, and the commands that go with them."""

import shlex
from dataclasses import dataclass

from pipeline.model import Status
from pipeline.report.files.rows_to_fix import CSV_NAME, WORKBOOK_NAME
from pipeline.report.summary import Summary
from pipeline.report.tally import Tally

# The code of rows that were not sent because too many others are invalid.
_TOO_MANY_INVALID = "too_many_invalid"
_OPEN = (Status.UNKNOWN, Status.BLOCKED, Status.UNSENT)
_VERDICTS = {
    0: "The run finished: every row succeeded, or was skipped with cause.",
    1: "The run broke off through a fault of the program itself.",
    2: "The run did not start: usage, config, a key or an input file is at fault. Nothing was sent.",
    3: "The run finished, and some rows need attention.",
    4: "The run stopped itself: the next rows would have fared no better.",
    5: "The run was stopped from outside, with rows left.",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do next, and the command for it."""

    text: str
    command: str


def verdict(summary: Summary) -> str:
    """Say in plain words how the run ended."""
    return _VERDICTS.get(summary.exit_code, f"The run ended with exit code {summary.exit_code}.")


def next_steps(summary: Summary, tally: Tally) -> list[Step]:
    """Return what there is to do, in the order to do it; nothing where every row is done."""
    if summary.state == "completed" and not summary.left:
        # Reruns and fixes have seen to whatever this run left.
        return []
    steps = _ways_on(summary, tally) if summary.state == "completed" else _ways_back(summary, tally)
    to_mend = tally.counts[Status.INVALID] + tally.counts[Status.REJECTED] - tally.new_keys_wanted
    if to_mend > 0:
        text = f"Fix the {_rows(to_mend)} in {WORKBOOK_NAME} or {CSV_NAME} (reason in `_message`), then run it:"
        steps.append(Step(text, _command("run", summary.job, f"{summary.report}/{CSV_NAME}")))
    return steps


def _ways_back(summary: Summary, tally: Tally) -> list[Step]:
    """Say how a run that did not reach its end goes on."""
    if _TOO_MANY_INVALID in tally.codes:
        return [
            Step("Correct the config, then read the rows again and send them:", _command("resume", summary.run_id)),
            Step("Or send the other rows as they are:", _command("resume", summary.run_id, "--max-invalid", "100%")),
        ]
    first = "Mend what the run stopped for, then go" if summary.state == "stopped" else "Go"
    return [Step(f"{first} on with the rows that are left:", _command("resume", summary.run_id))]


def _ways_on(summary: Summary, tally: Tally) -> list[Step]:
    """Say how the open rows of a finished run are sent again."""
    open_rows = sum(tally.counts[status] for status in _OPEN)
    if tally.new_keys_wanted:
        text = f"The platform asks for a new request key for {_rows(tally.new_keys_wanted)}. Send them under new keys"
        also = f", and {_rows(open_rows)} left open under the keys they have" if open_rows else ""
        return [Step(f"{text}{also}:", _command("rerun", summary.run_id, "--new-keys"))]
    if open_rows:
        text = f"Send {_rows(open_rows)} left open again; what the platform has already, it counts once:"
        return [Step(text, _command("rerun", summary.run_id))]
    return []


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _command(*words: str) -> str:
    return shlex.join(("backfill", *words))
