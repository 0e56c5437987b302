"""Output on stdout."""

import re
import sys
from collections.abc import Iterable, Sequence

import orjson

from pipeline.language import counted, t
from pipeline.model import Status
from pipeline.redact import visible
from pipeline.report import Step, Summary
from pipeline.tables.fault_groups import GroupedFaults

_LISTED_FAULTS = 10
_MOST_LINES = 20


def print_line(text: str = "") -> None:
    """Print a text as one line that is safe for any terminal."""
    sys.stdout.write(visible(text) + "\n")


def print_json(messages: object) -> None:
    """Print indented JSON."""
    sys.stdout.write(orjson.dumps(messages, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())


def print_json_line(message: object) -> None:
    """Print JSON as one line, at once: other objects follow later."""
    sys.stdout.write(orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE).decode())
    sys.stdout.flush()


def width(text: str) -> int:
    """Return the width of a text on a terminal, where a Chinese character takes two columns."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415 - imported on use

    return cell_len(text)


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Return a text filled up with blanks to a width on a terminal; at the right if wanted."""
    blanks = " " * (columns - width(text))
    return blanks + text if right else text + blanks


def first_of(lines: Sequence[str]) -> list[str]:
    """Return up to 20 lines, and a line with the number of further ones."""
    left = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], t("and {left:,} more", left=left)] if left > 0 else list(lines)


def with_short_id(text: str, run_id: str, short_id: str) -> str:
    """Return a text with a short id for the id of a run. A path keeps the whole id."""
    return re.sub(rf"(?<![/\w]){re.escape(run_id)}(?![/\w])", short_id, text)


def print_summary(summary: Summary, steps: Iterable[Step], short_id: str, state: str | None = None) -> None:
    """Print the summary of a finished run: counts, speed, report folder, faults and next steps."""
    print_line(
        t(
            "run {run_id} of job {job}: {value}, exit code {exit_code}",
            run_id=short_id,
            job=summary.job,
            value=state or summary.state,
            exit_code=summary.exit_code,
        )
    )
    if summary.reason:
        print_line(f"  {summary.reason}")
    _print_counts(summary)
    quota = summary.quota
    throttled = t(", {throttled} throttled", throttled=quota.throttled) if quota.throttled else ""
    speed = t(
        "  {requests} in {seconds:.1f} s: {rate:.1f} per second (quota {limit:g})",
        requests=counted(summary.attempts, "1 request", "{count:,} requests"),
        seconds=summary.elapsed_s, rate=summary.sent_per_s, limit=quota.limit_per_s,
    )  # fmt: skip
    print_line(speed + throttled)
    for wait in summary.waits:
        print_line(
            t(
                "  waited {seconds:.0f} s, from {since} to {until}: {reason}",
                seconds=wait["seconds"],
                since=wait["since"],
                until=wait["until"],
                reason=wait["reason"],
            )
        )
    if summary.open_agreements.count:
        print_line(
            t(
                "  totals not final: {agreements} (`backfill totals`)",
                agreements=counted(summary.open_agreements.count, "1 agreement", "{count:,} agreements"),
            )
        )
    print_line(t("  report: {report}", report=summary.report))
    print_faults(summary.faults)
    for step in steps:
        print_line(f"  {step.text}")
        print_line(f"    {with_short_id(step.command, summary.run_id, short_id)}")


def print_running(summary: Summary, short_id: str) -> None:
    """Print the counts of an active run, which has no end, no report and no next steps yet."""
    print_line(t("run {run_id} of job {job}: running", run_id=short_id, job=summary.job))
    print_line(t("  rows not yet sent count as unsent, rows in flight as unknown"))
    _print_counts(summary)
    print_line(t("  {requests} so far", requests=counted(summary.attempts, "1 request", "{count:,} requests")))
    print_faults(summary.faults)


def print_faults(faults: GroupedFaults) -> None:
    """Print the largest groups of faults, one per line; nothing if there are none."""
    lines = faults.in_words(_LISTED_FAULTS)
    if lines:
        print_line(t("  faults:"))
    for line in lines:
        print_line(f"  {line}")


def _print_counts(summary: Summary) -> None:
    print_line(f"  {pad(t('rows'), 10)} {summary.rows:>9,}")
    for status in Status:
        if summary.counts[status]:
            print_line(f"  {status:<10} {summary.counts[status]:>9,}")
