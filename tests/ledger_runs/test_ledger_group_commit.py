"""Entries that several workers write at the same moment have the same result as one by one."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pipeline.ledger.records import Due, Settlement
from pipeline.ledger.rules.admission import Admission, Go
from pipeline.ledger.run_ledger import RunLedger
from pipeline.model import Export
from pipeline.tables.outcome_page import Outcome
from pipeline.write.answers.verdict import Verdict
from tests.ledger_runs.job_runs import DONE, LOST, NOT_CONNECTED, REFUSED, THROTTLED, NewJobRuns, ended
from tests.ledger_runs.staged_rows import StagedRow, balance, order, state

Ended = tuple[Due, Settlement]

GO = Go(doubt=False)
ENDS: tuple[Verdict, ...] = (DONE, REFUSED, LOST, THROTTLED, NOT_CONNECTED)


def first_of_each_lane(run: RunLedger) -> list[Due]:
    return [next(iter(lane)) for lane in run.lanes()]


def at_once(run: RunLedger, ended: Sequence[Ended], begun: Sequence[Due]) -> list[Admission]:
    for due, end in ended:
        run.settle(due, end)
    return run.intend(begun)


def one_by_one(run: RunLedger, ended: Sequence[Ended], begun: Sequence[Due]) -> list[Admission]:
    for due, end in ended:
        run.settle(due, end)
        run.heartbeat()
    return [admission for due in begun for admission in run.intend([due])]


@pytest.mark.parametrize(
    ("export", "rows"),
    [
        pytest.param(Export.ORDERS, [order(key, user=key) for key in "ABCDEF"], id="orders"),
        pytest.param(Export.POINTS, [balance(key, 7) for key in "ABCDEF"], id="balances"),
        pytest.param(Export.STATES, [state(key, "PAID") for key in "ABCDEF"], id="states"),
    ],
)
def test_entries_written_together_give_the_same_result(
    export: Export, rows: Sequence[StagedRow], new_job: NewJobRuns
) -> None:
    """Intents and settlements of every kind are admitted and reported the same, together or alone."""
    results: list[tuple[list[Admission], list[Outcome], list[Admission]]] = []
    for job, record in (("together", at_once), ("alone", one_by_one)):
        one_job = replace(new_job(export), job=job, account=job, owner=f"{job}'s own")
        run = one_job.begin()
        one_job.stage(run, rows)
        dues = first_of_each_lane(run)
        admissions = record(run, [], dues)
        again = record(run, [(due, ended(GO, answer)) for due, answer in zip(dues, ENDS, strict=False)], dues)
        run.heartbeat()
        results.append((admissions, list(one_job.opens().outcomes(run.run)), again))

    assert results[0] == results[1]
    assert results[0][0] == [GO] * len(results[0][0])


def test_settlements_are_written_before_intents(new_job: NewJobRuns) -> None:
    """A due goes out after the one before it is confirmed, also if both are written in one transaction."""
    orders = new_job()
    run = orders.begin()
    orders.stage(run, [order("P"), order("R", refund_of="P")])
    ((payment, refund),) = run.lanes()
    run.intend([payment])
    run.settle(payment, ended(GO, DONE))

    assert run.intend([refund]) == [GO]
