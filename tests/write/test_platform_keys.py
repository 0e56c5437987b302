"""Refresh of the platform's keys: on schedule, and when an answer names an unknown key."""

from dataclasses import replace
from random import Random

import pytest

from pipeline.model import Loss, Lost, Opened, Reply, Trust
from pipeline.write.answers.verdict import Halt, TryAgain, Verdict
from pipeline.write.brakes.run_control import Drained
from pipeline.write.keys import Keys
from tests.moved_clock import MovedClock
from tests.write.harness import UNKNOWN_KEY, Answer, FakeNetwork, FakeSigner, reply

NAMES_NEW_KEY = TryAgain("certificate_unknown", "", may_have_acted=True, refresh_keys=True)
UNKNOWN = Opened(Trust.UNKNOWN_SERIAL, b"", "serial")
LOST = Lost(Loss.TIMEOUT)


class KeysHarness:
    """Keys with fake services, and the number of fetches."""

    def __init__(self, *answers: Answer) -> None:
        self.clock = MovedClock()
        self.signer = FakeSigner()
        self.network = FakeNetwork(self.clock, keys=list(answers))
        self.keys = Keys(self.signer, self.network, self.clock, Random(7))

    def refused(self, verdict: Verdict = NAMES_NEW_KEY, answer: Answer = UNKNOWN_KEY) -> bool:
        """Return whether an answer stops the run."""
        return isinstance(self.keys.refresh_for(verdict, answer, UNKNOWN), Halt)

    def load(self) -> Halt | None:
        """Load the first keys, without one at the start."""
        self.signer.has_key = False
        return self.keys.load(lambda: None)

    @property
    def fetched(self) -> int:
        return len(self.network.sent)


def test_keys_that_are_due_are_fetched() -> None:
    """Keys are fetched only if they are due."""
    harness = KeysHarness(reply(200))
    harness.keys.refresh_if_due()
    before = harness.fetched
    harness.signer.is_due = True
    harness.keys.refresh_if_due()

    assert (before, harness.fetched, harness.signer.knows_new_key) == (0, 1, True)


@pytest.mark.parametrize("answer", [pytest.param(LOST, id="lost"), pytest.param(reply(404), id="no-keys-there")])
def test_a_failed_fetch_is_repeated_after_a_pause(answer: Answer) -> None:
    """After a fetch without a new key the next one waits a minute; the old keys stay in use."""
    harness = KeysHarness(answer, reply(200))
    harness.signer.is_due = True
    harness.keys.refresh_if_due()
    harness.keys.refresh_if_due()
    directly_after = harness.fetched
    harness.clock.move(60.0)
    harness.keys.refresh_if_due()

    assert (directly_after, harness.fetched) == (1, 2)


def test_a_new_key_is_fetched_once_for_all() -> None:
    """The first answer that names a new key fetches it for all later answers."""
    harness = KeysHarness(reply(200))

    assert [harness.refused(), harness.refused()] == [False, False]
    assert harness.fetched == 1


def test_an_unavailable_key_stops_the_run() -> None:
    """If the platform does not have the key that its answers name, the run stops."""
    harness = KeysHarness(reply(404))

    assert [harness.refused(), harness.refused()] == [True, True]
    assert harness.fetched == 1


def test_a_key_that_only_a_person_can_renew_stops_the_run() -> None:
    """If no keys can be fetched, an unknown key stops the run."""
    harness = KeysHarness()
    harness.signer.has_keys_to_fetch = False

    assert harness.refused()


@pytest.mark.parametrize(
    ("opened", "answer", "text"),
    [
        pytest.param(
            UNKNOWN, reply(200),
            "the platform signs with a key that is unknown here and can't be fetched; put its newest public key or "
            "certificate into the account's key files, then resume",
            id="no-note",
        ),
        pytest.param(
            replace(UNKNOWN, note="open the switch"), reply(403, code="NOT_ENOUGH", message="证书已过期"),
            "open the switch, then resume; fetching certificates failed: the merchant's platform certificate has "
            "expired, status 403 (NOT_ENOUGH, 证书已过期)",
            id="a-note-and-an-expired-certificate",
        ),
        pytest.param(
            replace(UNKNOWN, note="open the switch"), reply(401, code="SIGN_ERROR"),
            "open the switch, then resume; fetching certificates failed: status 401 (SIGN_ERROR)",
            id="a-note-and-a-refusal",
        ),
    ],
)  # fmt: skip
def test_the_halt_says_what_to_do(opened: Opened, answer: Answer, text: str) -> None:
    """The signer's note says what to do about an unknown key, and a refused download says why there is none."""
    harness = KeysHarness(answer)
    harness.signer.learns = False

    halt = harness.keys.refresh_for(NAMES_NEW_KEY, UNKNOWN_KEY, opened)

    assert halt == Halt("unknown_serial", text, may_have_acted=True)


def test_notes_of_verified_answers_are_kept_once() -> None:
    """A note of a verified answer is kept once; one of an answer that proves nothing is not."""
    harness = KeysHarness()
    noted = Opened(Trust.VERIFIED, note="open the switch")
    for opened in (None, Opened(Trust.VERIFIED), noted, noted, replace(noted, trust=Trust.BAD_SIGNATURE, note="no")):
        harness.keys.note(opened)

    assert harness.keys.notes() == ["open the switch"]


def test_a_lost_fetch_proves_nothing() -> None:
    """A fetch without an answer is repeated for the next row."""
    harness = KeysHarness(LOST, reply(200))

    assert [harness.refused(), harness.refused()] == [False, False]
    assert harness.fetched == 2


@pytest.mark.parametrize(
    ("verdict", "answer"),
    [
        pytest.param(TryAgain("timeout", "", may_have_acted=True), UNKNOWN_KEY, id="another-verdict"),
        pytest.param(Halt("X", ""), UNKNOWN_KEY, id="a-halt"),
    ],
)
def test_other_verdicts_fetch_no_key(verdict: Verdict, answer: Answer) -> None:
    """Only a verdict with `refresh_keys` fetches keys."""
    harness = KeysHarness()

    assert not harness.refused(verdict, answer)
    assert harness.fetched == 0


def test_the_first_key_is_fetched_over_a_fresh_connection() -> None:
    """Without a key, one is fetched over a fresh connection, so the answer belongs to no other request."""
    harness = KeysHarness(reply(200))

    assert (harness.load(), harness.fetched, harness.network.fresh) == (None, 1, [True])


def test_a_configured_key_needs_no_fetch() -> None:
    """With a configured key, nothing is fetched at the start."""
    harness = KeysHarness()

    assert (harness.keys.load(lambda: None), harness.fetched) == (None, 0)


@pytest.mark.parametrize("answer", [LOST, reply(429), reply(503)])
def test_the_first_fetch_is_repeated(answer: Answer) -> None:
    """The request for the first key is repeated after a pause if the platform gave no usable answer."""
    harness = KeysHarness(answer, answer, reply(200))

    assert (harness.load(), harness.fetched, harness.clock.sleeps) == (None, 3, [1.0, 2.0])


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
    """Without any key the run stops, and says why."""
    harness = KeysHarness(*answers)

    assert harness.load() == Halt(
        "platform_key_missing",
        f"the platform's certificates could not be fetched: {why}; without one no answer can be verified, so nothing "
        "was sent; check mchid, serial_no, private_key_file and the APIv3 key of the account and resume, or name its "
        "public_key_id and public_key_file",
    )
    assert harness.network.keys == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(
            reply(403, code="NOT_ENOUGH", message="证书已过期"),
            "the merchant's platform certificate has expired, status 403 (NOT_ENOUGH, 证书已过期)",
            id="expired",
        ),
        pytest.param(
            reply(404, code="RESOURCE_NOT_EXISTS"),
            "the merchant has no platform certificate, status 404 (RESOURCE_NOT_EXISTS)",
            id="never-had-one",
        ),
        pytest.param(
            reply(404, code="NOT_FOUND"),
            "the merchant has no platform certificate, status 404 (NOT_FOUND)",
            id="not-found",
        ),
        pytest.param(Reply(200, {}, b'{"data":[]}'), "the merchant has no platform certificate", id="empty-list"),
    ],
)
def test_a_merchant_without_certificates_needs_the_public_key(answer: Reply, why: str) -> None:
    """All four forms of "no certificates" say so, and advise the public key."""
    harness = KeysHarness(answer)
    harness.signer.learns = False

    assert harness.load() == Halt(
        "platform_key_missing",
        f"the platform's certificates could not be fetched: {why}; without one no answer can be verified, so nothing "
        "was sent; set public_key_id and public_key_file of the account, then resume",
    )
    assert harness.fetched == 1


def test_an_unusable_first_key_is_reported() -> None:
    """Certificates that the APIv3 key does not decrypt are reported."""
    harness = KeysHarness(reply(200))
    harness.signer.learns = False
    halt = harness.load()

    assert halt is not None
    assert "the answer holds none that the APIv3 key opens" in halt.text


def test_a_drained_run_fetches_no_key() -> None:
    """A drain during the wait for the first key ends the wait."""
    harness = KeysHarness(LOST)
    harness.signer.has_key = False
    fetched_before: list[int] = []

    def check_running() -> None:
        fetched_before.append(harness.fetched)
        if len(fetched_before) == 2:
            raise Drained

    with pytest.raises(Drained):
        harness.keys.load(check_running)
    assert fetched_before == [0, 1]
