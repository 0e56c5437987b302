"""What a command says on stdout."""

import sys
from collections.abc import Iterable, Sequence

from pipeline.model import Status
from pipeline.report import Step, Summary
from pipeline.showing import visible

_MOST_LINES = 20


def say(text: str = "") -> None:
    """Print a line that can do nothing else to a terminal."""
    sys.stdout.write(visible(text) + "\n")


def first_of(lines: Sequence[str]) -> list[str]:
    """Return the first of very many lines, and how many more there are."""
    left = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], f"and {left:,} more"] if left > 0 else list(lines)


def tell_summary(summary: Summary, steps: Iterable[Step], state: str | None = None) -> None:
    """Print how a run ended, for people: what, how many, how fast, where to look and what to do next."""
    say(f"run {summary.run_id} of job {summary.job}: {state or summary.state}, exit code {summary.exit_code}")
    if summary.reason:
        say(f"  {summary.reason}")
    _tell_counts(summary)
    quota = summary.quota
    throttled = f", {quota.throttled} of them throttled" if quota.throttled else ""
    say(
        f"  {_requests(summary)} in {summary.elapsed_s:.1f} s, {summary.sent_per_s:.1f} a second"
        f" of {quota.limit_per_s:g}{throttled}"
    )
    say(f"  report: {summary.report}")
    for step in steps:
        say(f"  {step.text}")
        say(f"    {step.command}")


def tell_standing(summary: Summary) -> None:
    """Print how a run stands that goes on: it has no end yet, no report and nothing to be done about it."""
    say(f"run {summary.run_id} of job {summary.job}: running")
    say("  what is not done yet counts as unsent, or as unknown where it may be on its way")
    _tell_counts(summary)
    say(f"  {_requests(summary)} so far")


def _tell_counts(summary: Summary) -> None:
    say(f"  {'rows':<10} {summary.rows:>9,}")
    for status in Status:
        if summary.counts[status]:
            say(f"  {status:<10} {summary.counts[status]:>9,}")


def _requests(summary: Summary) -> str:
    return "1 request" if summary.attempts == 1 else f"{summary.attempts:,} requests"
