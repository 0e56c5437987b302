"""Fetching the platform's keys: when they are due, and when an answer names one that is not known."""

from random import Random

import pytest

from pipeline.model import Loss, Lost, Opened, Trust
from pipeline.write.keys import Keys
from pipeline.write.verdict import Halt, TryAgain, Verdict
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
