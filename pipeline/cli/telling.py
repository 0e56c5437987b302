"""What a command says on stdout."""

import sys
from collections.abc import Iterable

from pipeline.model import Status
from pipeline.report import Step, Summary
from pipeline.showing import visible


def say(text: str = "") -> None:
    """Print a line that can do nothing else to a terminal."""
    sys.stdout.write(visible(text) + "\n")


def tell_summary(summary: Summary, steps: Iterable[Step], state: str | None = None) -> None:
    """Print how a run ended, for people: what, how many, how fast, where to look and what to do next."""
    say(f"run {summary.run_id} of job {summary.job}: {state or summary.state}, exit code {summary.exit_code}")
    if summary.reason:
        say(f"  {summary.reason}")
    say(f"  {'rows':<10} {summary.rows:>9,}")
    for status in Status:
        if summary.counts[status]:
            say(f"  {status:<10} {summary.counts[status]:>9,}")
    quota = summary.quota
    throttled = f", {quota.throttled} of them throttled" if quota.throttled else ""
    requests = "1 request" if summary.attempts == 1 else f"{summary.attempts:,} requests"
    say(
        f"  {requests} in {summary.elapsed_s:.1f} s, {summary.sent_per_s:.1f} a second"
        f" of {quota.limit_per_s:g}{throttled}"
    )
    say(f"  report: {summary.report}")
    for step in steps:
        say(f"  {step.text}")
        say(f"    {step.command}")
