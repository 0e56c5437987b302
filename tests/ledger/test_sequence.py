"""Which states of an object are sent, by its rows and its history."""

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
class FakeHistory:
    """A history of states; each is a letter with the state of its delivery. The first `dated` have a time of change."""

    states: Values[tuple[str, DeliveryState | None]]
    dated: int = 0

    def newest_first(self) -> Iterator[KnownState]:
        return reversed(list(self._all()))

    def _all(self) -> Iterator[KnownState]:
        for n, (content, delivery) in enumerate(self.states):
            version = EARLY if n < self.dated else None
            yield KnownState(identity_of(ObjectState(OBJECT, version), n), content.encode() * 16, delivery)


def newest_of(history: FakeHistory) -> NewestState | None:
    """Return the newest state that the platform may have."""
    applied = [state for state in history.newest_first() if state.may_be_applied]
    if not applied:
        return None
    sure: list[bytes | None] = [state.digest for state in applied if state.delivery is OK]
    newest = applied[0]
    return NewestState(
        OBJECT, newest.identity, newest.digest, None, 1, newest.delivery is not OK, (sure or [None])[0], None
    )


def decided(contents: str, history: FakeHistory, newest: NewestState | None = None) -> tuple[str, list[int]]:
    """Return the ruling on each row, as a letter, and which rows are states of the history."""
    rulings = dict.fromkeys(range(1, len(contents) + 1), Ruling.NOTHING)
    rows = [StagedState(n, "", content.encode() * 16) for n, content in enumerate(contents, 1)]
    newest = newest or newest_of(history)
    corrections = list(Sequence(lambda: rows, history.newest_first, newest, rulings.__setitem__).decide())
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
    ("contents", "history", "found", "known"),
    [
        pytest.param("F", [], "s", [], id="nothing-is-known"),
        pytest.param("FAF", [], "sss", [], id="comes-back"),
        pytest.param("FFAAF", [], "s=s=s", [], id="next-to-each-other"),
        pytest.param("F", [("F", OK)], "u", [1], id="newest"),
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
    contents: str, history: Values[tuple[str, DeliveryState | None]], found: str, known: list[int]
) -> None:
    """The longest beginning of the rows that is the end of the history is not new; all later rows are."""
    assert decided(contents, FakeHistory(history)) == (found, known)


@given(st.lists(st.integers(0, 2), max_size=8), st.lists(st.integers(0, 2), max_size=8))
def test_the_longest_overlap_is_found(rows: list[int], history: list[int]) -> None:
    """The result is the same as from comparing all lengths, one by one."""
    lengths = range(min(len(rows), len(history)) + 1)

    assert overlap(rows, reversed(history)) == max(n for n in lengths if rows[:n] == history[len(history) - n :])


@given(
    st.text("FAB", min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from("FAB"), st.just(OK)), max_size=6),
    st.integers(0, 6),
)
def test_a_repeated_run_sends_nothing(
    contents: str, before: list[tuple[str, DeliveryState | None]], dated: int
) -> None:
    """The states that a run has sent are not sent again by the same rows, whatever the history was before."""
    dated = min(dated, len(before))
    found, _ = decided(contents, FakeHistory(before, dated))
    sent = [(content, OK) for content, letter in zip(contents, found, strict=True) if letter == "s"]

    again, _ = decided(contents, FakeHistory([*before, *sent], dated))

    assert "s" not in again


def test_equal_states_in_a_row_are_sent_once() -> None:
    """Of equal states in a row the first is sent, and counts as new as the last."""
    rows = [StagedState(1, EARLY, b"F" * 16), StagedState(2, LATE, b"F" * 16)]
    rulings: dict[int, Ruling] = {}

    corrections = list(Sequence(lambda: rows, FakeHistory([]).newest_first, None, rulings.__setitem__).decide())

    assert corrections == [Correction(1, None, LATE, 2)]
    assert rulings == {2: Ruling.DUPLICATE}
