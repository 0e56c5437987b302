"""Refresh of the platform's keys: on schedule, and when an answer names an unknown key."""

import random
import threading
from collections.abc import Callable
from http import HTTPStatus

from pipeline.clock import Clock
from pipeline.model import Api, Loss, Lost, Opened, Reply, Trust
from pipeline.write.answers.answer_content import parse_answer
from pipeline.write.answers.verdict import Halt, TryAgain, Verdict
from pipeline.write.ports import Signer, Transport

# Wait after a scheduled download without a new key.
_PAUSE_SECONDS = 60.0
# Waits before each download of the first keys.
_FIRST_PAUSES_SECONDS = (0.0, 1.0, 2.0, 4.0)


class Keys:
    """Fetches platform keys, by one worker at a time. A fetch takes no permit of the quota."""

    def __init__(self, signer: Signer, transport: Transport, clock: Clock, chance: random.Random) -> None:
        self._signer = signer
        self._transport = transport
        self._clock = clock
        self._chance = chance
        self._lock = threading.Lock()
        self._fetched: set[str | None] = set()
        self._not_before = 0.0

    def load(self, check_running: Callable[[], None]) -> Halt | None:
        """
        Fetch the first keys if none can verify an answer yet. Return a Halt if none is available.

        `check_running` is called before each request, and may raise. A request without a usable answer is repeated.
        """
        why = ""
        for pause in _FIRST_PAUSES_SECONDS:
            if self._signer.can_verify():
                return None
            if pause:
                self._clock.sleep(pause)
            check_running()
            answer = self._request_keys(None)
            if isinstance(answer, Reply) and self._signer.learn_keys(answer, at=self._clock.now()):
                return None
            why = _reason(answer)
            if not _may_be_answered_later(answer):
                break
        return Halt(
            "platform_key_missing",
            f"the platform's certificates could not be fetched: {why}; without one no answer can be verified, so "
            "nothing was sent; check mchid, serial_no, private_key_file and the APIv3 key of the account and resume, "
            "or name its public_key_id and public_key_file",
        )

    def refresh_if_due(self) -> None:
        """Fetch the keys if they are due. If that fails, the old keys stay in use."""
        if not self._signer.keys_due(self._clock.now()) or not self._lock.acquire(blocking=False):
            return
        try:
            if self._clock.steady() >= self._not_before and not self._fetch(None):
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
            if opened.serial not in self._fetched and self._fetch(opened) is not None:
                self._fetched.add(opened.serial)
            is_known = self._is_known(reply)
            if is_known or opened.serial not in self._fetched:
                return None
        return Halt(
            Trust.UNKNOWN_SERIAL,
            "the platform signs with a key that is unknown here and can't be fetched; "
            "put its newest public key or certificate into the account's key files, then resume",
            may_have_acted=True,
        )

    def _is_known(self, reply: Reply | Lost) -> bool:
        """Return whether the key that an answer named is known by now; another worker may have fetched it."""
        return isinstance(reply, Reply) and (
            self._signer.open(reply, at=self._clock.now()).trust is not Trust.UNKNOWN_SERIAL
        )

    def _fetch(self, opened: Opened | None) -> bool | None:
        """Return whether a new key is known; None if the fetch got no answer."""
        answer = self._request_keys(opened)
        if answer is None:
            return False
        if isinstance(answer, Lost) or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return None
        return self._signer.learn_keys(answer, at=self._clock.now())

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
    match answer:
        case None:
            return "there is nothing to fetch them with"
        case Lost(_, detail):
            return detail or "there was no answer"
        case Reply(status=HTTPStatus.OK):
            return "the answer holds none that the APIv3 key opens, or its time is more than 5 minutes off ours"
    content = parse_answer(Api.POINTS, answer.body)
    details = ", ".join(filter(None, (content.code, content.message))) if content else ""
    return f"status {answer.status}" + (f" ({details})" if details else "")
