"""Which states of an object are sent, by its rows and its history."""

from collections.abc import Iterator
from collections.abc import Sequence as Values
from dataclasses import dataclass
from itertools import groupby, zip_longest
from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ledger.records import DeliveryState
from pipeline.ledger.rules.objects import KnownState, NewestState, identity_of
from pipeline.ledger.staging.duplicates.rulings import Ruling
from pipeline.ledger.staging.sequence import Correction, Sequence, StagedState, overlap
from pipeline.model import ObjectState

OBJECT = "S1\x1ffilm"
HOURS = EARLY, LATE, _ = [f"2025-11-20T0{hour}:00:00.000000Z" for hour in (1, 2, 3)]
CHANGES = st.tuples(st.sampled_from("FAB"), st.sampled_from(HOURS))
OK, LOST, REFUSED, OPEN = DeliveryState.SUCCEEDED, DeliveryState.UNKNOWN, DeliveryState.REJECTED, None


@dataclass
class FakeHistory:
    """A history of states; each is a letter with the state of its delivery. The first ones have `times` of change."""

    states: Values[tuple[str, DeliveryState | None]]
    times: Values[str] = ()

    def newest_first(self) -> Iterator[KnownState]:
        return reversed(list(self._all()))

    def _all(self) -> Iterator[KnownState]:
        for n, ((content, delivery), time) in enumerate(zip_longest(self.states, self.times)):
            yield KnownState(identity_of(ObjectState(OBJECT, time), n), content.encode() * 16, delivery)


def newest_of(history: FakeHistory) -> NewestState | None:
    """Return the newest state that the platform may have."""
    applied = [state for state in history.newest_first() if state.may_be_applied]
    if not applied:
        return None
    newest, sure = applied[0], next((state for state in applied if state.delivery is OK), None)
    return NewestState(
        OBJECT,
        newest.identity,
        newest.digest,
        newest.version or None,
        1,
        newest.delivery is not OK,
        sure.digest if sure else None,
        (sure.version or None) if sure else None,
    )


def decided(contents: str, history: FakeHistory, times: Values[str] = ()) -> tuple[str, list[int]]:
    """Return the ruling on each row, as a letter, and which rows are states of the history."""
    rulings = dict.fromkeys(range(1, len(contents) + 1), Ruling.NOTHING)
    rows = [
        StagedState(n, time, content.encode() * 16)
        for n, (content, time) in enumerate(zip_longest(contents, times, fillvalue=""), 1)
    ]
    newest = newest_of(history)
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


@pytest.mark.parametrize(
    ("contents", "history", "found", "known"),
    [
        pytest.param("FA", [("F", OK), ("A", OK)], "du", [1, 2], id="again"),
        pytest.param("FAF", [("F", OK), ("A", OK), ("F", OK)], "ddu", [1, 2, 3], id="comes-back"),
        pytest.param("FAB", [("F", OK), ("A", OK)], "dus", [1, 2], id="grown"),
        pytest.param("FA", [("F", OK), ("A", LOST)], "ds", [1, 2], id="doubt"),
        pytest.param("FA", [("F", OK), ("A", OPEN)], "us", [1, 2], id="still-to-be-sent"),
        pytest.param("F", [("F", OK)], "u", [1], id="alone"),
        pytest.param("FB", [("F", OK), ("A", OK)], "ss", [], id="another-after-it"),
        pytest.param("FA", [("F", REFUSED), ("A", OK)], "ss", [], id="refused"),
    ],
)
def test_the_first_row_may_say_a_state_again_at_a_later_time(
    contents: str, history: Values[tuple[str, DeliveryState | None]], found: str, known: list[int]
) -> None:
    """The history has an unchanged state with the time of the export before; later rows are found behind it."""
    times = [EARLY, *[LATE] * (len(history) - 1)]

    assert decided(contents, FakeHistory(history, times), [LATE] * len(contents)) == (found, known)


@given(st.lists(st.integers(0, 2), max_size=8), st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=8))
def test_the_longest_overlap_is_found(rows: list[int], history: list[tuple[int, bool]]) -> None:
    """The result is the same as from comparing all lengths, one by one."""

    def is_overlap(count: int) -> bool:
        past = history[len(history) - count :]
        is_first = count == 0 or rows[0] == past[0][0] or (past[0][1] and count > 1)
        return is_first and rows[1:count] == [number for number, _ in past[1:]]

    assert overlap(rows, reversed(history)) == max(filter(is_overlap, range(min(len(rows), len(history)) + 1)))


@given(
    st.text("FAB", min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from("FAB"), st.just(OK)), max_size=6),
    st.integers(0, 6),
)
def test_a_repeated_run_sends_nothing(
    contents: str, before: list[tuple[str, DeliveryState | None]], dated: int
) -> None:
    """The states that a run has sent are not sent again by the same rows, whatever the history was before."""
    times = [EARLY] * min(dated, len(before))
    found, _ = decided(contents, FakeHistory(before, times))
    sent = [(content, OK) for content, letter in zip(contents, found, strict=True) if letter == "s"]

    again, _ = decided(contents, FakeHistory([*before, *sent], times))

    assert "s" not in again


@given(st.lists(CHANGES, min_size=1, max_size=4), st.lists(CHANGES, max_size=4))
def test_a_repeated_run_with_times_sends_nothing(rows: list[tuple[str, str]], past: list[tuple[str, str]]) -> None:
    """The same holds if each state has a time of change, and several may have the same one."""
    rows, past = (changes_in(states) for states in (rows, past))
    contents, times = "".join(content for content, _ in rows), [time for _, time in rows]

    def run() -> str:
        history = FakeHistory([(content, OK) for content, _ in past], [time for _, time in past])
        found, _ = decided(contents, history, times)
        past.extend(row for row, letter in zip(rows, found, strict=True) if letter == "s")
        return found

    run()

    assert "s" not in run()


def changes_in(states: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return states with their times, in order of these, without those that say the same as the one before."""
    groups = groupby(sorted(states, key=itemgetter(1)), key=itemgetter(0))
    return [next(group) for _, group in groups]


def test_equal_states_in_a_row_are_sent_once() -> None:
    """Of equal states in a row the first is sent, and counts as new as the last."""
    rows = [StagedState(1, EARLY, b"F" * 16), StagedState(2, LATE, b"F" * 16)]
    rulings: dict[int, Ruling] = {}

    corrections = list(Sequence(lambda: rows, FakeHistory([]).newest_first, None, rulings.__setitem__).decide())

    assert corrections == [Correction(1, None, LATE, 2)]
    assert rulings == {2: Ruling.DUPLICATE}
