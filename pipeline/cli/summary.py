"""Output on stdout."""

import re
import sys
from collections.abc import Iterable, Sequence

import orjson

from pipeline.model import Status
from pipeline.redact import counted, visible
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
    from rich.cells import cell_len  # noqa: PLC0415 - imported on use

    return cell_len(text)


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Return a text filled up with blanks to a width on a terminal; at the right if wanted."""
    blanks = " " * (columns - width(text))
    return blanks + text if right else text + blanks


def first_of(lines: Sequence[str]) -> list[str]:
    """Return up to 20 lines, and a line with the number of further ones."""
    left = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], f"and {left:,} more"] if left > 0 else list(lines)


def with_short_id(text: str, run_id: str, short_id: str) -> str:
    """Return a text with a short id for the id of a run. A path keeps the whole id."""
    return re.sub(rf"(?<![/\w]){re.escape(run_id)}(?![/\w])", short_id, text)


def print_summary(summary: Summary, steps: Iterable[Step], short_id: str, state: str | None = None) -> None:
    """Print the summary of a finished run: counts, speed, report folder, faults and next steps."""
    print_line(f"run {short_id} of job {summary.job}: {state or summary.state}, exit code {summary.exit_code}")
    if summary.reason:
        print_line(f"  {summary.reason}")
    _print_counts(summary)
    quota = summary.quota
    throttled = f", {quota.throttled} throttled" if quota.throttled else ""
    print_line(
        f"  {counted(summary.attempts, 'request')} in {summary.elapsed_s:.1f} s: {summary.sent_per_s:.1f} per second"
        f" (quota {quota.limit_per_s:g}){throttled}"
    )
    for wait in summary.waits:
        print_line(f"  waited {wait['seconds']:.0f} s, from {wait['since']} to {wait['until']}: {wait['reason']}")
    if summary.open_agreements.count:
        print_line(f"  totals not final: {counted(summary.open_agreements.count, 'agreement')} (`backfill totals`)")
    print_line(f"  report: {summary.report}")
    print_faults(summary.faults)
    for step in steps:
        print_line(f"  {step.text}")
        print_line(f"    {with_short_id(step.command, summary.run_id, short_id)}")


def print_running(summary: Summary, short_id: str) -> None:
    """Print the counts of an active run, which has no end, no report and no next steps yet."""
    print_line(f"run {short_id} of job {summary.job}: running")
    print_line("  rows not yet sent count as unsent, rows in flight as unknown")
    _print_counts(summary)
    print_line(f"  {counted(summary.attempts, 'request')} so far")
    print_faults(summary.faults)


def print_faults(faults: GroupedFaults) -> None:
    """Print the largest groups of faults, one per line; nothing if there are none."""
    lines = faults.in_words(_LISTED_FAULTS)
    if lines:
        print_line("  faults:")
    for line in lines:
        print_line(f"  {line}")


def _print_counts(summary: Summary) -> None:
    print_line(f"  {'rows':<10} {summary.rows:>9,}")
    for status in Status:
        if summary.counts[status]:
            print_line(f"  {status:<10} {summary.counts[status]:>9,}")
