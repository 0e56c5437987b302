"""Lanes: which dues are admitted together."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pipeline.ledger.records import Due
from pipeline.model import Balance, ObjectState
from pipeline.write.lanes import draw, stretches
from tests.write.harness import due


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

    found = [(first, list(others)) for first, others in draw(left, wanted)]

    assert [[one for stretch in (first, *others) for one in stretch] for first, others in found] == lanes[:drawn]
    assert list(left) == lanes[drawn:]
