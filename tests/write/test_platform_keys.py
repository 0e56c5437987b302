"""Fetching the platform's keys: when they are due, and when an answer names one that is not known."""

from random import Random

import pytest

from pipeline.model import Loss, Lost, Opened, Trust
from pipeline.write.answers.verdict import Halt, TryAgain, Verdict
from pipeline.write.brakes.run_control import Drained
from pipeline.write.keys import Keys
from tests.moved_clock import MovedClock
from tests.write.rehearsal import UNKNOWN_KEY, Answer, Network, PlainSigner, reply

NAMES_NEW_KEY = TryAgain("certificate_unknown", "", may_have_acted=True, refresh_keys=True)
UNKNOWN = Opened(Trust.UNKNOWN_SERIAL, b"", "serial")
LOST = Lost(Loss.TIMEOUT)


class Bench:
    """Keys with everything around them, and how often they were fetched."""

    def __init__(self, *answers: Answer) -> None:
        self.clock = MovedClock()
        self.signer = PlainSigner()
        self.network = Network(self.clock, keys=list(answers))
        self.keys = Keys(self.signer, self.network, self.clock, Random(7))

    def refused(self, verdict: Verdict = NAMES_NEW_KEY, answer: Answer = UNKNOWN_KEY) -> bool:
        """Return whether an answer stops the run."""
        return isinstance(self.keys.refresh_for(verdict, answer, UNKNOWN), Halt)

    def load(self) -> Halt | None:
        """Get the first key, where there is none."""
        self.signer.has_key = False
        return self.keys.load(lambda: None)

    @property
    def fetched(self) -> int:
        return len(self.network.sent)


def test_keys_that_are_due_are_fetched() -> None:
    """Keys are fetched when they are old enough, and left alone otherwise."""
    bench = Bench(reply(200))
    bench.keys.refresh_if_due()
    before = bench.fetched
    bench.signer.is_due = True
    bench.keys.refresh_if_due()

    assert (before, bench.fetched, bench.signer.knows_new_key) == (0, 1, True)


@pytest.mark.parametrize("answer", [pytest.param(LOST, id="lost"), pytest.param(reply(404), id="no-keys-there")])
def test_a_fetch_in_vain_is_not_made_again_at_once(answer: Answer) -> None:
    """After a fetch that brought nothing the next one waits a minute, while the old keys stay in use."""
    bench = Bench(answer, reply(200))
    bench.signer.is_due = True
    bench.keys.refresh_if_due()
    bench.keys.refresh_if_due()
    at_once = bench.fetched
    bench.clock.move(60.0)
    bench.keys.refresh_if_due()

    assert (at_once, bench.fetched) == (1, 2)


def test_a_new_key_is_fetched_once_for_all() -> None:
    """The first answer that names a new key has it fetched; the others find it there."""
    bench = Bench(reply(200))

    assert [bench.refused(), bench.refused()] == [False, False]
    assert bench.fetched == 1


def test_a_key_that_the_platform_does_not_give_stops_the_run() -> None:
    """Where the platform has no key under the name that its answers bear, all rows would fare alike."""
    bench = Bench(reply(404))

    assert [bench.refused(), bench.refused()] == [True, True]
    assert bench.fetched == 1


def test_a_key_that_only_a_person_can_renew_stops_the_run() -> None:
    """Where there is nothing to fetch keys from, a key that is not known stops the run at once."""
    bench = Bench()
    bench.signer.has_keys_to_fetch = False

    assert bench.refused()


def test_a_lost_question_proves_nothing() -> None:
    """A fetch that got no answer is made again for the next row."""
    bench = Bench(LOST, reply(200))

    assert [bench.refused(), bench.refused()] == [False, False]
    assert bench.fetched == 2


@pytest.mark.parametrize(
    ("verdict", "answer"),
    [
        pytest.param(TryAgain("timeout", "", may_have_acted=True), UNKNOWN_KEY, id="another-verdict"),
        pytest.param(Halt("X", ""), UNKNOWN_KEY, id="a-halt"),
    ],
)
def test_only_answers_that_ask_for_it_have_keys_fetched(verdict: Verdict, answer: Answer) -> None:
    """Keys are not fetched for a verdict that has nothing to do with them."""
    bench = Bench()

    assert not bench.refused(verdict, answer)
    assert bench.fetched == 0


def test_the_first_key_is_fetched_over_a_fresh_connection() -> None:
    """Where there is no key to verify an answer with, one is fetched, by an answer that can't be another request's."""
    bench = Bench(reply(200))

    assert (bench.load(), bench.fetched, bench.network.fresh) == (None, 1, [True])


def test_nothing_is_fetched_where_there_is_a_key() -> None:
    """A key of the account's own is enough to begin with."""
    bench = Bench()

    assert (bench.keys.load(lambda: None), bench.fetched) == (None, 0)


@pytest.mark.parametrize("answer", [LOST, reply(429), reply(503)])
def test_a_question_for_the_first_key_is_asked_again(answer: Answer) -> None:
    """A platform that gave no answer to the point is asked again, after a pause."""
    bench = Bench(answer, answer, reply(200))

    assert (bench.load(), bench.fetched, bench.clock.sleeps) == (None, 3, [1.0, 2.0])


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        pytest.param([Lost(Loss.NOT_CONNECTED, "connection refused by 127.0.0.1:1")] * 4,
                     "connection refused by 127.0.0.1:1", id="not-connected"),
        pytest.param([Lost(Loss.TLS_REFUSED, "the TLS certificate of a.example:443 has expired")],
                     "the TLS certificate of a.example:443 has expired", id="not-trusted"),
        pytest.param([LOST] * 4, "there was no answer", id="lost"),
        pytest.param([reply(503)] * 4, "status 503", id="down"),
        pytest.param([reply(401, code="SIGN_ERROR", message="签名")], "status 401 (SIGN_ERROR, 签名)", id="refused"),
        pytest.param([reply(404)], "status 404", id="none-there"),
    ],
)  # fmt: skip
def test_without_a_first_key_nothing_is_sent(answers: list[Answer], why: str) -> None:
    """Where no key is to be had the run stops, and says why."""
    bench = Bench(*answers)

    assert bench.load() == Halt(
        "platform_key_missing",
        f"the platform's certificates could not be fetched: {why}; without one no answer can be verified, so nothing "
        "was sent; check mchid, serial_no, private_key_file and the APIv3 key of the account and resume, or name its "
        "public_key_id and public_key_file",
    )
    assert bench.network.keys == []


def test_a_first_answer_without_a_key_of_use_is_told() -> None:
    """Certificates that the APIv3 key does not open are none."""
    bench = Bench(reply(200))
    bench.signer.learns = False
    halt = bench.load()

    assert halt is not None
    assert "the answer holds none that the APIv3 key opens" in halt.text


def test_a_run_that_is_to_end_asks_for_no_key() -> None:
    """A deadline that comes while the first key is waited for ends the wait."""
    bench = Bench(LOST)
    bench.signer.has_key = False
    asked: list[int] = []

    def check_running() -> None:
        asked.append(bench.fetched)
        if len(asked) == 2:
            raise Drained

    with pytest.raises(Drained):
        bench.keys.load(check_running)
    assert asked == [0, 1]
