"""The message about the end of a run: who wants it, and its text. It holds no value of any row."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.language import t
from pipeline.model import Status
from pipeline.notify.run_end import FINE, Change, RunEnd
from pipeline.redact import shown_heading, visible
from pipeline.report import Summary
from pipeline.report.advice import verdict
from pipeline.settings import Receiver, When

_LISTED_FAULTS = 3
_LONGEST_LINE = 300


@dataclass(frozen=True, slots=True)
class Message:
    """A title and lines of plain text."""

    title: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """Title and lines as one text."""
        return "\n".join((self.title, *self.lines))


def is_wanted(receiver: Receiver, end: RunEnd) -> bool:
    """Return whether a receiver wants a message about the end of a run."""
    if end.job not in receiver.jobs:
        return False
    match receiver.when:
        case When.CHANGE:
            return end.is_new
        case When.FAILURE:
            return end.exit_code != FINE
        case When.ALWAYS:
            return True


def message_of(end: RunEnd) -> Message:
    """Return the message about the end of a run, in the language of this process."""
    lines = end.error.split("\n") if end.summary is None else [*_about(end.summary), *_steps(end)]
    return Message(_line(_title(end)), tuple(map(_line, lines)))


def _title(end: RunEnd) -> str:
    match end.change:
        case Change.FAILED:
            return t(
                "backfill: job {job} needs attention (exit code {exit_code})", job=end.job, exit_code=end.exit_code
            )
        case Change.RECOVERED:
            return t("backfill: job {job} is fine again", job=end.job)
        case Change.SUCCEEDED:
            return t("backfill: job {job} is done", job=end.job)


def _about(summary: Summary) -> Iterator[str]:
    yield verdict(summary)
    if summary.reason:
        yield summary.reason
    yield t("run {run_id}, date {date}", run_id=summary.run_id, date=summary.date or "-")
    counts = ", ".join(f"{status} {rows:,}" for status in Status if (rows := summary.counts.get(status)))
    yield t("rows: {rows} ({counts})", rows=f"{summary.rows:,}", counts=counts or "-")
    for group in summary.faults.groups[:_LISTED_FAULTS]:
        # Neither the example's value nor its message: a message leaves the company's network.
        kind = group.kind
        yield f"- {group.rows:,} {kind.status} {kind.code} {shown_heading(kind.column or kind.field or '')}".rstrip()
    if summary.left:
        yield t("rows left: {rows}", rows=f"{summary.left:,}")
    yield t("report: {folder}", folder=summary.report)


def _steps(end: RunEnd) -> Iterator[str]:
    for step in end.steps:
        yield step.text
        yield f"  {step.command}"


def _line(text: str) -> str:
    """Return a text as one line of limited length that is safe to show anywhere."""
    line = visible(text)
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1]}…"
