"""Lanes: the order of dues, and which are admitted together."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ledger.records import Due
from pipeline.model import Balance, ObjectState
from pipeline.write.lanes import draw, payments_first, stretches
from tests.write.harness import due


@pytest.mark.parametrize(
    ("lane", "order"),
    [
        pytest.param([("A", None), ("B", None)], ["A", "B"], id="source-order"),
        pytest.param([("A", None), ("R", "A"), ("B", None)], ["A", "R", "B"], id="a-refund-in-its-place"),
        pytest.param(
            [("R", "A"), ("B", None), ("A", None), ("C", None)], ["B", "A", "R", "C"], id="a-refund-too-early"
        ),
        pytest.param([("S", "R"), ("R", "A"), ("A", None), ("B", None)], ["A", "R", "S", "B"], id="a-chain"),
        pytest.param([("R", "A"), ("S", "A"), ("A", None)], ["A", "R", "S"], id="two-of-one"),
        pytest.param([("R", "elsewhere"), ("A", None)], ["R", "A"], id="a-payment-elsewhere"),
        pytest.param([("R", "S"), ("S", "R"), ("A", None)], ["A", "R", "S"], id="a-cycle-comes-last"),
        pytest.param([("R", "R"), ("A", None)], ["A", "R"], id="of-itself"),
    ],
)
def test_a_refund_follows_its_payment(lane: Sequence[tuple[str, str | None]], order: Sequence[str]) -> None:
    """Dues keep their source order; a refund above its payment moves directly after it."""
    dues = [due(key, number=n, refund_of=payment) for n, (key, payment) in enumerate(lane, 1)]

    assert [each.identity for each in payments_first(dues)] == order


@given(st.lists(st.tuples(st.sampled_from("ABCDEF"), st.none() | st.sampled_from("ABCDEFX")), unique_by=lambda d: d[0]))
def test_no_due_of_a_lane_is_lost_or_doubled(lane: list[tuple[str, str | None]]) -> None:
    """Each due appears once, and after its payment unless refunds form a cycle."""
    dues = [due(key, number=n, refund_of=payment) for n, (key, payment) in enumerate(lane, 1)]
    ordered = list(payments_first(dues))

    assert sorted(ordered, key=lambda d: d.due_no) == dues
    payment_of = dict(lane)
    place = {each.identity: n for n, each in enumerate(ordered)}
    for key, payment in lane:
        chain = {key}
        above = payment
        while above in payment_of and above not in chain:
            chain.add(above)
            above = payment_of[above]
        if payment in place and above not in chain:
            assert place[payment] < place[key]


def state(key: str, code: str) -> Due:
    """Return a due with a state of an object."""
    return replace(due(key), identity=f"{key}/{code}", state=ObjectState(key))


@pytest.mark.parametrize(
    ("lane", "lengths"),
    [
        pytest.param([due(key) for key in "ABC"], [3], id="payments"),
        pytest.param([due(key) for key in "ABCDEFGHI"], [4, 4, 1], id="many-payments"),
        pytest.param([due("A"), due("B"), due("R", refund_of="A"), due("C")], [2, 2], id="a-refund"),
        pytest.param([due("R", refund_of="elsewhere"), due("A")], [2], id="a-refund-first"),
        pytest.param([due("A"), due("R", refund_of="elsewhere")], [1, 1], id="a-refund-of-another-run"),
        pytest.param([state("A", "open"), state("A", "closed"), state("B", "open")], [1, 1, 1], id="states"),
        pytest.param([replace(due(key), balance=Balance(b"card", 5, None)) for key in "AB"], [1, 1], id="balances"),
    ],
)
def test_a_due_that_may_wait_starts_a_stretch(lane: Sequence[Due], lengths: Sequence[int]) -> None:
    """Payments of a lane are admitted together, up to four. Refunds, states and balances start a new stretch."""
    cut = list(stretches(iter(lane)))

    assert [len(stretch) for stretch in cut] == lengths
    assert [one for stretch in cut for one in stretch] == lane


@pytest.mark.parametrize(("wanted", "drawn"), [(0, 0), (1, 1), (2, 1), (3, 2), (4, 3), (99, 4)])
def test_lanes_are_drawn_until_enough_dues(wanted: int, drawn: int) -> None:
    """`draw` takes lanes until their first stretches have enough dues, and leaves the others."""
    lanes = [[due("A"), due("B")], [due("C")], [due("D"), due("R", refund_of="D")], [due("E")]]
    left = iter(lanes)

    assert [[one for stretch in lane for one in stretch] for lane in draw(left, wanted)] == lanes[:drawn]
    assert list(left) == lanes[drawn:]
