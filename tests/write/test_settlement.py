"""Settlements, from a delivery's history and its last verdict."""

import pytest

from pipeline.ledger.records import DeliveryState, Settlement
from pipeline.model import Status
from pipeline.write.answers.verdict import Halt, Open, Refused, Succeeded, TryAgain, Verdict
from pipeline.write.settlement import DeliveryHistory, cut_short, settle

SENDING, UNKNOWN, SUCCEEDED, REJECTED, UNSENT = DeliveryState

FRESH = DeliveryHistory()
SEEN = DeliveryHistory(seen=True, attempts=2)
DOUBTED = DeliveryHistory(doubt=True, doubt_code="timeout", seen=True, attempts=2)
DOUBTED_BEFORE = DeliveryHistory(before=UNKNOWN, doubt=True)
FACTS = DeliveryHistory(
    attempts=4, first_sent_at="first", finished_at="last", http_status=400, latency_ms=7, trace_id="trace", seen=True
)

LOST = TryAgain("connection_lost", "it broke", may_have_acted=True)
UNCONFIRMED = TryAgain(
    "http_403", "over a kept connection", may_have_acted=True, is_unconfirmed=True, questions_caller=True
)
THROTTLED = TryAgain("http_429", "too many", may_have_acted=False, slow=True)
NOT_CONNECTED = TryAgain("not_connected", "no connection", may_have_acted=False)
AT_LAST = TryAgain("EASY_MEMBER_CONSULT_FAIL", "no", may_have_acted=False, refused_at_last=True)


@pytest.mark.parametrize(
    ("history", "verdict", "settled"),
    [
        pytest.param(
            FACTS,
            Succeeded("SUCCESS"),
            Settlement(
                status=Status.SUCCEEDED,
                code="SUCCESS",
                message="",
                http_status=400,
                attempts=4,
                first_sent_at="first",
                finished_at="last",
                latency_ms=7,
                trace_id="trace",
                leaves=SUCCEEDED,
            ),
            id="all-facts-come-along",
        ),
        pytest.param(
            DOUBTED,
            Succeeded("SUCCESS"),
            Settlement(Status.SUCCEEDED, "SUCCESS", attempts=2, leaves=SUCCEEDED),
            id="a-success-settles-doubt",
        ),
        pytest.param(FRESH, Refused("X", "no"), Settlement(Status.REJECTED, "X", "no", leaves=REJECTED), id="refused"),
        pytest.param(
            FRESH,
            Refused("X", "no", wants_new_key=True),
            Settlement(Status.REJECTED, "X", "no", wants_new_key=True, leaves=REJECTED),
            id="refused-for-its-key",
        ),
        pytest.param(FRESH, Open("X", "?"), Settlement(Status.UNKNOWN, "X", "?", leaves=UNKNOWN), id="open"),
        pytest.param(
            SEEN,
            Halt("X", "stop"),
            Settlement(Status.UNSENT, "stopped", "X: stop", attempts=2, is_open=True, leaves=UNSENT),
            id="stopped",
        ),
        pytest.param(
            DOUBTED,
            Halt("X", "stop"),
            Settlement(Status.UNKNOWN, "timeout", "X: stop", attempts=2, is_open=True, leaves=UNKNOWN),
            id="stopped-in-doubt",
        ),
        pytest.param(
            DOUBTED,
            LOST,
            Settlement(Status.UNKNOWN, "timeout", "it broke", attempts=2, leaves=UNKNOWN),
            id="exhausted-in-doubt",
        ),
        pytest.param(
            DOUBTED,
            THROTTLED,
            Settlement(Status.UNKNOWN, "timeout", "too many", attempts=2, leaves=UNKNOWN),
            id="throttled-in-doubt",
        ),
        pytest.param(
            DOUBTED_BEFORE,
            NOT_CONNECTED,
            Settlement(Status.UNKNOWN, "not_connected", "no connection", leaves=UNKNOWN),
            id="in-doubt-since-an-earlier-run",
        ),
        pytest.param(
            SEEN,
            THROTTLED,
            Settlement(
                Status.UNSENT,
                "throttled",
                "every attempt was throttled (http_429); rerun or resume",
                attempts=2,
                leaves=UNSENT,
            ),
            id="throttled",
        ),
        pytest.param(
            FRESH,
            NOT_CONNECTED,
            Settlement(Status.UNSENT, "not_connected", "no connection", leaves=None),
            id="never-left",
        ),
        pytest.param(
            DeliveryHistory(before=REJECTED),
            NOT_CONNECTED,
            Settlement(Status.UNSENT, "not_connected", "no connection", leaves=REJECTED),
            id="never-left-and-as-before",
        ),
        pytest.param(
            SEEN,
            AT_LAST,
            Settlement(Status.REJECTED, "EASY_MEMBER_CONSULT_FAIL", "no", attempts=2, leaves=REJECTED),
            id="refused-at-last",
        ),
    ],
)
def test_a_verdict_and_its_history_give_a_settlement(
    history: DeliveryHistory, verdict: Verdict, settled: Settlement
) -> None:
    """Doubt outweighs the last verdict; only an answer that settles it ends it."""
    assert settle(history, verdict) == settled


@pytest.mark.parametrize(
    ("history", "settled"),
    [
        pytest.param(FRESH, Settlement(Status.UNSENT, "deadline", "06:30", is_open=True, leaves=None), id="untouched"),
        pytest.param(
            SEEN,
            Settlement(Status.UNSENT, "deadline", "06:30", attempts=2, is_open=True, leaves=UNSENT),
            id="between-attempts",
        ),
        pytest.param(
            DOUBTED,
            Settlement(Status.UNKNOWN, "timeout", "06:30", attempts=2, is_open=True, leaves=UNKNOWN),
            id="in-doubt",
        ),
        pytest.param(
            DOUBTED_BEFORE,
            Settlement(Status.UNKNOWN, "deadline", "06:30", is_open=True, leaves=UNKNOWN),
            id="in-doubt-since-an-earlier-run",
        ),
    ],
)
def test_a_delivery_that_is_cut_off_stays_open(history: DeliveryHistory, settled: Settlement) -> None:
    """A delivery interrupted by the run's end is left for `resume`, and is unknown if it may have been applied."""
    assert cut_short(history, "deadline", "06:30") == settled


@pytest.mark.parametrize(
    ("verdicts", "history"),
    [
        pytest.param([NOT_CONNECTED], DeliveryHistory(), id="never-left"),
        pytest.param([THROTTLED], DeliveryHistory(seen=True), id="seen"),
        pytest.param([LOST], DeliveryHistory(doubt=True, doubt_code="connection_lost", seen=True), id="doubt"),
        pytest.param(
            [LOST, THROTTLED, NOT_CONNECTED],
            DeliveryHistory(doubt=True, doubt_code="connection_lost", seen=True),
            id="doubt-stays",
        ),
        pytest.param([Open("X", "")], DeliveryHistory(doubt=True, doubt_code="X", seen=True), id="open"),
        pytest.param([Halt("X", "")], DeliveryHistory(seen=True), id="stopped"),
        pytest.param(
            [Halt("X", "", may_have_acted=True)],
            DeliveryHistory(doubt=True, doubt_code="X", seen=True),
            id="stopped-in-doubt",
        ),
    ],
)
def test_doubt_stays(verdicts: list[Verdict], history: DeliveryHistory) -> None:
    """A verdict only adds facts to the history."""
    collected = DeliveryHistory()
    for verdict in verdicts:
        collected = collected.after(verdict)

    assert collected == history


@pytest.mark.parametrize(
    ("verdicts", "status", "code"),
    [
        pytest.param([], Status.UNKNOWN, "http_403", id="not-confirmed"),
        pytest.param([NOT_CONNECTED], Status.UNKNOWN, "http_403", id="no-way-to-confirm-it"),
        pytest.param([THROTTLED], Status.UNKNOWN, "http_403", id="another-answer"),
        pytest.param([LOST], Status.UNKNOWN, "connection_lost", id="doubt-of-another-kind"),
        pytest.param([Halt("http_401", "no")], Status.UNKNOWN, "http_403", id="refused-otherwise"),
        pytest.param([Halt("http_403", "no")], Status.UNSENT, "stopped", id="confirmed"),
        pytest.param([NOT_CONNECTED, Halt("http_403", "no")], Status.UNSENT, "stopped", id="confirmed-at-last"),
        pytest.param([Refused("X", "no")], Status.REJECTED, "X", id="refused"),
    ],
)
def test_an_answer_over_a_kept_connection_counts_once_it_is_confirmed(
    verdicts: list[Verdict], status: Status, code: str
) -> None:
    """An unconfirmed answer leaves the row in doubt until a fresh connection brings the same answer."""
    history = FRESH.after(UNCONFIRMED)
    for verdict in verdicts:
        history = history.after(verdict)
    settled = settle(history, verdicts[-1] if verdicts else UNCONFIRMED)

    assert (settled.status, settled.code) == (status, code)


def test_throttled_again_over_a_fresh_connection_is_unsent() -> None:
    """A throttled answer over a kept connection leaves no doubt once a fresh connection brings the same."""
    first = TryAgain("http_429", "", may_have_acted=True, slow=True, is_unconfirmed=True)
    history = FRESH.after(first).after(THROTTLED)

    assert settle(history, THROTTLED).status is Status.UNSENT


@pytest.mark.parametrize(
    ("halt_code", "status"),
    [("http_403", Status.UNSENT), ("too_many_failures", Status.UNKNOWN), (None, Status.UNKNOWN)],
)
def test_a_halt_confirms_the_same_refusal_of_the_caller(halt_code: str | None, status: Status) -> None:
    """A row with an unconfirmed refusal is unsent if the run halts for the same refusal, otherwise in doubt."""
    history = FRESH.after(UNCONFIRMED).after_halt(halt_code)

    assert cut_short(history, "stopped", "no").status is status


def test_a_halt_confirms_no_refusal_of_a_row() -> None:
    """A halt for equal refusals of rows does not confirm the refusal of another row."""
    refusal = TryAgain("PARAM_ERROR", "", may_have_acted=True, is_unconfirmed=True)
    history = FRESH.after(refusal).after_halt("PARAM_ERROR")

    assert cut_short(history, "stopped", "no").status is Status.UNKNOWN
