"""What a command says on stdout."""

import shlex
import sys
from collections.abc import Iterable

from pipeline.model import Status
from pipeline.report import Summary


def say(text: str = "") -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")


def tell_summary(summary: Summary, state: str | None = None) -> None:
    """Print how a run ended, for people: what, how many, how fast, where to look and what to do next."""
    say(f"run {summary.run_id} of job {summary.job}: {state or summary.state}, exit code {summary.exit_code}")
    if summary.reason:
        say(f"  {summary.reason}")
    say(f"  {'rows':<10} {summary.rows:>9,}")
    for status in Status:
        if summary.counts[status]:
            say(f"  {status:<10} {summary.counts[status]:>9,}")
    quota = summary.quota
    throttled = f", throttled {quota.throttled} times" if quota.throttled else ""
    say(
        f"  {summary.attempts:,} requests in {summary.elapsed_s:.1f} s, {summary.sent_per_s:.1f} a second"
        f" of {quota.limit_per_s:g}{throttled}"
    )
    say(f"  report     {summary.report}")
    for what, command in next_steps(summary):
        say(f"  {what:<10} {command}")


def next_steps(summary: Summary) -> Iterable[tuple[str, str]]:
    """Yield the commands that come next, with a word for what they are for."""
    counts = summary.counts
    if summary.exit_code in (4, 5):
        yield "go on", f"backfill resume {summary.run_id}"
    elif counts[Status.UNKNOWN] + counts[Status.BLOCKED] + counts[Status.UNSENT]:
        yield "send again", f"backfill rerun {summary.run_id}"
    if counts[Status.INVALID] + counts[Status.REJECTED]:
        fixed = shlex.quote(f"{summary.report}/rows_to_fix.csv")
        yield "once fixed", f"backfill run {summary.job} {fixed}"
