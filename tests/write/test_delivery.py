"""One delivery, from its first attempt to its settlement."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline.errors import LedgerError
from pipeline.ledger.records import DeliveryState, Settlement
from pipeline.ledger.rules.admission import Go
from pipeline.model import Api, Lost, Reply, RoundTrip, Status, Trust
from pipeline.write.brakes.circuit_breaker import Clearance
from pipeline.write.brakes.run_control import Ending
from tests.write.harness import (
    BAD_SIGNATURE,
    NOT_CONNECTED,
    REFUSED,
    ROUND_TRIP,
    THROTTLED,
    THROTTLED_FOR_A_WHILE,
    TIMEOUT,
    UNKNOWN_KEY,
    Answer,
    WriterHarness,
    due,
    refused,
    reply,
)

SENDING, UNKNOWN, SUCCEEDED, REJECTED, UNSENT = DeliveryState


def delivered(
    *answers: Answer | Callable[[], Answer], admission: Go | None = None, **how: float
) -> tuple[WriterHarness, Settlement]:
    """Deliver one due that gets these answers."""
    harness = WriterHarness(**how)  # type: ignore[arg-type] # the harness options are numbers
    harness.plan_answers("A", answers)
    harness.ledger.admissions["A"] = admission or Go(doubt=False)
    return harness, harness.deliver(due("A"))["A"]


def test_a_success_has_all_facts() -> None:
    """The settlement of a success has code, status, attempts, times and the platform's trace id."""
    _, settled = delivered()

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


def test_nothing_is_sent_after_another_run_took_the_job() -> None:
    """A delivery that waits while another run takes the job ends there, without a settlement."""
    harness = WriterHarness()

    def lose_answer_and_job() -> Answer:
        harness.ledger.job_is_taken = True
        return TIMEOUT

    harness.plan_answers("A", [lose_answer_and_job])

    with pytest.raises(LedgerError, match="taken over"):
        harness.deliver(due("A"))
    assert (len(harness.network.sent), harness.ledger.settled) == (1, {})


def test_a_lost_answer_is_retried_with_the_same_bytes() -> None:
    """A second attempt sends the same body with a new time, nonce and permit, after a wait."""
    harness, settled = delivered(TIMEOUT)
    first, second = harness.network.sent

    assert (settled.status, settled.attempts, settled.first_sent_at) == (
        Status.SUCCEEDED, 2, "2026-03-01T12:00:00.000Z",
    )  # fmt: skip
    assert first.body == second.body == due("A").body
    assert first.headers["nonce"] != second.headers["nonce"]
    # Alipay's request id is the nonce: at most 32 letters, digits, hyphens and underscores.
    assert all(re.fullmatch("[0-9a-f]{32}", attempt.headers["nonce"]) for attempt in (first, second))
    assert [sent.headers["at"] for sent in (first, second)] == [
        "2026-03-01T12:00:00+00:00",
        "2026-03-01T12:00:01.050000+00:00",
    ]
    assert harness.clock.sleeps == [1.0]
    assert harness.quota.returned == [(1, None), (2, ROUND_TRIP)]


@pytest.mark.parametrize(
    ("answers", "status", "code", "attempts", "leaves"),
    [
        pytest.param([REFUSED], Status.REJECTED, "INVALID_PARAMETER", 1, REJECTED, id="refused"),
        pytest.param([TIMEOUT, REFUSED], Status.REJECTED, "INVALID_PARAMETER", 2, REJECTED, id="as-before"),
        pytest.param([TIMEOUT, refused("REFUND_ILLEGAL")], Status.UNKNOWN, "REFUND_ILLEGAL", 2, UNKNOWN, id="by-state"),
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
def test_the_outcome_of_a_delivery(
    answers: list[Answer], status: Status, code: str, attempts: int, leaves: DeliveryState | None
) -> None:
    """A delivery ends with its first final verdict, or with the conclusion from all attempts."""
    _, settled = delivered(*answers)

    assert (settled.status, settled.code, settled.attempts, settled.leaves) == (status, code, attempts, leaves)
    assert not settled.is_open


@pytest.mark.parametrize(
    ("admission", "answers", "status", "leaves"),
    [
        pytest.param(Go(doubt=True, before=SENDING), [NOT_CONNECTED] * 3, Status.UNKNOWN, UNKNOWN, id="in-flight"),
        pytest.param(Go(doubt=True, before=UNKNOWN), [THROTTLED] * 3, Status.UNKNOWN, UNKNOWN, id="in-doubt"),
        pytest.param(Go(doubt=True, before=UNKNOWN), [REFUSED], Status.REJECTED, REJECTED, id="settled-by-a-refusal"),
        pytest.param(Go(doubt=True, before=UNKNOWN), [], Status.SUCCEEDED, SUCCEEDED, id="settled-by-a-success"),
        pytest.param(
            Go(doubt=False, before=REJECTED), [NOT_CONNECTED] * 3, Status.UNSENT, REJECTED, id="still-refused"
        ),
        pytest.param(Go(doubt=False, before=UNSENT), [NOT_CONNECTED] * 3, Status.UNSENT, UNSENT, id="still-unsent"),
    ],
)
def test_the_state_from_an_earlier_run_counts(
    admission: Go, answers: list[Answer], status: Status, leaves: DeliveryState
) -> None:
    """Doubt from an earlier run stays until an answer settles it. A request that never left changes nothing."""
    _, settled = delivered(*answers, admission=admission)

    assert (settled.status, settled.leaves) == (status, leaves)


def test_a_throttled_answer_slows_the_quota_and_obeys_retry_after() -> None:
    """The whole quota gets the Retry-After, and the request itself waits at least as long."""
    harness, settled = delivered(THROTTLED_FOR_A_WHILE, THROTTLED)

    assert settled.status is Status.SUCCEEDED
    assert harness.quota.slowed == [7.0, None]
    assert harness.clock.sleeps == [7.0 + 1.0, 2.0]


def test_a_refused_caller_stops_the_run_and_leaves_the_row_unsent() -> None:
    """If the platform refuses our signature, the run drains, and this row is unsent."""
    harness, settled = delivered(BAD_SIGNATURE)

    assert (settled.status, settled.code, settled.is_open, settled.leaves) == (Status.UNSENT, "stopped", True, UNSENT)
    assert settled.message.startswith("invalid-signature: ")
    assert (harness.control.ending, harness.control.halt_code) == (Ending.STOPPED, "invalid-signature")


def test_a_refused_caller_does_not_settle_a_doubt() -> None:
    """A row that may have been applied stays unknown when the run stops, and `resume` continues it."""
    _, settled = delivered(TIMEOUT, BAD_SIGNATURE)

    assert (settled.status, settled.code, settled.is_open, settled.leaves) == (Status.UNKNOWN, "timeout", True, UNKNOWN)


def test_a_drain_between_attempts_leaves_the_row_open() -> None:
    """A row that waits for its next attempt when the run stops makes none."""
    harness = WriterHarness()

    def drain_and_answer() -> Lost:
        harness.control.drain(Ending.INTERRUPTED, "stopped by SIGTERM")
        return TIMEOUT

    harness.plan_answers("A", [drain_and_answer])
    settled = harness.deliver(due("A"))["A"]

    assert (settled.status, settled.code, settled.message) == (Status.UNKNOWN, "timeout", "stopped by SIGTERM")
    assert (settled.is_open, settled.attempts, len(harness.network.sent)) == (True, 1, 1)
    assert harness.clock.sleeps == []


def test_a_drain_before_the_first_attempt_forgets_the_intent() -> None:
    """A row whose request never left is unsent, and its ledger state is unchanged."""
    harness = WriterHarness()
    take = harness.quota.take

    def stop_and_take(check_running: Callable[[], None]) -> object:
        harness.control.drain(Ending.DEADLINE, "the deadline was reached")
        return take(check_running)

    harness.quota.take = stop_and_take  # type: ignore[method-assign, assignment] # drains during the wait
    settled = harness.deliver(due("A"))["A"]

    assert settled == Settlement(Status.UNSENT, "deadline", "the deadline was reached", is_open=True, leaves=None)
    assert harness.breaker.start(1) != 0.02


def test_a_deadline_ends_the_attempts() -> None:
    """After the deadline, no further attempt is made."""
    harness, settled = delivered(THROTTLED, THROTTLED, until_seconds=1.0)

    assert (settled.status, settled.code, settled.attempts) == (Status.UNSENT, "deadline", 1)
    assert harness.control.ending is Ending.DEADLINE


def test_a_late_permit_is_given_back() -> None:
    """An expired permit is given back and another is taken, so that the quota holds."""
    harness = WriterHarness()
    harness.quota.late_by = [0.6, 0.4]
    harness.deliver(due("A"))

    assert harness.quota.returned == [(1, RoundTrip()), (2, ROUND_TRIP)]
    assert len(harness.network.sent) == 1


def test_a_slow_connection_takes_a_new_permit() -> None:
    """A permit that expired while the connection opened goes back unused; the attempt continues with a new one."""
    harness = WriterHarness()
    harness.network.connects_in = [3.0]
    settled = harness.deliver(due("A"))["A"]

    assert [permit.given_at for permit in harness.quota.given] == [1000.0, 1003.0]
    assert harness.quota.returned == [(1, RoundTrip()), (2, ROUND_TRIP)]
    assert (settled.status, settled.attempts, len(harness.network.sent)) == (Status.SUCCEEDED, 1, 1)


def test_a_drain_while_a_connection_opens_sends_nothing() -> None:
    """If the run ends while a connection opens, nothing is sent, and the row is unsent."""
    harness = WriterHarness(until_seconds=1.0)
    harness.network.connects_in = [3.0]
    settled = harness.deliver(due("A"))["A"]

    assert (settled.status, settled.code, settled.is_open, settled.attempts) == (Status.UNSENT, "deadline", True, 0)
    assert (harness.network.sent, harness.quota.returned) == ([], [(1, RoundTrip())])


@pytest.mark.parametrize(
    ("keys", "status", "code"),
    [
        pytest.param([reply(200)], Status.SUCCEEDED, "SUCCESS", id="there-is-a-new-key"),
        pytest.param([reply(404)], Status.UNKNOWN, "certificate_unknown", id="there-is-none"),
    ],
)
def test_an_unknown_key_is_fetched_once(keys: list[Answer], status: Status, code: str) -> None:
    """An answer with an unknown key fetches it; if none is available, the run stops."""
    harness = WriterHarness()
    harness.network.keys = keys
    harness.plan_answers("A", [UNKNOWN_KEY, UNKNOWN_KEY])
    settled = harness.deliver(due("A"))["A"]

    assert (settled.status, settled.code) == (status, code)
    assert harness.network.keys == []
    assert harness.control.ending == (None if status is Status.SUCCEEDED else Ending.STOPPED)


def test_texts_name_no_user() -> None:
    """Platform texts reach the ledger without the ids that were sent."""
    _, settled = delivered(reply(400, code="INVALID_PARAMETER", message="user 2088000000000001 is unknown"))

    assert "2088000000000001" not in settled.message
    assert "user *** is unknown" in settled.message


def test_the_body_is_sent_unchanged() -> None:
    """The body is sent byte for byte as stored in the ledger."""
    harness, _ = delivered()

    assert [request.body for request in harness.network.sent] == [due("A").body]


def kept(answer: Reply) -> Reply:
    """Return the answer as if it came over a kept connection."""
    return replace(answer, is_fresh=False)


FORBIDDEN = Reply(403, {"trust": Trust.UNSIGNED_ERROR}, b"")


@pytest.mark.parametrize(
    ("answers", "status", "code", "attempts"),
    [
        pytest.param([kept(REFUSED)], Status.SUCCEEDED, "SUCCESS", 2, id="of-another-request"),
        pytest.param([kept(REFUSED), REFUSED], Status.REJECTED, "INVALID_PARAMETER", 2, id="confirmed"),
        pytest.param(
            [kept(refused("REFUND_ILLEGAL")), refused("REFUND_ILLEGAL")], Status.REJECTED, "REFUND_ILLEGAL", 2,
            id="confirmed-refusal-by-state",
        ),
        pytest.param(
            [kept(REFUSED), refused("REFUND_ILLEGAL")], Status.UNKNOWN, "REFUND_ILLEGAL", 2, id="otherwise-refused"
        ),
        pytest.param([kept(FORBIDDEN)] + [NOT_CONNECTED] * 2, Status.UNKNOWN, "http_403", 3, id="no-way-to-confirm"),
        pytest.param([kept(THROTTLED)] + [THROTTLED] * 2, Status.UNSENT, "throttled", 3, id="always-throttled"),
        pytest.param(
            [kept(reply(200, out_biz_no="B"))], Status.SUCCEEDED, "SUCCESS", 2, id="success-of-another-request"
        ),
        pytest.param([kept(reply(200, out_biz_no="A"))], Status.SUCCEEDED, "SUCCESS", 1, id="its-own-success"),
    ],
)  # fmt: skip
def test_an_unconfirmed_answer_is_retried(answers: list[Answer], status: Status, code: str, attempts: int) -> None:
    """Over a kept connection, only an answer that names its request counts; others need a confirmation."""
    _, settled = delivered(*answers)

    assert (settled.status, settled.code, settled.attempts) == (status, code, attempts)


def test_a_retry_uses_a_fresh_connection() -> None:
    """The first attempt may use a kept connection; a retry may not, since it may have to confirm an answer."""
    harness, _ = delivered(kept(REFUSED), TIMEOUT)

    assert harness.network.fresh == [False, True, True]


def test_a_single_attempt_uses_a_fresh_connection() -> None:
    """An attempt that has no retry to confirm it uses a fresh connection."""
    harness, settled = delivered(REFUSED, max_attempts=1)

    assert (harness.network.fresh, settled.status) == ([True], Status.REJECTED)


def test_a_state_uses_a_fresh_connection() -> None:
    """The answer to a state names no request, so each state uses its own connection."""
    harness = WriterHarness(api=Api.STATE)
    harness.plan_answers("A", [reply(200, code="10000", biz_result="success")])
    settled = harness.deliver(due("A"))["A"]

    assert (harness.network.fresh, settled.status) == ([True], Status.SUCCEEDED)


def test_an_unconfirmed_answer_has_no_round_trip_for_the_quota() -> None:
    """An answer that may belong to another request has no timing for the quota."""
    harness, _ = delivered(kept(REFUSED))

    assert harness.quota.returned == [(1, None), (2, ROUND_TRIP)]


def test_an_unconfirmed_refusal_of_the_caller_is_confirmed_alone() -> None:
    """After an unconfirmed refusal of the caller, one request is in flight at a time."""
    harness = WriterHarness()
    clearances: list[Clearance | float] = []

    def check_breaker() -> Answer:
        clearances.append(harness.breaker.start(1))
        return FORBIDDEN

    harness.plan_answers("B", [kept(FORBIDDEN), check_breaker])
    settled = harness.deliver(due("A"), due("B", number=2))

    assert clearances == [0.02]
    assert (settled["B"].status, settled["B"].code, harness.control.halt_code) == (
        Status.UNSENT, "stopped", "http_403",
    )  # fmt: skip


@pytest.mark.parametrize("certain", [True, False])
def test_a_halt_settles_a_row_with_an_unconfirmed_refusal(certain: bool) -> None:
    """A row is unsent if the run halts for the refusal that it got; otherwise it is in doubt."""
    harness = WriterHarness()

    def drain_and_answer() -> Answer:
        harness.control.drain(Ending.STOPPED, "stopped", halt_code="http_403" if certain else "other")
        return kept(FORBIDDEN)

    harness.plan_answers("A", [drain_and_answer])
    settled = harness.deliver(due("A"))["A"]

    assert settled.status is (Status.UNSENT if certain else Status.UNKNOWN)
