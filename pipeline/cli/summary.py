"""What a command says on stdout."""

import sys
from collections.abc import Iterable, Sequence

import orjson

from pipeline.model import Status
from pipeline.redact import visible
from pipeline.report import Step, Summary
from pipeline.tables.fault_groups import GroupedFaults

_LISTED_FAULTS = 10
_MOST_LINES = 20


def say(text: str = "") -> None:
    """Print a line that can do nothing else to a terminal."""
    sys.stdout.write(visible(text) + "\n")


def print_json(messages: object) -> None:
    """Print JSON, alone on stdout."""
    sys.stdout.write(orjson.dumps(messages, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())


def first_of(lines: Sequence[str]) -> list[str]:
    """Return the first of very many lines, and how many more there are."""
    left = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], f"and {left:,} more"] if left > 0 else list(lines)


def print_summary(summary: Summary, steps: Iterable[Step], state: str | None = None) -> None:
    """Print how a run ended, for people: what, how many, how fast, where to look and what to do next."""
    say(f"run {summary.run_id} of job {summary.job}: {state or summary.state}, exit code {summary.exit_code}")
    if summary.reason:
        say(f"  {summary.reason}")
    _print_counts(summary)
    quota = summary.quota
    throttled = f", {quota.throttled} of them throttled" if quota.throttled else ""
    say(
        f"  {_requests(summary)} in {summary.elapsed_s:.1f} s, {summary.sent_per_s:.1f} a second"
        f" of {quota.limit_per_s:g}{throttled}"
    )
    for wait in summary.waits:
        say(f"  waited {wait['seconds']:.0f} s, from {wait['since']} to {wait['until']}: {wait['reason']}")
    say(f"  report: {summary.report}")
    print_faults(summary.faults)
    for step in steps:
        say(f"  {step.text}")
        say(f"    {step.command}")


def print_standing(summary: Summary) -> None:
    """Print how a run stands that goes on: it has no end yet, no report and nothing to be done about it."""
    say(f"run {summary.run_id} of job {summary.job}: running")
    say("  what is not done yet counts as unsent, or as unknown where it may be on its way")
    _print_counts(summary)
    say(f"  {_requests(summary)} so far")
    print_faults(summary.faults)


def print_faults(faults: GroupedFaults) -> None:
    """Print the faults of most rows, one on a line; nothing where there are none."""
    lines = faults.in_words(_LISTED_FAULTS)
    if lines:
        say("  faults:")
    for line in lines:
        say(f"  {line}")


def _print_counts(summary: Summary) -> None:
    say(f"  {'rows':<10} {summary.rows:>9,}")
    for status in Status:
        if summary.counts[status]:
            say(f"  {status:<10} {summary.counts[status]:>9,}")


def _requests(summary: Summary) -> str:
    return "1 request" if summary.attempts == 1 else f"{summary.attempts:,} requests"
