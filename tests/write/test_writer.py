"""A lane, from its first due to its last."""

import pytest

from pipeline.ledger.records import Due, Settlement
from pipeline.ledger.rules.admission import Admission, Blocked, Conflict, Go, Skip
from pipeline.model import Status
from pipeline.write.brakes.run_control import Ending
from tests.write.rehearsal import (
    BAD_SIGNATURE,
    REFUSED,
    TIMEOUT,
    DryRun,
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
    rehearsal = DryRun()
    rehearsal.book.admissions["A"] = admission

    assert rehearsal.carry(due("A")) == {"A": settled}
    assert rehearsal.network.sent == []
    assert rehearsal.quota.given == []
    assert rehearsal.control.counts == {settled.status: 1}


def test_the_dues_of_a_lane_go_one_after_another() -> None:
    """What need not wait is intended together; a refund is not even intended before its payment is settled."""
    rehearsal = DryRun()
    rehearsal.lay_out("A", [TIMEOUT])
    rehearsal.lay_out("B", [REFUSED])
    rehearsal.carry(due("A"), due("B", number=2), due("R", number=3, refund_of="B"))

    assert rehearsal.book.lines == [
        *("intend A", "intend B", "settle A succeeded", "settle B rejected"),
        *("intend R", "settle R succeeded"),
    ]
    assert rehearsal.control.counts == {Status.SUCCEEDED: 2, Status.REJECTED: 1}


def test_the_intent_comes_before_the_first_byte() -> None:
    """When a request goes out its intent is in the ledger."""
    rehearsal = DryRun()

    def look() -> object:
        assert rehearsal.book.lines == ["intend A"]
        return TIMEOUT

    rehearsal.lay_out("A", [look])  # type: ignore[list-item] # what it returns is an answer
    rehearsal.carry(due("A"))

    assert rehearsal.network.keys_sent() == ["A", "A"]


def test_a_stopped_run_leaves_the_rest_of_a_lane_untouched() -> None:
    """After the run was stopped no further due of the lane is intended, and what is intended already is not sent."""
    rehearsal = DryRun()
    rehearsal.lay_out("A", [BAD_SIGNATURE])
    settled = rehearsal.carry(due("A"), due("B", number=2), due("R", number=3, refund_of="A"))

    assert list(settled) == ["A", "B"]
    assert rehearsal.book.lines == ["intend A", "intend B", "settle A unsent", "settle B unsent"]
    assert rehearsal.network.keys_sent() == ["A"]


def test_the_first_dues_of_lanes_are_intended_at_once() -> None:
    """As many dues as are asked for are admitted together, the next of them only when those are handed out."""
    rehearsal = DryRun()
    lanes = [[due("A"), due("R", number=2, refund_of="A")], [due("B", number=3)], [due("C", number=4)]]
    rehearsal.book.admissions["B"] = Skip("already_succeeded")

    ahead = rehearsal.handed_out(lanes, at_once=2)
    first, second = next(ahead), next(ahead)

    assert rehearsal.book.lines == ["intend A", "intend B"]
    for lane in (first, second, *ahead):
        ahead.carry(lane)
    assert rehearsal.network.keys_sent() == ["A", "R", "C"]
    assert rehearsal.book.lines == [
        "intend A", "intend B", "intend C", "settle A succeeded", "intend R", "settle R succeeded",
        "settle B skipped", "settle C succeeded",
    ]  # fmt: skip


def test_few_outcomes_wait_for_the_disk_when_a_request_leaves() -> None:
    """Before each delivery the ledger is told how many outcomes may wait: no more than there are workers."""
    rehearsal = DryRun()
    rehearsal.book.admissions["B"] = Skip("already_succeeded")
    rehearsal.carry(due("A"), due("B", number=2), due("C", number=3))

    assert rehearsal.book.limits == [2, 2]


def test_what_was_intended_ahead_is_given_up_once_the_run_ends() -> None:
    """A lane that was admitted before the run's end sends nothing: its intent is taken back, and no other is made."""
    rehearsal = DryRun()
    ahead = rehearsal.handed_out([[due("A")], [due("B", number=2)]], at_once=1)
    lane = next(ahead)
    rehearsal.control.drain(Ending.INTERRUPTED, "stopped")
    ahead.carry(lane)

    assert list(ahead) == []
    assert rehearsal.network.sent == []
    assert rehearsal.book.settled == {"A": Settlement(Status.UNSENT, "interrupted", "stopped", is_open=True)}


def test_a_stopped_run_carries_no_lane() -> None:
    """A lane that begins after the run was stopped is left as it is."""
    rehearsal = DryRun()
    rehearsal.control.drain(Ending.INTERRUPTED, "stopped")

    assert rehearsal.carry(due("A")) == {}
    assert rehearsal.book.lines == []


def test_too_many_failures_stop_the_run() -> None:
    """Once more rows failed than the run allows nothing new is started."""
    rehearsal = DryRun()
    rehearsal.control.allow_failures(1)
    for key in "ABC":
        rehearsal.lay_out(key, [REFUSED])
    rehearsal.carry(*(due(key, number=n) for n, key in enumerate("ABC", 1)))

    assert rehearsal.network.keys_sent() == ["A", "B"]
    assert (rehearsal.control.ending, rehearsal.control.halt_code) == (Ending.STOPPED, "too_many_failures")


def lanes_of(keys: str) -> list[list[Due]]:
    """Return a lane for each key."""
    return [[due(key, number=n)] for n, key in enumerate(keys, 1)]


def test_a_platform_that_is_down_is_probed_by_one_row_after_another() -> None:
    """While the platform is down each probe is another row, with growing pauses; then all rows are delivered."""
    rehearsal = DryRun(max_attempts=2)
    rehearsal.network.down_until = rehearsal.clock.steady() + 20.0
    settled = rehearsal.carry_all(lanes_of("ABCDEFGHI"))

    # One worker: it takes two rows that use up their attempts, and a third one, to see an outage.
    assert rehearsal.network.keys_sent() == [*"AABBC", *"DEFGH", *"CDEFGI"]
    assert {key: (end.status, end.attempts) for key, end in settled.items()} == {
        **dict.fromkeys("AB", (Status.UNKNOWN, 2)),
        **dict.fromkeys("CDEFG", (Status.SUCCEEDED, 2)),
        **dict.fromkeys("HI", (Status.SUCCEEDED, 1)),
    }
    assert [round(seconds) for seconds in rehearsal.clock.sleeps[2:]] == [1, 2, 4, 8, 16]
    assert not rehearsal.breaker.is_open


def test_a_platform_that_stays_down_stops_the_run() -> None:
    """After the outage limit the run stops; rows that were tried stay open, and no others are sent."""
    rehearsal = DryRun(max_attempts=2, outage_limit_seconds=30.0)
    rehearsal.network.down_until = float("inf")
    settled = rehearsal.carry_all(lanes_of("ABCDEFGHIJ"))

    assert {key: (end.status, end.is_open) for key, end in settled.items()} == {
        **dict.fromkeys("AB", (Status.UNKNOWN, False)),
        **dict.fromkeys("CDEFGH", (Status.UNKNOWN, True)),
    }
    assert (rehearsal.control.ending, rehearsal.control.halt_code) == (Ending.STOPPED, "platform_down")
    began, ended = rehearsal.network.sent[0].headers["at"], rehearsal.network.sent[-1].headers["at"]
    assert (began[11:19], ended[11:19]) == ("12:00:00", "12:00:30")


def test_what_a_stopped_run_deferred_is_settled() -> None:
    """A row that waits for the end of an outage when the run is stopped ends as far as it had come."""
    rehearsal = DryRun(max_attempts=6, until_seconds=60.0)
    rehearsal.network.down_until = float("inf")
    settled = rehearsal.carry_all(lanes_of("ABCDEFGHIJKL"))

    assert {end.message for end in settled.values() if end.is_open} == {rehearsal.control.reason}
    assert {key for key, end in settled.items() if end.is_open} >= {*rehearsal.network.keys_sent()} - {"A", "B"}
    assert rehearsal.control.ending is Ending.DEADLINE


def test_rows_that_always_fail_stop_no_others() -> None:
    """Rows that the platform always fails on end unknown after their attempts; all others are delivered."""
    rehearsal = DryRun(max_attempts=4, outage_limit_seconds=20.0)
    for key in "ABC":
        rehearsal.lay_out(key, [reply(500)] * 99)
    settled = rehearsal.carry_all(lanes_of("ABCDEFGH"))

    assert {key: (end.status, end.attempts) for key, end in settled.items()} == {
        **dict.fromkeys("ABC", (Status.UNKNOWN, 4)), **dict.fromkeys("DEFGH", (Status.SUCCEEDED, 1))
    }  # fmt: skip
    assert rehearsal.control.ending is None


def test_doubt_of_an_earlier_run_is_known_to_the_first_attempt() -> None:
    """What the intent brings back of an earlier run decides how the first answer is read."""
    rehearsal = DryRun()
    rehearsal.book.admissions["A"] = Go(doubt=True)
    rehearsal.lay_out("A", [reply(400, code="REFUND_ILLEGAL", message="taken back already")])

    assert rehearsal.carry(due("A"))["A"].status is Status.UNKNOWN


def test_nothing_is_intended_before_a_key_is_there() -> None:
    """Where no key of the platform is to be had the run stops before the ledger lets anything out."""
    rehearsal = DryRun()
    rehearsal.signer.has_key = False
    rehearsal.network.keys = [reply(403)]
    rehearsal.carry(due("A"))

    assert (rehearsal.book.lines, rehearsal.network.keys_sent()) == ([], [])
    assert (rehearsal.control.ending, rehearsal.control.halt_code) == (Ending.STOPPED, "platform_key_missing")


def test_no_key_is_fetched_for_nothing() -> None:
    """A run without anything to send asks for no key."""
    rehearsal = DryRun()
    rehearsal.signer.has_key = False

    assert list(rehearsal.handed_out([], at_once=1)) == []
    assert (rehearsal.network.sent, rehearsal.control.ending) == ([], None)
