"""One query: permits, retries and the end of the run, with the parts that sending has."""

from dataclasses import replace

import orjson
import pytest

from pipeline.errors import LedgerError
from pipeline.model import Api, Lost, Reply
from pipeline.reconcile.queries import NotAnswered, Queries
from pipeline.write.answers.sent_request import SentRequest
from pipeline.write.brakes.run_control import Drained, Ending
from tests.reconcile.query_signer import FakeQuerySigner
from tests.write.harness import (
    BAD_SIGNATURE,
    ROUND_TRIP,
    THROTTLED_FOR_A_WHILE,
    TIMEOUT,
    WriterHarness,
    refused,
    reply,
)

TARGET = "/v3/query?agreement_id=2025"
SENT = SentRequest(Api.CUMULATION, "", {"agreement_id": "2025"}, ("2025",))
ANSWER = reply(200, agreement_id="2025")


@pytest.fixture
def writer() -> WriterHarness:
    return WriterHarness()


def ask(writer: WriterHarness, *answers: Reply | Lost) -> bytes | NotAnswered:
    writer.network.keys = list(answers)
    return Queries(writer.services, FakeQuerySigner(), writer.ledger.keep_job).ask(TARGET, SENT, 1)


def test_the_content_of_a_trusted_answer_is_returned(writer: WriterHarness) -> None:
    """A verified answer that repeats the agreement is returned as received."""
    assert ask(writer, ANSWER) == orjson.dumps({"agreement_id": "2025"})
    assert [(sent.method, sent.target, sent.body) for sent in writer.network.sent] == [("GET", TARGET, b"")]


def test_each_attempt_has_a_permit_a_nonce_and_a_fresh_connection(writer: WriterHarness) -> None:
    """A query without an answer is repeated like a report, within the same quota."""
    ask(writer, TIMEOUT, refused("SYSTEM_ERROR"), ANSWER)

    assert len({sent.headers["nonce"] for sent in writer.network.sent}) == 3
    assert writer.network.fresh == [True] * 3
    assert [permit for permit, _ in writer.quota.returned] == [1, 2, 3]
    assert writer.quota.returned[0] == (1, None)


def test_a_throttled_query_slows_the_quota(writer: WriterHarness) -> None:
    """The platform's Retry-After lowers the rate of all requests of the account."""
    writer.network.keys = []

    assert ask(writer, THROTTLED_FOR_A_WHILE, ANSWER) == ANSWER.body
    assert writer.quota.slowed == [7.0]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param([TIMEOUT] * 3, NotAnswered("timeout"), id="no answer in all attempts"),
        pytest.param(
            [reply(200, agreement_id="2025", fail_reason="ended 2025")],
            NotAnswered("FAIL_REASON", "ended ***"),
            id="a fail_reason, with the agreement masked",
        ),
        pytest.param([reply(200, agreement_id="2026")], NotAnswered("echo_differs"), id="another agreement"),
        pytest.param([refused("NO_SUCH")], NotAnswered("NO_SUCH", "fix it"), id="a refusal"),
    ],
)
def test_anything_else_is_no_answer(answers: list[Reply | Lost], expected: NotAnswered, writer: WriterHarness) -> None:
    """The code says why; a message of the platform is shown without ids."""
    assert ask(writer, *answers) == expected


def test_a_refused_caller_ends_the_run(writer: WriterHarness) -> None:
    """The next query would get the same answer."""
    with pytest.raises(Drained):
        ask(writer, BAD_SIGNATURE)

    assert (writer.control.ending, writer.control.halt_code) == (Ending.STOPPED, "invalid-signature")


def test_a_run_that_ended_asks_no_more(writer: WriterHarness) -> None:
    """After a signal no query leaves."""
    writer.control.drain(Ending.INTERRUPTED, "SIGINT")

    with pytest.raises(Drained):
        ask(writer, ANSWER)

    assert writer.network.sent == []


def test_a_run_that_lost_its_job_asks_no_more(writer: WriterHarness) -> None:
    """The lease is checked before each attempt."""
    writer.ledger.job_is_taken = True

    with pytest.raises(LedgerError):
        ask(writer, ANSWER)

    assert writer.network.sent == []


def test_the_round_trip_of_an_answer_is_reported(writer: WriterHarness) -> None:
    """The quota learns from queries as from reports."""
    ask(writer, replace(ANSWER, round_trip=ROUND_TRIP))

    assert writer.quota.returned == [(1, ROUND_TRIP)]
