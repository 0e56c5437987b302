"""The writer: lanes from their first due to their last."""

import pytest

from pipeline.ledger.records import Due, Settlement
from pipeline.ledger.rules.admission import Admission, Blocked, Conflict, Go, Skip
from pipeline.model import Status
from pipeline.write.brakes.run_control import Ending
from tests.write.harness import (
    BAD_SIGNATURE,
    REFUSED,
    TIMEOUT,
    WriterHarness,
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
def test_a_due_without_admission_is_settled_unsent(admission: Admission, settled: Settlement) -> None:
    """A due without admission takes no permit, and ends as the ledger says."""
    harness = WriterHarness()
    harness.ledger.admissions["A"] = admission

    assert harness.deliver(due("A")) == {"A": settled}
    assert harness.network.sent == []
    assert harness.quota.given == []
    assert harness.control.counts == {settled.status: 1}


def test_the_dues_of_a_lane_go_one_after_another() -> None:
    """Independent dues are admitted together; a refund gets its intent only after its payment is settled."""
    harness = WriterHarness()
    harness.plan_answers("A", [TIMEOUT])
    harness.plan_answers("B", [REFUSED])
    harness.deliver(due("A"), due("B", number=2), due("R", number=3, refund_of="B"))

    assert harness.ledger.events == [
        *("intend A", "intend B", "settle A succeeded", "settle B rejected"),
        *("intend R", "settle R succeeded"),
    ]
    assert harness.control.counts == {Status.SUCCEEDED: 2, Status.REJECTED: 1}


def test_the_intent_comes_before_the_first_byte() -> None:
    """A request leaves after its intent is in the ledger."""
    harness = WriterHarness()

    def check_intent() -> object:
        assert harness.ledger.events == ["intend A"]
        return TIMEOUT

    harness.plan_answers("A", [check_intent])  # type: ignore[list-item] # what it returns is an answer
    harness.deliver(due("A"))

    assert harness.network.keys_sent() == ["A", "A"]


def test_a_stopped_run_leaves_the_rest_of_a_lane_untouched() -> None:
    """After a halt, dues with an intent are settled unsent, and later ones get no intent."""
    harness = WriterHarness()
    harness.plan_answers("A", [BAD_SIGNATURE])
    settled = harness.deliver(due("A"), due("B", number=2), due("R", number=3, refund_of="A"))

    assert list(settled) == ["A", "B"]
    assert harness.ledger.events == ["intend A", "intend B", "settle A unsent", "settle B unsent"]
    assert harness.network.keys_sent() == ["A"]


def test_the_first_dues_of_lanes_are_intended_at_once() -> None:
    """The first dues of several lanes share a commit; later dues wait until those lanes are taken."""
    harness = WriterHarness()
    lanes = [[due("A"), due("R", number=2, refund_of="A")], [due("B", number=3)], [due("C", number=4)]]
    harness.ledger.admissions["B"] = Skip("already_succeeded")

    queue = harness.lane_queue(lanes, at_once=2)
    first, second = next(queue), next(queue)

    assert harness.ledger.events == ["intend A", "intend B"]
    for lane in (first, second, *queue):
        queue.deliver(lane)
    assert harness.network.keys_sent() == ["A", "R", "C"]
    assert harness.ledger.events == [
        "intend A", "intend B", "intend C", "settle A succeeded", "intend R", "settle R succeeded",
        "settle B skipped", "settle C succeeded",
    ]  # fmt: skip


def test_at_most_one_outcome_per_worker_waits_for_its_commit() -> None:
    """Before each delivery the writer limits the outcomes without a commit to the number of workers."""
    harness = WriterHarness()
    harness.ledger.admissions["B"] = Skip("already_succeeded")
    harness.deliver(due("A"), due("B", number=2), due("C", number=3))

    assert harness.ledger.limits == [2, 2]


def test_an_admitted_lane_is_not_sent_after_the_run_ended() -> None:
    """A lane admitted before the run's end sends nothing, and settles its intent as unsent."""
    harness = WriterHarness()
    queue = harness.lane_queue([[due("A")], [due("B", number=2)]], at_once=1)
    lane = next(queue)
    harness.control.drain(Ending.INTERRUPTED, "stopped")
    queue.deliver(lane)

    assert list(queue) == []
    assert harness.network.sent == []
    assert harness.ledger.settled == {"A": Settlement(Status.UNSENT, "interrupted", "stopped", is_open=True)}


def test_a_stopped_run_delivers_no_lane() -> None:
    """A lane that starts after the halt is left for `resume`."""
    harness = WriterHarness()
    harness.control.drain(Ending.INTERRUPTED, "stopped")

    assert harness.deliver(due("A")) == {}
    assert harness.ledger.events == []


def test_too_many_failures_stop_the_run() -> None:
    """Once more rows failed than allowed, nothing new starts."""
    harness = WriterHarness()
    harness.control.allow_failures(1)
    for key in "ABC":
        harness.plan_answers(key, [REFUSED])
    harness.deliver(*(due(key, number=n) for n, key in enumerate("ABC", 1)))

    assert harness.network.keys_sent() == ["A", "B"]
    assert (harness.control.ending, harness.control.halt_code) == (Ending.STOPPED, "too_many_failures")


def lanes_of(keys: str) -> list[list[Due]]:
    """Return one lane for each key."""
    return [[due(key, number=n)] for n, key in enumerate(keys, 1)]


def test_an_outage_is_probed_with_one_row_after_another() -> None:
    """During an outage each probe is another row, with growing pauses. Then all rows are delivered."""
    harness = WriterHarness(max_attempts=2)
    harness.network.down_until = harness.clock.steady() + 20.0
    settled = harness.deliver_all(lanes_of("ABCDEFGHI"))

    # With one worker, two rows use up their attempts, and a third fails, before the circuit opens.
    assert harness.network.keys_sent() == [*"AABBC", *"DEFGH", *"CDEFGI"]
    assert {key: (end.status, end.attempts) for key, end in settled.items()} == {
        **dict.fromkeys("AB", (Status.UNKNOWN, 2)),
        **dict.fromkeys("CDEFG", (Status.SUCCEEDED, 2)),
        **dict.fromkeys("HI", (Status.SUCCEEDED, 1)),
    }
    assert [round(seconds) for seconds in harness.clock.sleeps[2:]] == [1, 2, 4, 8, 16]
    assert not harness.breaker.is_open


def test_a_platform_that_stays_down_stops_the_run() -> None:
    """At the outage limit the run stops: attempted rows stay open, and no others are sent."""
    harness = WriterHarness(max_attempts=2, outage_limit_seconds=30.0)
    harness.network.down_until = float("inf")
    settled = harness.deliver_all(lanes_of("ABCDEFGHIJ"))

    assert {key: (end.status, end.is_open) for key, end in settled.items()} == {
        **dict.fromkeys("AB", (Status.UNKNOWN, False)),
        **dict.fromkeys("CDEFGH", (Status.UNKNOWN, True)),
    }
    assert (harness.control.ending, harness.control.halt_code) == (Ending.STOPPED, "platform_down")
    began, ended = harness.network.sent[0].headers["at"], harness.network.sent[-1].headers["at"]
    assert (began[11:19], ended[11:19]) == ("12:00:00", "12:00:30")


def test_a_deferred_due_is_settled_when_the_run_stops() -> None:
    """A row deferred during an outage is settled by its attempts so far when the run stops."""
    harness = WriterHarness(max_attempts=6, until_seconds=60.0)
    harness.network.down_until = float("inf")
    settled = harness.deliver_all(lanes_of("ABCDEFGHIJKL"))

    assert {end.message for end in settled.values() if end.is_open} == {harness.control.reason}
    assert {key for key, end in settled.items() if end.is_open} >= {*harness.network.keys_sent()} - {"A", "B"}
    assert harness.control.ending is Ending.DEADLINE


def test_rows_that_always_fail_stop_no_others() -> None:
    """Rows that always fail end unknown after their attempts; all other rows are delivered."""
    harness = WriterHarness(max_attempts=4, outage_limit_seconds=20.0)
    for key in "ABC":
        harness.plan_answers(key, [reply(500)] * 99)
    settled = harness.deliver_all(lanes_of("ABCDEFGH"))

    assert {key: (end.status, end.attempts) for key, end in settled.items()} == {
        **dict.fromkeys("ABC", (Status.UNKNOWN, 4)), **dict.fromkeys("DEFGH", (Status.SUCCEEDED, 1))
    }  # fmt: skip
    assert harness.control.ending is None


def test_doubt_of_an_earlier_run_is_known_to_the_first_attempt() -> None:
    """Doubt in the admission affects the verdict on the first answer."""
    harness = WriterHarness()
    harness.ledger.admissions["A"] = Go(doubt=True)
    harness.plan_answers("A", [reply(400, code="REFUND_ILLEGAL", message="taken back already")])

    assert harness.deliver(due("A"))["A"].status is Status.UNKNOWN


def test_nothing_is_intended_without_a_platform_key() -> None:
    """If no platform key is available, the run stops before any intent."""
    harness = WriterHarness()
    harness.signer.has_key = False
    harness.network.keys = [reply(403)]
    harness.deliver(due("A"))

    assert (harness.ledger.events, harness.network.keys_sent()) == ([], [])
    assert (harness.control.ending, harness.control.halt_code) == (Ending.STOPPED, "platform_key_missing")


def test_an_empty_run_fetches_no_key() -> None:
    """A run with nothing to send requests no key."""
    harness = WriterHarness()
    harness.signer.has_key = False

    assert list(harness.lane_queue([], at_once=1)) == []
    assert (harness.network.sent, harness.control.ending) == ([], None)
