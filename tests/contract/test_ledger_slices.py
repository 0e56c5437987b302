"""What concerns all rows of a run is written slice by slice, over every ledger."""

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from unittest.mock import patch

import pytest

from pipeline.ledger import run_ledger
from pipeline.ledger.records import RunRecord, RunState
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.staging.rerun import Selection
from pipeline.model import Status
from tests.contract.nights import OPEN, MakeNights, Nights, Opens, conclude
from tests.contract.staged_rows import invalid, order

ROWS = 11
THE_ROWS = [*(order(f"A{n}") for n in range(ROWS)), invalid("?")]


class Crash(Exception):
    """The process is gone."""


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have slices of three rows."""
    monkeypatch.setattr("pipeline.ledger.staging.slices._LINES", 3)
    monkeypatch.setattr("pipeline.ledger.run_ledger._COPIED_AT_ONCE", 3)


def crash_at(nth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process die when it begins its nth transaction that may take long."""
    numbers, at_length = count(1), RunLedger._commit_at_length

    def commit(run: RunLedger, write: Callable[..., object]) -> object:
        if next(numbers) == nth:
            raise Crash
        return at_length(run, write)

    monkeypatch.setattr(run_ledger.RunLedger, "_commit_at_length", commit)


def begun(orders: Nights) -> RunLedger:
    run = orders.begin()
    orders.stage(run, THE_ROWS)
    return run


def stopped(orders: Nights) -> RunRecord:
    """Return a run that sent two rows, and left the others."""
    return orders.deliver(begun(orders), {}, most=2)


def end_early(orders: Nights) -> object:
    run = begun(orders)
    conclude(run, RunState.INTERRUPTED)
    return run.run


def resume(orders: Nights) -> object:
    return orders.resume(stopped(orders))


def rerun(orders: Nights) -> object:
    return orders.rerun(stopped(orders))


def stage_anew(orders: Nights) -> object:
    run = orders.begin()
    with patch("pipeline.ledger.history.runs.start_delivering", side_effect=Crash), suppress(Crash):
        orders.stage(run, THE_ROWS)
    run.unstage()
    return run.run


@pytest.mark.parametrize("work", [end_early, resume, rerun, stage_anew])
@pytest.mark.parametrize("nth", range(1, 30))
def test_a_crash_between_two_slices_loses_nothing(
    nights: MakeNights,
    opens: Opens,
    monkeypatch: pytest.MonkeyPatch,
    small_slices: None,
    work: Callable[[Nights], object],
    nth: int,
) -> None:
    """Wherever it comes: what was begun is done once more, and each row is sent once and told once."""
    orders = nights()
    with monkeypatch.context() as until_the_crash, suppress(Crash):
        crash_at(nth, until_the_crash)
        work(orders)
    _finish(orders, opens)

    keys = [f"A{n}" for n in range(ROWS)]
    assert sorted(orders.keys_sent()) == sorted(keys)
    last = orders.night(*(order(key) for key in keys))
    assert [status for _, status, _ in orders.reported_rows(last)] == [Status.SKIPPED] * ROWS


def _finish(orders: Nights, opens: Opens) -> None:
    """Do what an operator does: go on with each run, or stage it anew; then run what is left."""
    ledger = opens()
    for record in reversed(ledger.recent(10)):
        held = ledger.resume(record, orders.owner)
        if record.parent is not None and record.phase == "staging":
            orders.copy(held, ledger.find(record.parent), Selection(OPEN))
        elif record.phase == "staging":
            held.unstage()
            orders.stage(held, THE_ROWS)
        orders.deliver(held, {})


@pytest.mark.parametrize("work", [end_early, resume, rerun, stage_anew])
def test_other_jobs_write_between_slices(
    nights: MakeNights,
    opens: Opens,
    monkeypatch: pytest.MonkeyPatch,
    small_slices: None,
    work: Callable[[Nights], object],
) -> None:
    """A run of another job finds the ledger free before each slice; there are as many as the rows ask for."""
    orders, other = nights(), nights(job="other")
    run = other.begin(opens())
    slices, at_length = count(), RunLedger._commit_at_length

    def commit(one: RunLedger, write: Callable[..., object]) -> object:
        next(slices)
        run.finish(0)
        return at_length(one, write)

    monkeypatch.setattr(run_ledger.RunLedger, "_commit_at_length", commit)
    work(orders)

    assert next(slices) >= ROWS / 3 + 1
