"""Rows that always fail, and outages: neither keeps other rows from being sent."""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import timedelta
from itertools import pairwise

import pytest

from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import Workspace, balance, end_of, order, wait_until


def poison(workspace: Workspace, numbers: Iterable[int]) -> None:
    """Set faults: the orders with these numbers always get status 500."""
    workspace.simulator.set_faults(
        [InjectedFault(FaultKind.STATUS, status=500, key=f"A{number}") for number in numbers]
    )


@pytest.mark.parametrize(
    ("poisoned", "job"),
    [
        pytest.param((0, 1, 2), {"concurrency": 3}, id="the-first-rows"),
        pytest.param((4, 15, 22), {"concurrency": 3}, id="in-between"),
        pytest.param((27, 28, 29), {"concurrency": 16}, id="the-last-rows"),
    ],
)
def test_rows_that_always_fail_do_not_stop_others(
    poisoned: tuple[int, ...], job: dict[str, int], workspace: Workspace
) -> None:
    """Of 30 rows, 3 always get status 500: they end unknown after their attempts, and all others are sent."""
    workspace.configure({"jobs.orders": {"max_attempts": 4, "outage_limit_s": 20, **job}})
    workspace.export("orders.csv", [order(number) for number in range(30)])
    poison(workspace, poisoned)

    ended = workspace.backfill("run", "orders")

    outcomes = [(line["status"], line["attempts"]) for line in workspace.outcomes()]
    assert ended.exit_code == 3
    assert outcomes == [("unknown", "4") if n in poisoned else ("succeeded", "1") for n in range(30)]


def test_rows_whose_answers_never_verify_do_not_stop_others(workspace: Workspace) -> None:
    """Of 30 rows, the answers to 3 never verify, also while only these are left in flight: all others are sent."""
    workspace.configure({"jobs.orders": {"max_attempts": 3, "concurrency": 3}})
    workspace.export("orders.csv", [order(number) for number in range(30)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.BAD_SIGNATURE, key=f"A{number}") for number in (4, 11, 18)])

    ended = workspace.backfill("run", "orders")

    outcomes = [(line["status"], line["attempts"]) for line in workspace.outcomes()]
    assert ended.exit_code == 3
    assert outcomes == [("unknown", "3") if n in (4, 11, 18) else ("succeeded", "1") for n in range(30)]


def test_a_rerun_of_rows_that_always_fail_ends(workspace: Workspace) -> None:
    """A rerun of such rows only uses up their attempts again and exits with 3."""
    workspace.configure({"jobs.orders": {"max_attempts": 3, "concurrency": 3, "outage_limit_s": 20}})
    workspace.export("orders.csv", [order(number) for number in range(30)])
    poison(workspace, range(2))
    workspace.backfill("run", "orders")

    again = workspace.backfill("rerun", "last")

    assert (again.exit_code, workspace.results()) == (3, ["unknown http_500"] * 2)


def test_a_short_outage_is_soon_over(workspace: Workspace) -> None:
    """After an outage of 2 s with 16 requests in flight, everything is sent within 10 s."""
    workspace.configure({"jobs.orders": {"concurrency": 16, "max_attempts": 6}})
    workspace.export("orders.csv", [order(number) for number in range(300)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.STATUS, status=503, after_seconds=0.5, until_seconds=2.5)])

    ended = workspace.backfill("run", "orders")

    arrived = [entry.arrived_at for entry in workspace.simulator.journal.entries]
    longest = max(after - before for before, after in pairwise(arrived))
    assert (ended.exit_code, set(workspace.results())) == (0, {"succeeded SUCCESS"})
    assert longest <= timedelta(seconds=8)


def test_a_wait_for_the_platform_is_reported(workspace: Workspace) -> None:
    """Log and summary name the cause and length of a wait; a later run that waits does so too."""
    workspace.export("points.csv", [balance(card, 5) for card in range(3)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.THROTTLE, retry_after=6, first=1)])

    ended = workspace.backfill("run", "points")

    said = re.search(r"waited ([567]) s, from (\S+) to (\S+): the platform asked to wait \(Retry-After\)", ended.stdout)
    assert (ended.exit_code, said is not None) == (0, True)
    assert "waiting: the platform asked to wait (Retry-After), since " in ended.stderr


def test_a_wait_for_the_ledger_is_logged(workspace: Workspace) -> None:
    """While another process has the write lock, the log names cause, begin and end of the wait."""
    workspace.export("orders.csv", [order(number) for number in range(200)])
    workspace.configure({"jobs.orders": {"concurrency": 1}})
    process = workspace.start("run", "orders")
    wait_until(lambda: len(workspace.requests()) >= 3)
    assert process.stderr is not None
    database = workspace.folder / "state" / "backfill.db"
    with closing(sqlite3.connect(database, isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        said = next(line for line in process.stderr if "waiting: " in line)
        other.execute("ROLLBACK")
    ended = end_of(process)

    reason = "another process writes to the ledger, and keeps it locked"
    assert re.search(rf"waiting: {reason}, since \d\d:\d\d:\d\d UTC, until \d\d:\d\d:\d\d UTC\n$", said)
    assert ended.exit_code == 0
    assert re.search(rf"continuing after \d+ s: {reason}\n", ended.stderr)
    assert re.search(rf"  waited \d+ s, from .* to .*: {reason}\n", ended.stdout)
