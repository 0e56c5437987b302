"""Intents and settlements: what survives a crash, what blocks a row, and what is never sent again."""

from collections.abc import Mapping, Sequence

import pytest

from pipeline.ledger.records import DeliveryState, Due, Phase, RunState, Settlement
from pipeline.ledger.rules.admission import Blocked, Go, Skip
from pipeline.ledger.store.lease import LeaseOwner
from pipeline.model import Export, Status
from pipeline.tables.outcome_page import Outcome
from pipeline.write.answers.verdict import Verdict
from tests.ledger_runs.job_runs import (
    ALIVE,
    DEAD,
    DELIVERED,
    DONE,
    LOST,
    NOT_CONNECTED,
    REFUSED,
    SENT,
    SUPERSEDED,
    THROTTLED,
    UNCHANGED,
    JobRuns,
    NewJobRuns,
    Opens,
    ReportedRow,
    conclude,
    ended,
    first_due,
)
from tests.ledger_runs.staged_rows import StagedRow, balance, invalid, order, task

BLOCKED = (Status.BLOCKED, "payment_not_succeeded")
HELD_BACK = (Status.BLOCKED, "earlier_state_open")


def test_a_settlement_is_reported_whole(new_job: NewJobRuns, opens: Opens) -> None:
    """Every field of a settlement is in the row's outcome, with the row's place."""
    orders = new_job()
    run = orders.begin()
    orders.stage(run, [order("A", "first")])
    ((due,),) = run.lanes()
    orders.intend(run, due)
    run.settle(
        due,
        Settlement(
            status=Status.REJECTED,
            code="INVALID_PARAMETER",
            message="fix it",
            http_status=400,
            attempts=3,
            first_sent_at="2026-03-01T12:00:01.000Z",
            finished_at="2026-03-01T12:00:02.000Z",
            latency_ms=87,
            trace_id="trace",
            wants_new_key=True,
            leaves=DeliveryState.REJECTED,
        ),
    )
    record = conclude(run, RunState.COMPLETED)

    assert list(opens().outcomes(record)) == [
        Outcome(
            source_file="orders.csv",
            source_row=1,
            request_key="A",
            status=Status.REJECTED,
            code="INVALID_PARAMETER",
            message="fix it",
            http_status=400,
            attempts=3,
            first_sent_at="2026-03-01T12:00:01.000Z",
            finished_at="2026-03-01T12:00:02.000Z",
            latency_ms=87,
            trace_id="trace",
            file_no=1,
            wants_new_key=True,
            cells='["A","first"]',
        )
    ]


def test_cells_of_confirmed_rows_are_deleted(new_job: NewJobRuns, opens: Opens) -> None:
    """The cells of a row name a user. They are kept only while the row may be fixed or sent."""
    orders = new_job()
    record = orders.run(order("A"), order("B"), order("C"), order("A"), invalid("D"), answers={"B": REFUSED, "C": LOST})

    assert [(o.request_key, o.cells) for o in opens().outcomes(record)] == [
        ("A", None),
        ("B", '["B","1"]'),
        ("C", '["C","1"]'),
        ("A", None),
        ("D", '["?"]'),
    ]


@pytest.fixture
def begun(new_job: NewJobRuns) -> tuple[JobRuns, Due]:
    """A run whose only intent is on disk, and whose process then died."""
    orders = new_job()
    run = orders.begin()
    orders.stage(run, [order("A"), order("B")])
    due = first_due(run)
    assert orders.intend(run, due) == Go(doubt=False)
    return orders, due


def test_an_intent_survives_a_crash_as_doubt(begun: tuple[JobRuns, Due], opens: Opens) -> None:
    """After a crash between intent and settlement the row is unknown, and the next one unsent."""
    orders, _ = begun
    record = opens().find("last")

    assert (record.phase, record.state) == (Phase.DELIVERING, None)
    assert orders.reported_rows(record) == [("A", Status.UNKNOWN, "interrupted"), ("B", Status.UNSENT, "interrupted")]


def test_a_resumed_run_sends_the_same_bytes_and_keeps_the_doubt(begun: tuple[JobRuns, Due], opens: Opens) -> None:
    """A delivery in doubt goes out again with the same key and body, and stays in doubt."""
    orders, due = begun
    run = opens().resume(opens().find("last"), orders.owner)

    again = first_due(run)

    assert again == due
    assert run.intend([again]) == [Go(doubt=True, before=DeliveryState.SENDING)]


def test_a_settlement_that_was_not_yet_on_disk_is_lost_whole(begun: tuple[JobRuns, Due], opens: Opens) -> None:
    """A settlement that a crash loses leaves the intent unchanged."""
    orders, _ = begun
    crashed = opens().resume(opens().find("last"), orders.owner)
    due = first_due(crashed)
    crashed.intend([due])
    crashed.settle(due, Settlement(Status.SUCCEEDED, "SUCCESS", leaves=DeliveryState.SUCCEEDED))

    assert orders.reported_rows(opens().find("last"))[0] == ("A", Status.UNKNOWN, "interrupted")


def test_a_settlement_is_on_disk_with_the_next_intent(begun: tuple[JobRuns, Due], opens: Opens) -> None:
    """A settlement is durable as soon as any later intent is."""
    orders, _ = begun
    crashed = opens().resume(opens().find("last"), orders.owner)
    first, second = next(crashed.lanes())
    crashed.intend([first])
    crashed.settle(first, Settlement(Status.SUCCEEDED, "SUCCESS", leaves=DeliveryState.SUCCEEDED))
    crashed.intend([second])

    assert orders.reported_rows(opens().find("last")) == [("A", *SENT), ("B", Status.UNKNOWN, "interrupted")]
    assert orders.reported_rows(orders.resume(opens().find("last"))) == [("A", *SENT), ("B", *SENT)]


def test_a_success_of_another_job_stays(new_job: NewJobRuns) -> None:
    """If 2 jobs of an account send the same key at once, a success stays, whatever the other job gets."""
    one, other = new_job(job="one"), new_job(job="other")
    first, second = one.begin(), other.begin()
    one.stage(first, [order("A")])
    other.stage(second, [order("A")])
    ((due,),), ((same,),) = first.lanes(), second.lanes()
    first.intend([due])
    second.intend([same])
    first.settle(due, Settlement(Status.SUCCEEDED, "SUCCESS", leaves=DeliveryState.SUCCEEDED))
    conclude(first, RunState.COMPLETED)
    second.settle(same, Settlement(Status.UNKNOWN, "timeout", leaves=DeliveryState.UNKNOWN))
    conclude(second, RunState.COMPLETED)

    assert one.reported_rows(one.run(order("A"))) == [("A", *DELIVERED)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(DONE, SENT, id="succeeded"),
        pytest.param(REFUSED, BLOCKED, id="refused"),
        pytest.param(LOST, BLOCKED, id="in-doubt"),
        pytest.param(THROTTLED, BLOCKED, id="throttled"),
        pytest.param(NOT_CONNECTED, BLOCKED, id="never-left"),
    ],
)
@pytest.mark.parametrize("apart", [pytest.param(False, id="one-run"), pytest.param(True, id="two-runs")])
def test_a_refund_waits_for_its_payment(
    new_job: NewJobRuns, answer: Verdict, expected: tuple[Status, str], *, apart: bool
) -> None:
    """A refund goes out only after its payment succeeded, in the same run or in another."""
    orders = new_job()
    payment, refund = order("PAY"), order("BACK", refund_of="PAY")
    if apart:
        orders.run(payment, answers={"PAY": answer})
        record = orders.run(refund)
    else:
        record = orders.run(payment, refund, answers={"PAY": answer})

    assert orders.reported_rows(record)[-1] == ("BACK", *expected)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([order("BACK", refund_of="PAY")], [("BACK", *SENT)], id="a-payment-that-was-never-seen"),
        pytest.param(
            [invalid("PAY"), order("BACK", refund_of="PAY")],
            [("PAY", Status.INVALID, "field_missing"), ("BACK", *BLOCKED)],
            id="an-invalid-payment",
        ),
        pytest.param(
            [order("BACK", refund_of="PAY"), order("PAY")], [("BACK", *SENT), ("PAY", *SENT)], id="refund-above-payment"
        ),
        pytest.param(
            [order("BACK", user="v", refund_of="PAY"), order("PAY", user="u")],
            [("BACK", *SENT), ("PAY", *SENT)],
            id="of-another-user",
        ),
        pytest.param(
            [order("C", refund_of="B", user="c"), order("B", refund_of="A", user="b"), order("A", user="a")],
            [("C", *SENT), ("B", *SENT), ("A", *SENT)],
            id="a-chain",
        ),
        pytest.param(
            [order("A", refund_of="B"), order("B", refund_of="A")], [("A", *BLOCKED), ("B", *BLOCKED)], id="a-circle"
        ),
    ],
)
def test_a_refund_finds_its_payment_in_any_place(
    new_job: NewJobRuns, rows: Sequence[StagedRow], expected: Sequence[ReportedRow]
) -> None:
    """A refund follows its payment in any order and lane. One whose payment was never seen is sent."""
    orders = new_job()

    assert orders.reported_rows(orders.run(*rows)) == expected


def test_a_refund_waits_for_a_payment_that_a_crash_left_in_doubt(new_job: NewJobRuns) -> None:
    """A payment with an intent but no settlement has not succeeded."""
    orders = new_job()
    crashed = orders.begin()
    orders.stage(crashed, [order("PAY")])
    ((due,),) = crashed.lanes()
    crashed.intend([due])

    assert orders.reported_rows(orders.run(order("BACK", refund_of="PAY"))) == [("BACK", *BLOCKED)]


def test_an_older_balance_is_not_sent_after_a_newer_one(new_job: NewJobRuns) -> None:
    """An unknown balance of an earlier run is superseded once a newer one of the card was sent."""
    points = new_job(Export.POINTS)
    old = points.run(balance("X", 5), answers={"X=5@": LOST})
    points.run(balance("X", 7))
    points.keys_sent()

    assert points.reported_rows(points.rerun(old)) == [("X=5@", *SUPERSEDED)]
    assert points.keys_sent() == []


def test_an_unchanged_balance_without_a_time_is_later_than_dated_ones_of_before(new_job: NewJobRuns) -> None:
    """Without a time the place decides, although the platform got the balance with a time, below that of another."""
    points = new_job(Export.POINTS)
    points.run(balance("X", 5, version="1"))
    between = points.run(balance("X", 7, version="3"), most=0)
    assert points.reported_rows(points.run(balance("X", 5))) == [("X=5@", *UNCHANGED)]

    assert points.reported_rows(points.resume(between)) == [("X=7@3", *SUPERSEDED)]


def test_an_older_balance_is_sent_if_the_newer_one_was_refused(new_job: NewJobRuns) -> None:
    """A newer balance that the platform refused supersedes nothing."""
    points = new_job(Export.POINTS)
    old = points.run(balance("X", 5), answers={"X=5@": LOST})
    points.run(balance("X", 7), answers={"X=7@": REFUSED})

    assert points.reported_rows(points.rerun(old)) == [("X=5@", *SENT)]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param({}, [("A", *SENT)], id="all-new"),
        pytest.param({"A-2": LOST}, [("A", Status.UNKNOWN, "timeout")], id="doubt-weighs-most"),
        pytest.param({"A-1": REFUSED, "A-2": LOST}, [("A", Status.UNKNOWN, "timeout")], id="more-than-a-refusal"),
        pytest.param(
            {"A-1": REFUSED, "A-2": THROTTLED},
            [("A", Status.REJECTED, "INVALID_PARAMETER")],
            id="a-refusal-than-unsent",
        ),
        pytest.param({"A-2": THROTTLED}, [("A", Status.UNSENT, "throttled")], id="unsent-than-success"),
    ],
)
def test_a_task_ends_as_its_worst_delivery(
    new_job: NewJobRuns, answers: Mapping[str, Verdict], expected: Sequence[ReportedRow]
) -> None:
    """A row with several deliveries has the outcome of the worst one."""
    tasks = new_job(Export.TASKS)

    assert tasks.reported_rows(tasks.run(task("A", 2), answers=answers)) == expected


def test_a_row_delivered_by_another_job_is_skipped_at_its_intent(new_job: NewJobRuns) -> None:
    """A row that another job delivered after it was staged is skipped."""
    one, other = new_job(job="one"), new_job(job="other")
    run = one.begin()
    one.stage(run, [order("A")])
    other.run(order("A"))
    ((due,),) = run.lanes()

    assert run.intend([due]) == [Skip("already_succeeded")]


@pytest.mark.parametrize(
    ("process", "admitted"),
    [
        pytest.param(ALIVE, Blocked, id="alive"),
        pytest.param(DEAD, Go, id="dead"),
    ],
)
def test_two_jobs_do_not_send_a_row_at_the_same_time(
    new_job: NewJobRuns, opens: Opens, process: LeaseOwner, admitted: type
) -> None:
    """2 jobs with the same row send it once, as long as the process of the first one lives."""
    first, second = new_job(job="a"), new_job(job="b")
    ahead, behind = first.begin(opens(process)), second.begin()
    first.stage(ahead, [order("A")])
    second.stage(behind, [order("A")])
    ((due,),) = ahead.lanes()
    first.intend(ahead, due)

    ((other,),) = behind.lanes()
    (admission,) = behind.intend([other])
    ahead.settle(due, ended(Go(doubt=False), DONE))
    ahead.heartbeat()
    (after,) = behind.intend([other])

    assert isinstance(admission, admitted)
    assert after == Skip("already_succeeded")
