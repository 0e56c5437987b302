"""Refresh of the platform's keys: on schedule, and when an answer names an unknown key. Notes for a person on them."""

import random
import threading
from collections.abc import Callable
from http import HTTPStatus

from pipeline.clock import Clock
from pipeline.language import later, t
from pipeline.model import Api, Loss, Lost, Opened, Reply, Trust
from pipeline.write.answers.answer_content import parse_answer
from pipeline.write.answers.verdict import Halt, TryAgain, Verdict
from pipeline.write.ports import Signer, Transport

# Wait after a scheduled download without a new key.
_PAUSE_SECONDS = 60.0
# Waits before each download of the first keys.
_FIRST_PAUSES_SECONDS = (0.0, 1.0, 2.0, 4.0)

_UNKNOWN_KEY = later(
    "the platform signs with a key that is unknown here and can't be fetched; put its newest public "
    "key or certificate into the account's key files"
)
# docs/platform/wechatpay-v3-points.md, Platform certificates: a merchant may have none.
_NONE = later("the merchant has no platform certificate")
_NONE_LEFT = {
    "NOT_ENOUGH": later("the merchant's platform certificate has expired"),
    "RESOURCE_NOT_EXISTS": _NONE,
    "NOT_FOUND": _NONE,
}


class Keys:
    """
    Fetches platform keys, by one worker at a time. A fetch takes no permit of the quota.

    It also keeps the notes of answers on the platform's keys.
    """

    def __init__(self, signer: Signer, transport: Transport, clock: Clock, chance: random.Random) -> None:
        self._signer = signer
        self._transport = transport
        self._clock = clock
        self._chance = chance
        self._lock = threading.Lock()
        # By the name of a key: why it could not be fetched, or an empty text.
        self._fetched: dict[str | None, str] = {}
        self._notes: dict[str, None] = {}
        self._not_before = 0.0

    def load(self, check_running: Callable[[], None]) -> Halt | None:
        """
        Fetch the first keys if none can verify an answer yet. Return a Halt if none is available.

        `check_running` is called before each request, and may raise. A request without a usable answer is repeated.
        """
        answer: Reply | Lost | None = None
        for pause in _FIRST_PAUSES_SECONDS:
            if self._signer.can_verify():
                return None
            if pause:
                self._clock.sleep(pause)
            check_running()
            answer = self._request_keys(None)
            if isinstance(answer, Reply) and self._signer.learn_keys(answer, at=self._clock.now()):
                return None
            if not _may_be_answered_later(answer):
                break
        return Halt(
            "platform_key_missing",
            t(
                "the platform's certificates could not be fetched: {reason}; without one no answer can be verified, so "
                "nothing was sent; {advice}",
                reason=_reason(answer),
                advice=_advice(answer),
            ),
        )

    def note(self, opened: Opened | None) -> None:
        """Keep the note of a verified answer. An untrusted one may be forged."""
        if opened is not None and opened.trust is Trust.VERIFIED and opened.note:
            self._notes[opened.note] = None

    def notes(self) -> list[str]:
        """Return what a person should do about the platform's keys, each once."""
        return list(self._notes)

    def refresh_if_due(self) -> None:
        """Fetch the keys if they are due. If that fails, the old keys stay in use."""
        if not self._signer.keys_due(self._clock.now()) or not self._lock.acquire(blocking=False):
            return
        try:
            if self._clock.steady() >= self._not_before and not self._learn(self._request_keys(None)):
                self._not_before = self._clock.steady() + _PAUSE_SECONDS
        finally:
            self._lock.release()

    def refresh_for(self, verdict: Verdict, reply: Reply | Lost, opened: Opened | None) -> Halt | None:
        """
        Fetch the key that an answer named, once for each name.

        Return a Halt if the platform offers no such key or an untrusted one: the answers to all rows name it.
        A lost fetch proves nothing, and is repeated for the next answer.
        """
        if not (isinstance(verdict, TryAgain) and verdict.refresh_keys and opened is not None):
            return None
        with self._lock:
            if opened.serial not in self._fetched:
                self._fetch(opened)
            why = self._fetched.get(opened.serial)
            if why is None or self._is_known(reply):
                return None
        text = t("{advice}, then resume", advice=opened.note or t(_UNKNOWN_KEY)) + (
            t("; fetching certificates failed: {why}", why=why) if why else ""
        )
        return Halt(Trust.UNKNOWN_SERIAL, text, may_have_acted=True)

    def _is_known(self, reply: Reply | Lost) -> bool:
        """Return whether the key that an answer named is known by now; another worker may have fetched it."""
        return isinstance(reply, Reply) and (
            self._signer.open(reply, at=self._clock.now()).trust is not Trust.UNKNOWN_SERIAL
        )

    def _fetch(self, opened: Opened) -> None:
        """Fetch the key that an answer named. A fetch without an answer is not remembered."""
        answer = self._request_keys(opened)
        if answer is None:
            self._fetched[opened.serial] = ""
        elif isinstance(answer, Reply) and answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            self._learn(answer)
            # The body of a status 200 is for the signer, and differs by platform.
            self._fetched[opened.serial] = "" if answer.status == HTTPStatus.OK else _reason(answer)

    def _learn(self, answer: Reply | Lost | None) -> bool:
        """Return whether an answer brought a new key."""
        return isinstance(answer, Reply) and self._signer.learn_keys(answer, at=self._clock.now())

    def _request_keys(self, opened: Opened | None) -> Reply | Lost | None:
        """Request the platform's keys; return None if only a person can renew them."""
        request = self._signer.key_request(opened, at=self._clock.now(), nonce=f"{self._chance.getrandbits(128):032x}")
        # An answer over a kept connection may belong to another request.
        return None if request is None else self._transport.send(request, fresh=True)


def _may_be_answered_later(answer: Reply | Lost | None) -> bool:
    if isinstance(answer, Reply):
        return answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return answer is not None and answer.cause is not Loss.TLS_REFUSED


def _reason(answer: Reply | Lost | None) -> str:
    """Return why there is no key, as a text that may be shown."""
    none_left = _none_left(answer)
    match answer:
        case None:
            return t("there is nothing to fetch them with")
        case Lost(_, detail):
            return detail or t("there was no answer")
        case Reply(status=HTTPStatus.OK):
            unusable = t("the answer holds none that the APIv3 key opens, or its time is more than 5 minutes off ours")
            return none_left or unusable
    content = parse_answer(Api.POINTS, answer.body)
    details = ", ".join(filter(None, (content.code, content.message))) if content else ""
    status = t("status {status}", status=answer.status) + (f" ({details})" if details else "")
    return f"{none_left}, {status}" if none_left else status


def _none_left(answer: Reply | Lost | None) -> str | None:
    """Return why the merchant has no platform certificate; None if the answer does not say so."""
    content = parse_answer(Api.POINTS, answer.body) if isinstance(answer, Reply) else None
    if content is None:
        return None
    english = _NONE if content.fields.get("data") == [] else _NONE_LEFT.get(content.code)
    return english and t(english)


def _advice(answer: Reply | Lost | None) -> str:
    """Return what to do without platform certificates."""
    if _none_left(answer):
        return t("set public_key_id and public_key_file of the account, then resume")
    return t(
        "check mchid, serial_no, private_key_file and the APIv3 key of the account and resume, or name "
        "its public_key_id and public_key_file"
    )
