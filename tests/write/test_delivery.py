"""One delivery, from its first attempt to its settlement."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline.errors import LedgerError
from pipeline.ledger.records import DeliveryState, Settlement
from pipeline.ledger.rules.admission import Go
from pipeline.model import Api, Lost, Reply, RoundTrip, Status, Trust
from pipeline.write.brakes.circuit_breaker import Clearance
from pipeline.write.brakes.run_control import Ending
from tests.write.rehearsal import (
    BAD_SIGNATURE,
    NOT_CONNECTED,
    REFUSED,
    THROTTLED,
    THROTTLED_FOR_A_WHILE,
    TIMEOUT,
    TRIP,
    UNKNOWN_KEY,
    Answer,
    DryRun,
    due,
    refused,
    reply,
)

SENDING, UNKNOWN, SUCCEEDED, REJECTED, UNSENT = DeliveryState


def carried(
    *answers: Answer | Callable[[], Answer], admission: Go | None = None, **how: float
) -> tuple[DryRun, Settlement]:
    """Carry one report to which the platform answers so."""
    rehearsal = DryRun(**how)  # type: ignore[arg-type] # the settings of a rehearsal are numbers
    rehearsal.lay_out("A", answers)
    rehearsal.book.admissions["A"] = admission or Go(doubt=False)
    return rehearsal, rehearsal.carry(due("A"))["A"]


def test_a_success_is_settled_with_all_that_is_known_of_it() -> None:
    """The settlement of a confirmed delivery tells code, status, attempts, times and the platform's trace id."""
    _, settled = carried()

    assert settled == Settlement(
        status=Status.SUCCEEDED,
        code="SUCCESS",
        message="",
        http_status=200,
        attempts=1,
        first_sent_at="2026-03-01T12:00:00.000Z",
        finished_at="2026-03-01T12:00:00.050Z",
        latency_ms=50,
        trace_id="trace",
        leaves=SUCCEEDED,
    )


def test_nothing_is_sent_once_the_job_is_another_runs() -> None:
    """A delivery that waits while another run takes the job ends there: it is neither sent again nor settled."""
    rehearsal = DryRun()

    def lost_while_the_job_is_taken() -> Answer:
        rehearsal.book.is_taken = True
        return TIMEOUT

    rehearsal.lay_out("A", [lost_while_the_job_is_taken])

    with pytest.raises(LedgerError, match="taken over"):
        rehearsal.carry(due("A"))
    assert (len(rehearsal.network.sent), rehearsal.book.settled) == (1, {})


def test_a_lost_answer_is_asked_for_again_with_the_same_bytes() -> None:
    """A second attempt sends the same body under a fresh time, nonce and permit, after a wait."""
    rehearsal, settled = carried(TIMEOUT)
    first, second = rehearsal.network.sent

    assert (settled.status, settled.attempts, settled.first_sent_at) == (
        Status.SUCCEEDED, 2, "2026-03-01T12:00:00.000Z",
    )  # fmt: skip
    assert first.body == second.body == due("A").body
    assert first.headers["nonce"] != second.headers["nonce"]
    assert [sent.headers["at"] for sent in (first, second)] == [
        "2026-03-01T12:00:00+00:00",
        "2026-03-01T12:00:01.050000+00:00",
    ]
    assert rehearsal.clock.sleeps == [1.0]
    assert rehearsal.quota.returned == [(1, None), (2, TRIP)]


@pytest.mark.parametrize(
    ("answers", "status", "code", "attempts", "leaves"),
    [
        pytest.param([REFUSED], Status.REJECTED, "INVALID_PARAMETER", 1, REJECTED, id="refused"),
        pytest.param([TIMEOUT, REFUSED], Status.REJECTED, "INVALID_PARAMETER", 2, REJECTED, id="as-it-was-before"),
        pytest.param([TIMEOUT, refused("REFUND_ILLEGAL")], Status.UNKNOWN, "REFUND_ILLEGAL", 2, UNKNOWN, id="trace"),
        pytest.param([TIMEOUT] * 3, Status.UNKNOWN, "timeout", 3, UNKNOWN, id="never-answered"),
        pytest.param([TIMEOUT, THROTTLED, THROTTLED], Status.UNKNOWN, "timeout", 3, UNKNOWN, id="doubt-stays"),
        pytest.param([reply(500)] * 3, Status.UNKNOWN, "http_500", 3, UNKNOWN, id="server-faults"),
        pytest.param([THROTTLED] * 3, Status.UNSENT, "throttled", 3, UNSENT, id="always-throttled"),
        pytest.param([NOT_CONNECTED] * 3, Status.UNSENT, "not_connected", 3, None, id="never-connected"),
        pytest.param(
            [THROTTLED, NOT_CONNECTED, NOT_CONNECTED], Status.UNSENT, "not_connected", 3, UNSENT, id="seen-once"
        ),
        pytest.param([reply(204)], Status.UNKNOWN, "http_204", 1, UNKNOWN, id="not-described"),
        pytest.param(
            [refused("EASY_MEMBER_CONSULT_FAIL")] * 3, Status.REJECTED, "EASY_MEMBER_CONSULT_FAIL", 2, REJECTED,
            id="refused-at-last",
        ),
    ],
)  # fmt: skip
def test_how_a_delivery_ends(
    answers: list[Answer], status: Status, code: str, attempts: int, leaves: DeliveryState | None
) -> None:
    """A delivery ends with its first final verdict, or, its attempts used up, as what they prove together."""
    _, settled = carried(*answers)

    assert (settled.status, settled.code, settled.attempts, settled.leaves) == (status, code, attempts, leaves)
    assert not settled.is_open


@pytest.mark.parametrize(
    ("admission", "answers", "status", "leaves"),
    [
        pytest.param(Go(doubt=True, before=SENDING), [NOT_CONNECTED] * 3, Status.UNKNOWN, UNKNOWN, id="in-the-air"),
        pytest.param(Go(doubt=True, before=UNKNOWN), [THROTTLED] * 3, Status.UNKNOWN, UNKNOWN, id="in-doubt"),
        pytest.param(Go(doubt=True, before=UNKNOWN), [REFUSED], Status.REJECTED, REJECTED, id="settled-by-a-refusal"),
        pytest.param(Go(doubt=True, before=UNKNOWN), [], Status.SUCCEEDED, SUCCEEDED, id="settled-by-a-success"),
        pytest.param(
            Go(doubt=False, before=REJECTED), [NOT_CONNECTED] * 3, Status.UNSENT, REJECTED, id="still-refused"
        ),
        pytest.param(Go(doubt=False, before=UNSENT), [NOT_CONNECTED] * 3, Status.UNSENT, UNSENT, id="still-unsent"),
    ],
)
def test_what_an_earlier_run_left_weighs(
    admission: Go, answers: list[Answer], status: Status, leaves: DeliveryState
) -> None:
    """Doubt from an earlier run stays until an answer settles it, and what never left changes nothing."""
    _, settled = carried(*answers, admission=admission)

    assert (settled.status, settled.leaves) == (status, leaves)


def test_a_throttled_answer_slows_the_quota_and_waits_as_told() -> None:
    """The whole quota learns how long to wait, and the request itself waits at least as long."""
    rehearsal, settled = carried(THROTTLED_FOR_A_WHILE, THROTTLED)

    assert settled.status is Status.SUCCEEDED
    assert rehearsal.quota.slowed == [7.0, None]
    assert rehearsal.clock.sleeps == [7.0 + 1.0, 2.0]


def test_a_refused_caller_stops_the_run_and_leaves_the_row_unsent() -> None:
    """Where the platform refuses our signature the run drains, and the row in hand surely was not applied."""
    rehearsal, settled = carried(BAD_SIGNATURE)

    assert (settled.status, settled.code, settled.is_open, settled.leaves) == (Status.UNSENT, "stopped", True, UNSENT)
    assert settled.message.startswith("invalid-signature: ")
    assert (rehearsal.control.ending, rehearsal.control.halt_code) == (Ending.STOPPED, "invalid-signature")


def test_a_refused_caller_does_not_settle_a_doubt() -> None:
    """A row that may have been applied stays unknown when the run stops, and is gone on with by resume."""
    _, settled = carried(TIMEOUT, BAD_SIGNATURE)

    assert (settled.status, settled.code, settled.is_open, settled.leaves) == (Status.UNKNOWN, "timeout", True, UNKNOWN)


def test_a_drain_between_attempts_leaves_the_row_open() -> None:
    """A run that is stopped while a row waits for its next attempt makes none."""
    rehearsal = DryRun()

    def stop_meanwhile() -> Lost:
        rehearsal.control.drain(Ending.INTERRUPTED, "stopped by SIGTERM")
        return TIMEOUT

    rehearsal.lay_out("A", [stop_meanwhile])
    settled = rehearsal.carry(due("A"))["A"]

    assert (settled.status, settled.code, settled.message) == (Status.UNKNOWN, "timeout", "stopped by SIGTERM")
    assert (settled.is_open, settled.attempts, len(rehearsal.network.sent)) == (True, 1, 1)
    assert rehearsal.clock.sleeps == []


def test_a_drain_before_the_first_attempt_forgets_the_intent() -> None:
    """A row whose turn came and whose request never left is unsent, and the ledger knows nothing of it."""
    rehearsal = DryRun()
    take = rehearsal.quota.take

    def stop_and_take(check_running: Callable[[], None]) -> object:
        rehearsal.control.drain(Ending.DEADLINE, "the deadline was reached")
        return take(check_running)

    rehearsal.quota.take = stop_and_take  # type: ignore[method-assign, assignment] # the drain comes while it waits
    settled = rehearsal.carry(due("A"))["A"]

    assert settled == Settlement(Status.UNSENT, "deadline", "the deadline was reached", is_open=True, leaves=None)
    assert rehearsal.breaker.start() != 0.02


def test_a_deadline_ends_the_attempts() -> None:
    """Past the deadline no further attempt is made."""
    rehearsal, settled = carried(THROTTLED, THROTTLED, until_seconds=1.0)

    assert (settled.status, settled.code, settled.attempts) == (Status.UNSENT, "deadline", 1)
    assert rehearsal.control.ending is Ending.DEADLINE


def test_a_late_permit_is_given_back() -> None:
    """A process that was held up after it got a permit takes another, or it would exceed the quota."""
    rehearsal = DryRun()
    rehearsal.quota.late_by = [0.6, 0.4]
    rehearsal.carry(due("A"))

    assert rehearsal.quota.returned == [(1, RoundTrip()), (2, TRIP)]
    assert len(rehearsal.network.sent) == 1


def test_a_connection_that_takes_long_leaves_with_a_fresh_permit() -> None:
    """A permit that grew old while the connection came about goes back unused; the attempt goes on with another."""
    rehearsal = DryRun()
    rehearsal.network.connects_in = [3.0]
    settled = rehearsal.carry(due("A"))["A"]

    assert [permit.given_at for permit in rehearsal.quota.given] == [1000.0, 1003.0]
    assert rehearsal.quota.returned == [(1, RoundTrip()), (2, TRIP)]
    assert (settled.status, settled.attempts, len(rehearsal.network.sent)) == (Status.SUCCEEDED, 1, 1)


def test_a_drain_while_a_connection_comes_about_sends_nothing() -> None:
    """A run that ends while a request waits for its connection lets it leave no more, and its row stays unsent."""
    rehearsal = DryRun(until_seconds=1.0)
    rehearsal.network.connects_in = [3.0]
    settled = rehearsal.carry(due("A"))["A"]

    assert (settled.status, settled.code, settled.is_open, settled.attempts) == (Status.UNSENT, "deadline", True, 0)
    assert (rehearsal.network.sent, rehearsal.quota.returned) == ([], [(1, RoundTrip())])


@pytest.mark.parametrize(
    ("keys", "status", "code"),
    [
        pytest.param([reply(200)], Status.SUCCEEDED, "SUCCESS", id="there-is-a-new-key"),
        pytest.param([reply(404)], Status.UNKNOWN, "certificate_unknown", id="there-is-none"),
    ],
)
def test_a_key_that_is_not_known_is_fetched_once(keys: list[Answer], status: Status, code: str) -> None:
    """An answer signed with a new key has it fetched; where there is none to be had the run stops."""
    rehearsal = DryRun()
    rehearsal.network.keys = keys
    rehearsal.lay_out("A", [UNKNOWN_KEY, UNKNOWN_KEY])
    settled = rehearsal.carry(due("A"))["A"]

    assert (settled.status, settled.code) == (status, code)
    assert rehearsal.network.keys == []
    assert rehearsal.control.ending == (None if status is Status.SUCCEEDED else Ending.STOPPED)


def test_texts_name_no_user() -> None:
    """What a platform says comes into the ledger without the ids that were sent."""
    _, settled = carried(reply(400, code="INVALID_PARAMETER", message="user 2088000000000001 is unknown"))

    assert "2088000000000001" not in settled.message
    assert "user *** is unknown" in settled.message


def test_the_body_goes_out_as_it_lies_in_the_ledger() -> None:
    """Not a byte of the body is changed on its way."""
    rehearsal, _ = carried()

    assert [request.body for request in rehearsal.network.sent] == [due("A").body]


def kept(answer: Reply) -> Reply:
    """Return an answer that came over a kept connection."""
    return replace(answer, is_fresh=False)


FORBIDDEN = Reply(403, {"trust": Trust.UNSIGNED_ERROR}, b"")


@pytest.mark.parametrize(
    ("answers", "status", "code", "attempts"),
    [
        pytest.param([kept(REFUSED)], Status.SUCCEEDED, "SUCCESS", 2, id="it-was-anothers"),
        pytest.param([kept(REFUSED), REFUSED], Status.REJECTED, "INVALID_PARAMETER", 2, id="confirmed"),
        pytest.param(
            [kept(refused("REFUND_ILLEGAL")), refused("REFUND_ILLEGAL")], Status.REJECTED, "REFUND_ILLEGAL", 2,
            id="confirmed-although-it-may-be-a-trace",
        ),
        pytest.param(
            [kept(REFUSED), refused("REFUND_ILLEGAL")], Status.UNKNOWN, "REFUND_ILLEGAL", 2, id="otherwise-refused"
        ),
        pytest.param([kept(FORBIDDEN)] + [NOT_CONNECTED] * 2, Status.UNKNOWN, "http_403", 3, id="no-way-to-confirm"),
        pytest.param([kept(THROTTLED)] + [THROTTLED] * 2, Status.UNSENT, "throttled", 3, id="always-throttled"),
        pytest.param(
            [kept(reply(200, out_biz_no="B"))], Status.SUCCEEDED, "SUCCESS", 2, id="the-success-of-another"
        ),
        pytest.param([kept(reply(200, out_biz_no="A"))], Status.SUCCEEDED, "SUCCESS", 1, id="its-own-success"),
    ],
)  # fmt: skip
def test_an_answer_that_may_be_anothers_is_asked_for_again(
    answers: list[Answer], status: Status, code: str, attempts: int
) -> None:
    """Over a kept connection only an answer that names its request counts; any other one has to be confirmed."""
    _, settled = carried(*answers)

    assert (settled.status, settled.code, settled.attempts) == (status, code, attempts)


def test_a_repeat_goes_out_over_a_fresh_connection() -> None:
    """The first attempt may use a kept connection; a repeat, which may have to confirm something, may not."""
    rehearsal, _ = carried(kept(REFUSED), TIMEOUT)

    assert rehearsal.network.fresh == [False, True, True]


def test_a_single_attempt_goes_out_over_a_fresh_connection() -> None:
    """Where there is no second attempt to confirm the first one, that has a connection of its own."""
    rehearsal, settled = carried(REFUSED, max_attempts=1)

    assert (rehearsal.network.fresh, settled.status) == ([True], Status.REJECTED)


def test_a_state_goes_out_over_a_fresh_connection() -> None:
    """A state's answer names no request: each has a connection of its own."""
    rehearsal = DryRun(api=Api.STATE)
    rehearsal.lay_out("A", [reply(200, code="10000", biz_result="success")])
    settled = rehearsal.carry(due("A"))["A"]

    assert (rehearsal.network.fresh, settled.status) == ([True], Status.SUCCEEDED)


def test_an_answer_that_may_be_anothers_says_nothing_to_the_quota() -> None:
    """When the platform saw a request can't be told from an answer to another one: the quota is told of none."""
    rehearsal, _ = carried(kept(REFUSED))

    assert rehearsal.quota.returned == [(1, None), (2, TRIP)]


def test_a_caller_in_question_is_asked_for_alone() -> None:
    """After an answer that refuses the caller, and has to be confirmed, one request is under way at a time."""
    rehearsal = DryRun()
    clearances: list[Clearance | float] = []

    def look_meanwhile() -> Answer:
        clearances.append(rehearsal.breaker.start())
        return FORBIDDEN

    rehearsal.lay_out("B", [kept(FORBIDDEN), look_meanwhile])
    settled = rehearsal.carry(due("A"), due("B", number=2))

    assert clearances == [0.02]
    assert (settled["B"].status, settled["B"].code, rehearsal.control.halt_code) == (
        Status.UNSENT, "stopped", "http_403",
    )  # fmt: skip


@pytest.mark.parametrize("certain", [True, False])
def test_a_row_in_question_is_settled_by_what_stops_the_run(certain: bool) -> None:
    """Stopped for the very refusal that it got, a row is unsent; stopped for anything else, it is in doubt."""
    rehearsal = DryRun()

    def stop_meanwhile() -> Answer:
        rehearsal.control.drain(Ending.STOPPED, "stopped", halt_code="http_403" if certain else "other")
        return kept(FORBIDDEN)

    rehearsal.lay_out("A", [stop_meanwhile])
    settled = rehearsal.carry(due("A"))["A"]

    assert settled.status is (Status.UNSENT if certain else Status.UNKNOWN)
