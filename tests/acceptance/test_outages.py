"""Rows that always fail, and outages: neither costs other rows their turn."""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import timedelta
from itertools import pairwise

import pytest

from pipeline.simulator import InjectedFault, Kind
from tests.acceptance.night import Night, balance, end_of, order, wait_until


def poison(night: Night, numbers: Iterable[int]) -> None:
    """Let the platform answer the orders with these numbers with status 500, always."""
    night.simulator.set_faults([InjectedFault(Kind.STATUS, status=500, key=f"A{number}") for number in numbers])


@pytest.mark.parametrize(
    ("poisoned", "job"),
    [
        pytest.param((0, 1, 2), {"concurrency": 3}, id="the-first-rows"),
        pytest.param((4, 15, 22), {"concurrency": 3}, id="in-between"),
        pytest.param((27, 28, 29), {"concurrency": 16}, id="the-last-rows"),
    ],
)
def test_rows_that_always_fail_stop_no_others(poisoned: tuple[int, ...], job: dict[str, int], night: Night) -> None:
    """Of 30 rows 3 always get status 500: they end unknown after their attempts, and all others are sent."""
    night.configure({"jobs.orders": {"max_attempts": 4, "outage_limit_s": 20, **job}})
    night.export("orders.csv", [order(number) for number in range(30)])
    poison(night, poisoned)

    ended = night.backfill("run", "orders")

    outcomes = [(line["status"], line["attempts"]) for line in night.outcomes()]
    assert ended.exit_code == 3
    assert outcomes == [("unknown", "4") if n in poisoned else ("succeeded", "1") for n in range(30)]


def test_a_rerun_of_rows_that_always_fail_ends(night: Night) -> None:
    """A rerun that has only such rows uses up their attempts once more, and ends with exit 3."""
    night.configure({"jobs.orders": {"max_attempts": 3, "concurrency": 3, "outage_limit_s": 20}})
    night.export("orders.csv", [order(number) for number in range(30)])
    poison(night, range(2))
    night.backfill("run", "orders")

    again = night.backfill("rerun", "last")

    assert (again.exit_code, night.fates()) == (3, ["unknown http_500"] * 2)


def test_a_short_outage_is_soon_over(night: Night) -> None:
    """After an outage of two seconds, with 16 requests under way, all is sent within ten seconds more."""
    night.configure({"jobs.orders": {"concurrency": 16, "max_attempts": 6}})
    night.export("orders.csv", [order(number) for number in range(300)])
    night.simulator.set_faults([InjectedFault(Kind.STATUS, status=503, after_seconds=0.5, until_seconds=2.5)])

    ended = night.backfill("run", "orders")

    arrived = [entry.arrived_at for entry in night.simulator.journal.entries]
    longest = max(after - before for before, after in pairwise(arrived))
    assert (ended.exit_code, set(night.fates())) == (0, {"succeeded SUCCESS"})
    assert longest <= timedelta(seconds=8)


def test_a_wait_for_the_platform_is_said(night: Night) -> None:
    """Log and summary say what a run waited for, and for how long; a later run says so too, if it waits."""
    night.export("points.csv", [balance(card, 5) for card in range(3)])
    night.simulator.set_faults([InjectedFault(Kind.THROTTLE, retry_after=6, first=1)])

    ended = night.backfill("run", "points")

    said = re.search(r"waited ([567]) s, from (\S+) to (\S+): the platform asked to wait \(Retry-After\)", ended.stdout)
    assert (ended.exit_code, said is not None) == (0, True)
    assert "waiting: the platform asked to wait (Retry-After), since " in ended.stderr


def test_a_run_says_that_it_waits_for_the_ledger(night: Night) -> None:
    """While another process holds the write lock, the log says what the run waits for, since when and until when."""
    night.export("orders.csv", [order(number) for number in range(200)])
    night.configure({"jobs.orders": {"concurrency": 1}})
    process = night.start("run", "orders")
    wait_until(lambda: len(night.requests()) >= 3)
    assert process.stderr is not None
    with closing(sqlite3.connect(night.folder / "state" / "backfill.db", isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        said = next(line for line in process.stderr if "waiting: " in line)
        other.execute("ROLLBACK")
    ended = end_of(process)

    reason = "another process writes to the ledger, and keeps it locked"
    assert re.search(rf"waiting: {reason}, since \d\d:\d\d:\d\d UTC, until \d\d:\d\d:\d\d UTC\n$", said)
    assert ended.exit_code == 0
    assert re.search(rf"goes on after \d+ s: {reason}\n", ended.stderr)
    assert re.search(rf"  waited \d+ s, from .* to .*: {reason}\n", ended.stdout)
