"""What is sent of an object's states, by its rows and what the ledger knows of it."""

from collections.abc import Iterator
from collections.abc import Sequence as Values
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ledger.records import DeliveryState
from pipeline.ledger.rules.objects import KnownState, NewestState, identity_of
from pipeline.ledger.staging.duplicates.rulings import Ruling
from pipeline.ledger.staging.sequence import Correction, Sequence, StagedState, overlap
from pipeline.model import ObjectState

OBJECT = "S1\x1ffilm"
EARLY, LATE = "2025-11-20T01:00:00.000000Z", "2025-11-20T02:00:00.000000Z"
OK, LOST, REFUSED, OPEN = DeliveryState.SUCCEEDED, DeliveryState.UNKNOWN, DeliveryState.REJECTED, None


@dataclass
class KnownDeliveries:
    """A history of states, each told by a letter and how its delivery stands."""

    states: Values[tuple[str, DeliveryState | None]]

    def newest_first(self) -> Iterator[KnownState]:
        return reversed(list(self._all()))

    def last(self, count: int, *, only_applied: bool) -> Iterator[KnownState]:
        states = [state for state in self._all() if state.may_be_applied or not only_applied]
        return iter(states[len(states) - count :])

    def _all(self) -> Iterator[KnownState]:
        for n, (content, delivery) in enumerate(self.states):
            yield KnownState(identity_of(ObjectState(OBJECT), n), content.encode() * 16, delivery)


def held_by(earlier: KnownDeliveries) -> NewestState | None:
    """Return the newest state that the platform may hold."""
    applied = [state for state in earlier.last(len(earlier.states), only_applied=False) if state.may_be_applied]
    if not applied:
        return None
    sure: list[bytes | None] = [state.digest for state in applied if state.delivery is OK]
    newest = applied[-1]
    return NewestState(
        OBJECT, newest.identity, newest.digest, None, 1, newest.delivery is not OK, (sure or [None])[-1], None
    )


def decided(contents: str, earlier: KnownDeliveries, held: NewestState | None = None) -> tuple[str, list[int]]:
    """Return what is found about the rows, a letter each, and which of them are states of the history."""
    rulings = dict.fromkeys(range(1, len(contents) + 1), Ruling.NOTHING)
    rows = [StagedState(n, "", content.encode() * 16) for n, content in enumerate(contents, 1)]
    corrections = list(Sequence(rows, earlier, held or held_by(earlier), rulings.__setitem__).decide())
    letters = {
        Ruling.NOTHING: "s",
        Ruling.DELIVERED: "d",
        Ruling.UNCHANGED: "u",
        Ruling.SUPERSEDED: "o",
        Ruling.DUPLICATE: "=",
    }
    return "".join(letters[ruling] for ruling in rulings.values()), [
        each.row_no for each in corrections if each.identity
    ]


@pytest.mark.parametrize(
    ("contents", "earlier", "found", "known"),
    [
        pytest.param("F", [], "s", [], id="nothing-is-known"),
        pytest.param("FAF", [], "sss", [], id="comes-back"),
        pytest.param("FFAAF", [], "s=s=s", [], id="next-to-each-other"),
        pytest.param("F", [("F", OK)], "u", [1], id="held"),
        pytest.param("A", [("F", OK)], "s", [], id="another"),
        pytest.param("AF", [("F", OK)], "ss", [], id="away-and-back"),
        pytest.param("FAF", [("F", OK), ("A", OK), ("F", OK)], "ddu", [1, 2, 3], id="again"),
        pytest.param("FAFA", [("F", OK), ("A", OK), ("F", OK)], "ddus", [1, 2, 3], id="grown"),
        pytest.param("FA", [("F", OK), ("A", LOST)], "ds", [1, 2], id="doubt"),
        pytest.param("F", [("F", OK), ("A", LOST)], "s", [], id="before-doubt"),
        pytest.param("FAB", [("F", OK), ("A", REFUSED), ("B", OK)], "dou", [1, 2, 3], id="refused-in-between"),
        pytest.param("FB", [("F", OK), ("A", REFUSED), ("B", OK)], "du", [1, 2], id="refused-and-gone"),
        pytest.param("FA", [("F", OK), ("A", REFUSED)], "us", [1, 2], id="refused-at-the-end"),
        pytest.param("FA", [("F", OPEN), ("A", OPEN)], "ss", [1, 2], id="still-to-be-sent"),
        pytest.param("FAF", [("F", OPEN)], "sss", [1], id="the-first-of-them-is"),
        pytest.param("FA", [("F", OK), ("A", OK), ("F", OK), ("A", OK)], "du", [1, 2], id="the-last-ones-count"),
    ],
)
def test_rows_stand_for_the_end_of_the_history(
    contents: str, earlier: Values[tuple[str, DeliveryState | None]], found: str, known: list[int]
) -> None:
    """The longest beginning of the rows that is the end of the history is not new; all behind it is."""
    assert decided(contents, KnownDeliveries(earlier)) == (found, known)


@given(st.lists(st.integers(0, 2), max_size=8), st.lists(st.integers(0, 2), max_size=8))
def test_the_longest_overlap_is_found(reported: list[int], earlier: list[int]) -> None:
    """It is what comparing all lengths one by one gives."""
    lengths = range(min(len(reported), len(earlier)) + 1)

    assert overlap(reported, reversed(earlier)) == max(
        n for n in lengths if reported[:n] == earlier[len(earlier) - n :]
    )


@given(st.text("FAB", min_size=1, max_size=6), st.lists(st.tuples(st.sampled_from("FAB"), st.just(OK)), max_size=6))
def test_a_run_that_is_done_again_sends_nothing(contents: str, before: list[tuple[str, DeliveryState | None]]) -> None:
    """Whatever was told before: what a run has sent is not sent again by the same rows."""
    found, _ = decided(contents, KnownDeliveries(before))
    sent = [(content, OK) for content, letter in zip(contents, found, strict=True) if letter == "s"]

    again, _ = decided(contents, KnownDeliveries([*before, *sent]))

    assert "s" not in again


def test_a_duplicate_says_how_late_a_state_still_holds() -> None:
    """Of equal states next to each other the first is sent, and is as new as the last."""
    rows = [StagedState(1, EARLY, b"F" * 16), StagedState(2, LATE, b"F" * 16)]
    rulings: dict[int, Ruling] = {}

    assert list(Sequence(rows, KnownDeliveries([]), None, rulings.__setitem__).decide()) == [
        Correction(1, None, LATE, 2)
    ]
    assert rulings == {2: Ruling.DUPLICATE}
