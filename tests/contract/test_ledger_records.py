"""What several workers write at one moment: it comes to what each of them would have written alone."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pipeline.ledger.records import Due, Settlement
from pipeline.ledger.rules.admission import Admission, Go
from pipeline.ledger.run_ledger import RunLedger
from pipeline.model import Export
from pipeline.tables.outcome_page import Outcome
from pipeline.write.answers.verdict import Verdict
from tests.contract.nights import DONE, LOST, NOT_CONNECTED, REFUSED, THROTTLED, MakeNights, ended
from tests.contract.staged_rows import StagedRow, balance, order, state

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
        run.keep_up()
    return [admission for due in begun for admission in run.intend([due])]


@pytest.mark.parametrize(
    ("export", "rows"),
    [
        pytest.param(Export.ORDERS, [order(key, user=key) for key in "ABCDEF"], id="orders"),
        pytest.param(Export.POINTS, [balance(key, 7) for key in "ABCDEF"], id="balances"),
        pytest.param(Export.STATES, [state(key, "PAID") for key in "ABCDEF"], id="states"),
    ],
)
def test_together_is_as_one_by_one(export: Export, rows: Sequence[StagedRow], nights: MakeNights) -> None:
    """Intents and ends of every kind, recorded at once, are admitted and told as when each is recorded alone."""
    reported_rows: list[tuple[list[Admission], list[Outcome], list[Admission]]] = []
    for job, record in (("together", at_once), ("alone", one_by_one)):
        night = replace(nights(export), job=job, account=job, owner=f"{job}'s own")
        run = night.begin()
        night.stage(run, rows)
        dues = first_of_each_lane(run)
        admissions = record(run, [], dues)
        again = record(run, [(due, ended(GO, answer)) for due, answer in zip(dues, ENDS, strict=False)], dues)
        run.keep_up()
        reported_rows.append((admissions, list(night.opens().outcomes(run.run)), again))

    assert reported_rows[0] == reported_rows[1]
    assert reported_rows[0][0] == [GO] * len(reported_rows[0][0])


def test_what_ended_is_settled_before_what_begins(nights: MakeNights) -> None:
    """A due goes out once the one before it is confirmed, also where both reach the disk at once."""
    orders = nights()
    run = orders.begin()
    orders.stage(run, [order("P"), order("R", refund_of="P")])
    ((payment, refund),) = run.lanes()
    run.intend([payment])
    run.settle(payment, ended(GO, DONE))

    assert run.intend([refund]) == [GO]
