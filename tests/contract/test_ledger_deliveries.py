"""Intents and settlements: what survives a crash, what holds a row back, and what is never sent again."""

from collections.abc import Mapping, Sequence

import pytest

from pipeline.ledger.records import DeliveryState, Due, Phase, RunState, Settlement
from pipeline.ledger.rules.admission import Blocked, Go, Skip
from pipeline.ledger.store.lease import LeaseOwner
from pipeline.model import Export, Status
from pipeline.tables.outcome_page import Outcome
from pipeline.write.answers.verdict import Verdict
from tests.contract.nights import (
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
    AnswerContent,
    MakeNights,
    Nights,
    Opens,
    conclude,
    ended,
    first_due,
)
from tests.contract.staged_rows import StagedRow, balance, invalid, order, task

BLOCKED = (Status.BLOCKED, "payment_not_succeeded")
HELD_BACK = (Status.BLOCKED, "earlier_state_open")


def test_a_settlement_is_told_as_it_was_made(nights: MakeNights, opens: Opens) -> None:
    """Every word of a settlement is in the row's outcome, together with where the row came from."""
    orders = nights()
    run = orders.begin()
    orders.stage(run, [order("A", "first")])
    ((due,),) = run.lanes()
    orders.intend(run, due)
    run.settle(
        due,
        Settlement(
            status=Status.REJECTED,
            code="INVALID_PARAMETER",
            message="mend it",
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
            message="mend it",
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


def test_what_was_confirmed_is_kept_without_its_cells(nights: MakeNights, opens: Opens) -> None:
    """The cells of a row, which name a user, are kept only while somebody may have to mend or send it."""
    orders = nights()
    record = orders.night(
        order("A"), order("B"), order("C"), order("A"), invalid("D"), answers={"B": REFUSED, "C": LOST}
    )

    assert [(o.request_key, o.cells) for o in opens().outcomes(record)] == [
        ("A", None),
        ("B", '["B","1"]'),
        ("C", '["C","1"]'),
        ("A", None),
        ("D", '["?"]'),
    ]


@pytest.fixture
def begun(nights: MakeNights) -> tuple[Nights, Due]:
    """A night whose only intent is on disk, and whose process has then died."""
    orders = nights()
    run = orders.begin()
    orders.stage(run, [order("A"), order("B")])
    due = first_due(run)
    assert orders.intend(run, due) == Go(doubt=False)
    return orders, due


def test_an_intent_survives_a_crash_as_doubt(begun: tuple[Nights, Due], opens: Opens) -> None:
    """After a crash between intent and settlement the row is unknown, and the one behind it unsent."""
    orders, _ = begun
    record = opens().find("last")

    assert (record.phase, record.state) == (Phase.DELIVERING, None)
    assert orders.reported_rows(record) == [("A", Status.UNKNOWN, "interrupted"), ("B", Status.UNSENT, "interrupted")]


def test_a_resumed_run_sends_the_same_bytes_and_knows_of_the_doubt(begun: tuple[Nights, Due], opens: Opens) -> None:
    """What may have been applied goes out again with key and body as they were, and its doubt comes along."""
    orders, due = begun
    run = opens().take_up(opens().find("last"), orders.owner)

    again = first_due(run)

    assert again == due
    assert run.intend([again]) == [Go(doubt=True, before=DeliveryState.SENDING)]


def test_a_settlement_that_was_not_yet_on_disk_is_lost_whole(begun: tuple[Nights, Due], opens: Opens) -> None:
    """A settlement that a crash takes leaves the intent as it was, and never a part of itself."""
    orders, _ = begun
    crashed = opens().take_up(opens().find("last"), orders.owner)
    due = first_due(crashed)
    crashed.intend([due])
    crashed.settle(due, Settlement(Status.SUCCEEDED, "SUCCESS", leaves=DeliveryState.SUCCEEDED))

    assert orders.reported_rows(opens().find("last"))[0] == ("A", Status.UNKNOWN, "interrupted")


def test_a_settlement_is_on_disk_with_the_next_intent(begun: tuple[Nights, Due], opens: Opens) -> None:
    """A settlement is durable as soon as any later intent is."""
    orders, _ = begun
    crashed = opens().take_up(opens().find("last"), orders.owner)
    first, second = next(crashed.lanes())
    crashed.intend([first])
    crashed.settle(first, Settlement(Status.SUCCEEDED, "SUCCESS", leaves=DeliveryState.SUCCEEDED))
    crashed.intend([second])

    assert orders.reported_rows(opens().find("last")) == [("A", *SENT), ("B", Status.UNKNOWN, "interrupted")]
    assert orders.reported_rows(orders.resume(opens().find("last"))) == [("A", *SENT), ("B", *SENT)]


def test_what_another_job_delivered_meanwhile_is_not_forgotten(nights: MakeNights) -> None:
    """Where two jobs of one account send the same key at once, a success stays whatever the other one learns."""
    one, other = nights(job="one"), nights(job="other")
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

    assert one.reported_rows(one.night(order("A"))) == [("A", *DELIVERED)]


@pytest.mark.parametrize(
    ("answer", "reported_rows"),
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
    nights: MakeNights, answer: Verdict, reported_rows: tuple[Status, str], *, apart: bool
) -> None:
    """A refund goes out only once its payment succeeded, in the same run or in another."""
    orders = nights()
    payment, refund = order("PAY"), order("BACK", refund_of="PAY")
    if apart:
        orders.night(payment, answers={"PAY": answer})
        record = orders.night(refund)
    else:
        record = orders.night(payment, refund, answers={"PAY": answer})

    assert orders.reported_rows(record)[-1] == ("BACK", *reported_rows)


@pytest.mark.parametrize(
    ("rows", "reported_rows"),
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
def test_a_refund_finds_its_payment_wherever_it_stands(
    nights: MakeNights, rows: Sequence[StagedRow], reported_rows: Sequence[AnswerContent]
) -> None:
    """A refund follows its payment whatever their order and lanes; one whose payment was never seen is sent."""
    orders = nights()

    assert orders.reported_rows(orders.night(*rows)) == reported_rows


def test_a_refund_whose_payment_another_process_left_in_the_air_waits(nights: MakeNights) -> None:
    """A payment whose intent a crash left behind has not succeeded yet."""
    orders = nights()
    crashed = orders.begin()
    orders.stage(crashed, [order("PAY")])
    ((due,),) = crashed.lanes()
    crashed.intend([due])

    assert orders.reported_rows(orders.night(order("BACK", refund_of="PAY"))) == [("BACK", *BLOCKED)]


def test_an_older_balance_is_not_sent_after_a_newer_one(nights: MakeNights) -> None:
    """A balance that an earlier run left unknown is overtaken once a newer one of the card was sent."""
    points = nights(Export.POINTS)
    old = points.night(balance("X", 5), answers={"X=5@": LOST})
    points.night(balance("X", 7))
    points.keys_sent()

    assert points.reported_rows(points.rerun(old)) == [("X=5@", *SUPERSEDED)]
    assert points.keys_sent() == []


def test_an_older_balance_goes_out_where_the_newer_one_surely_did_not(nights: MakeNights) -> None:
    """A newer balance that the platform refused overtakes nothing."""
    points = nights(Export.POINTS)
    old = points.night(balance("X", 5), answers={"X=5@": LOST})
    points.night(balance("X", 7), answers={"X=7@": REFUSED})

    assert points.reported_rows(points.rerun(old)) == [("X=5@", *SENT)]


@pytest.mark.parametrize(
    ("answers", "reported_rows"),
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
def test_a_task_ends_as_the_worst_of_its_parts(
    nights: MakeNights, answers: Mapping[str, Verdict], reported_rows: Sequence[AnswerContent]
) -> None:
    """A row with several deliveries has one outcome, that of the worst."""
    tasks = nights(Export.TASKS)

    assert tasks.reported_rows(tasks.night(task("A", 2), answers=answers)) == reported_rows


def test_skipping_at_the_last_moment_forgets_the_body(nights: MakeNights) -> None:
    """A row that another job delivered since it was staged is skipped when its turn comes."""
    one, other = nights(job="one"), nights(job="other")
    run = one.begin()
    one.stage(run, [order("A")])
    other.night(order("A"))
    ((due,),) = run.lanes()

    assert run.intend([due]) == [Skip("already_succeeded")]


@pytest.mark.parametrize(
    ("process", "admitted"),
    [
        pytest.param(ALIVE, Blocked, id="alive"),
        pytest.param(DEAD, Go, id="dead"),
    ],
)
def test_what_another_job_is_sending_is_not_sent_beside_it(
    nights: MakeNights, opens: Opens, process: LeaseOwner, admitted: type
) -> None:
    """Two jobs with the same rows, run at once, send each of them once; of a dead process nobody knows what it did."""
    first, second = nights(job="a"), nights(job="b")
    ahead, behind = first.begin(opens(process)), second.begin()
    first.stage(ahead, [order("A")])
    second.stage(behind, [order("A")])
    ((due,),) = ahead.lanes()
    first.intend(ahead, due)

    ((other,),) = behind.lanes()
    (admission,) = behind.intend([other])
    ahead.settle(due, ended(Go(doubt=False), DONE))
    ahead.keep_up()
    (after,) = behind.intend([other])

    assert isinstance(admission, admitted)
    assert after == Skip("already_succeeded")
