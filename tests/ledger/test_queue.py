"""Lanes that hang together become one."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.ledger.queue import joined

lanes = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(lanes, lanes)))
def test_lanes_that_hang_together_become_one(pairs: list[tuple[str, str]]) -> None:
    """Two lanes become one where a chain of pairs leads from the one to the other, and only there."""
    together = {lane: {lane} for lane in "abcdefgh"}
    for one, other in pairs:
        both = together[one] | together[other]
        together.update(dict.fromkeys(both, both))

    found = joined(pairs)

    named = {lane: found.get(lane, lane) for lane in "abcdefgh"}
    assert all((named[one] == named[other]) == (other in together[one]) for one in named for other in named)
    assert all(found[lane] != lane for lane in found)
