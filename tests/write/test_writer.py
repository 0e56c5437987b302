"""A lane, from its first due to its last."""

import pytest

from pipeline.ledger.admission import Admission, Blocked, Conflict, Go, Skip
from pipeline.ledger.records import Settlement
from pipeline.model import Status
from pipeline.write.course import Ending
from pipeline.write.lanes import Lane
from tests.write.rehearsal import (
    BAD_SIGNATURE,
    REFUSED,
    TIMEOUT,
    Rehearsal,
    due,
    reply,
)


@pytest.mark.parametrize(
    ("admission", "settled"),
    [
        pytest.param(
            Skip("already_succeeded"), Settlement(Status.SKIPPED, "already_succeeded"), id="delivered-meanwhile"
        ),
        pytest.param(
            Conflict("give this row another key"),
            Settlement(Status.INVALID, "key_conflict", "give this row another key"),
            id="key-conflict",
        ),
        pytest.param(
            Blocked("payment_not_succeeded", "deliver it"),
            Settlement(Status.BLOCKED, "payment_not_succeeded", "deliver it"),
            id="blocked",
        ),
    ],
)
def test_what_may_not_be_sent_is_settled_unsent(admission: Admission, settled: Settlement) -> None:
    """A due that the ledger does not let out takes no permit, and ends as the ledger says."""
    rehearsal = Rehearsal()
    rehearsal.book.admissions["A"] = admission

    assert rehearsal.carry(due("A")) == {"A": settled}
    assert rehearsal.network.sent == []
    assert rehearsal.quota.given == []
    assert rehearsal.course.counts == {settled.status: 1}


def test_the_dues_of_a_lane_go_one_after_another() -> None:
    """What need not wait is intended together; a refund is not even intended before its payment is settled."""
    rehearsal = Rehearsal()
    rehearsal.lay_out("A", [TIMEOUT])
    rehearsal.lay_out("B", [REFUSED])
    rehearsal.carry(due("R", refund_of="B"), due("A", number=2), due("B", number=3))

    assert rehearsal.book.lines == [
        *("intend A", "intend B", "settle A succeeded", "settle B rejected"),
        *("intend R", "settle R succeeded"),
    ]
    assert rehearsal.course.counts == {Status.SUCCEEDED: 2, Status.REJECTED: 1}


def test_the_intent_comes_before_the_first_byte() -> None:
    """When a request goes out its intent is in the ledger."""
    rehearsal = Rehearsal()

    def look() -> object:
        assert rehearsal.book.lines == ["intend A"]
        return TIMEOUT

    rehearsal.lay_out("A", [look])  # type: ignore[list-item] # what it returns is an answer
    rehearsal.carry(due("A"))

    assert rehearsal.network.keys_sent() == ["A", "A"]


def test_a_stopped_run_leaves_the_rest_of_a_lane_untouched() -> None:
    """After the run was stopped no further due of the lane is intended, and what is intended already is not sent."""
    rehearsal = Rehearsal()
    rehearsal.lay_out("A", [BAD_SIGNATURE])
    settled = rehearsal.carry(due("A"), due("B", number=2), due("R", number=3, refund_of="A"))

    assert list(settled) == ["A", "B"]
    assert rehearsal.book.lines == ["intend A", "intend B", "settle A unsent", "settle B unsent"]
    assert rehearsal.network.keys_sent() == ["A"]


def test_the_first_dues_of_lanes_are_intended_at_once() -> None:
    """As many dues as are asked for are admitted together, the next of them only when those are handed out."""
    rehearsal = Rehearsal()
    lanes = [[due("R", refund_of="A"), due("A", number=2)], [due("B", number=3)], [due("C", number=4)]]
    rehearsal.book.admissions["B"] = Skip("already_succeeded")

    ahead = rehearsal.handed_out(lanes, at_once=2)
    handed_out = [next(ahead), next(ahead)]

    assert [(keys_of(lane), lane.first) for lane in handed_out] == [
        ([["A"], ["R"]], [Go(doubt=False)]),
        ([["B"]], [Skip("already_succeeded")]),
    ]
    assert rehearsal.book.lines == ["intend A", "intend B"]
    assert [keys_of(lane) for lane in ahead] == [[["C"]]]


def keys_of(lane: Lane) -> list[list[str]]:
    """Return the keys of a lane, stretch by stretch."""
    return [[due.request_key for due in stretch] for stretch in lane.stretches]


def test_few_outcomes_wait_for_the_disk_when_a_request_leaves() -> None:
    """Before each delivery the ledger is told how many outcomes may wait: no more than there are workers."""
    rehearsal = Rehearsal()
    rehearsal.book.admissions["B"] = Skip("already_succeeded")
    rehearsal.carry(due("A"), due("B", number=2), due("C", number=3))

    assert rehearsal.book.limits == [2, 2]


def test_what_was_intended_ahead_is_given_up_once_the_run_ends() -> None:
    """A lane that was admitted before the run's end sends nothing: its intent is taken back, and no other is made."""
    rehearsal = Rehearsal()
    ahead = rehearsal.handed_out([[due("A")], [due("B", number=2)]], at_once=1)
    lane = next(ahead)
    rehearsal.course.drain(Ending.INTERRUPTED, "stopped")
    rehearsal.writer.carry(lane)

    assert list(ahead) == []
    assert rehearsal.network.sent == []
    assert rehearsal.book.settled == {"A": Settlement(Status.UNSENT, "interrupted", "stopped", is_open=True)}


def test_a_stopped_run_carries_no_lane() -> None:
    """A lane that begins after the run was stopped is left as it is."""
    rehearsal = Rehearsal()
    rehearsal.course.drain(Ending.INTERRUPTED, "stopped")

    assert rehearsal.carry(due("A")) == {}
    assert rehearsal.book.lines == []


def test_too_many_failures_stop_the_run() -> None:
    """Once more rows failed than the run allows nothing new is started."""
    rehearsal = Rehearsal()
    rehearsal.course.allow_failures(1)
    for key in "ABC":
        rehearsal.lay_out(key, [REFUSED])
    rehearsal.carry(*(due(key, number=n) for n, key in enumerate("ABC", 1)))

    assert rehearsal.network.keys_sent() == ["A", "B"]
    assert (rehearsal.course.ending, rehearsal.course.halt_code) == (Ending.STOPPED, "too_many_failures")


def test_a_platform_that_is_down_is_probed_and_comes_back() -> None:
    """While the platform is down one request probes with growing pauses, and its probes use up no attempts."""
    rehearsal = Rehearsal(max_attempts=2)
    for key in "ABC":
        rehearsal.lay_out(key, [TIMEOUT] * 2)
    rehearsal.lay_out("C", [TIMEOUT] * 9)
    settled = rehearsal.carry(*(due(key, number=n) for n, key in enumerate("ABCD", 1)))

    assert {key: (end.status, end.attempts) for key, end in settled.items()} == {
        "A": (Status.UNKNOWN, 2),
        "B": (Status.UNKNOWN, 2),
        # The first is the fifth sign of the outage, and counts; those after it are probes, until one is answered.
        "C": (Status.SUCCEEDED, 10),
        "D": (Status.SUCCEEDED, 1),
    }
    pauses = [round(seconds) for seconds in rehearsal.clock.sleeps[3:]]
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
    assert not rehearsal.gate.is_down


def test_a_platform_that_stays_down_stops_the_run() -> None:
    """After the outage limit the run stops; the row in hand stays open, and so do the others, unsent."""
    rehearsal = Rehearsal(max_attempts=2, outage_limit_seconds=30.0)
    for key in "ABC":
        rehearsal.lay_out(key, [TIMEOUT] * 99)
    settled = rehearsal.carry(*(due(key, number=n) for n, key in enumerate("ABCD", 1)))

    assert {key: (end.status, end.is_open) for key, end in settled.items()} == {
        "A": (Status.UNKNOWN, False),
        "B": (Status.UNKNOWN, False),
        "C": (Status.UNKNOWN, True),
        "D": (Status.UNSENT, True),
    }
    assert (rehearsal.course.ending, rehearsal.course.halt_code) == (Ending.STOPPED, "platform_down")
    began, ended = rehearsal.network.sent[0].headers["at"], rehearsal.network.sent[-1].headers["at"]
    assert (began[11:19], ended[11:19]) == ("12:00:00", "12:00:30")


def test_doubt_of_an_earlier_run_is_known_to_the_first_attempt() -> None:
    """What the intent brings back of an earlier run decides how the first answer is read."""
    rehearsal = Rehearsal()
    rehearsal.book.admissions["A"] = Go(doubt=True)
    rehearsal.lay_out("A", [reply(400, code="REFUND_ILLEGAL", message="taken back already")])

    assert rehearsal.carry(due("A"))["A"].status is Status.UNKNOWN


def test_nothing_is_intended_before_a_key_is_there() -> None:
    """Where no key of the platform is to be had the run stops before the ledger lets anything out."""
    rehearsal = Rehearsal()
    rehearsal.signer.has_key = False
    rehearsal.network.keys = [reply(403)]
    rehearsal.carry(due("A"))

    assert (rehearsal.book.lines, rehearsal.network.keys_sent()) == ([], [])
    assert (rehearsal.course.ending, rehearsal.course.halt_code) == (Ending.STOPPED, "platform_key_missing")


def test_no_key_is_fetched_for_nothing() -> None:
    """A run without anything to send asks for no key."""
    rehearsal = Rehearsal()
    rehearsal.signer.has_key = False

    assert list(rehearsal.handed_out([], at_once=1)) == []
    assert (rehearsal.network.sent, rehearsal.course.ending) == ([], None)
