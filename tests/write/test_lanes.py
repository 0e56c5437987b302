"""The order within a lane."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.write.lanes import payments_first
from tests.write.rehearsal import due


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
        pytest.param([("R", "S"), ("S", "R"), ("A", None)], ["A", "R", "S"], id="a-circle-comes-last"),
        pytest.param([("R", "R"), ("A", None)], ["A", "R"], id="of-itself"),
    ],
)
def test_a_refund_follows_its_payment(lane: Sequence[tuple[str, str | None]], order: Sequence[str]) -> None:
    """Dues go in source order, and a refund that stands above its payment goes right after it."""
    dues = [due(key, number=n, refund_of=payment) for n, (key, payment) in enumerate(lane, 1)]

    assert [each.identity for each in payments_first(dues)] == order


@given(st.lists(st.tuples(st.sampled_from("ABCDEF"), st.none() | st.sampled_from("ABCDEFX")), unique_by=lambda d: d[0]))
def test_no_due_of_a_lane_is_lost_or_doubled(lane: list[tuple[str, str | None]]) -> None:
    """Whatever names whatever, each due comes once, and none before its payment unless they run in a circle."""
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
