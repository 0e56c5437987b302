"""Keeping the platform's keys fresh: before they age, and when an answer names one that is not known."""

import random
import threading
from collections.abc import Callable
from http import HTTPStatus

from pipeline.clock import Clock
from pipeline.model import Api, Loss, Lost, Opened, Reply, Trust
from pipeline.write.answers.answer_content import parse_answer
from pipeline.write.answers.verdict import Halt, TryAgain, Verdict
from pipeline.write.ports import Signer, Transport

# After a download that brought nothing, the next one waits this long.
_PAUSE_SECONDS = 60.0
# Before each try to get the first keys.
_FIRST_PAUSES_SECONDS = (0.0, 1.0, 2.0, 4.0)


class Keys:
    """Fetches platform keys, one worker at a time. The fetch is a request of its own, not one of the quota's."""

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
        Fetch keys where there is none yet to verify an answer with. `go_on` is asked before each try.

        Returns a Halt where none is to be had. A question that gets no answer is asked again.
        """
        why = ""
        for pause in _FIRST_PAUSES_SECONDS:
            if self._signer.can_verify():
                return None
            if pause:
                self._clock.sleep(pause)
            check_running()
            answer = self._ask(None)
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
        """Fetch the keys when they are old enough; when that fails the old ones stay in use."""
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

        Returns a Halt when the platform has no such key to give, or none that can be trusted: the answers of all rows
        name it. A fetch that is lost on the way is no such proof, and made again for the next answer.
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
            "the platform signs with a key that is not known here and can't be fetched; "
            "put its newest public key or certificate into the account's key files, then resume",
            may_have_acted=True,
        )

    def _is_known(self, reply: Reply | Lost) -> bool:
        """Return whether the key that an answer named is known by now, whoever fetched it."""
        return isinstance(reply, Reply) and (
            self._signer.open(reply, at=self._clock.now()).trust is not Trust.UNKNOWN_SERIAL
        )

    def _fetch(self, opened: Opened | None) -> bool | None:
        """Return whether there is a new key; None where the question itself got no answer."""
        answer = self._ask(opened)
        if answer is None:
            return False
        if isinstance(answer, Lost) or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return None
        return self._signer.learn_keys(answer, at=self._clock.now())

    def _ask(self, opened: Opened | None) -> Reply | Lost | None:
        """Ask the platform for its keys; None where only a person can renew them."""
        request = self._signer.key_request(opened, at=self._clock.now(), nonce=f"{self._chance.getrandbits(128):032x}")
        # An answer over a kept connection may be that to another request.
        return None if request is None else self._transport.send(request, fresh=True)


def _may_be_answered_later(answer: Reply | Lost | None) -> bool:
    if isinstance(answer, Reply):
        return answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return answer is not None and answer.cause is not Loss.TLS_REFUSED


def _reason(answer: Reply | Lost | None) -> str:
    """Return why there is no key, in words that may be shown."""
    match answer:
        case None:
            return "there is nothing to fetch them with"
        case Lost(_, detail):
            return detail or "there was no answer"
        case Reply(status=HTTPStatus.OK):
            return "the answer holds none that the APIv3 key opens, or its time is more than five minutes off ours"
    content = parse_answer(Api.POINTS, answer.body)
    said = ", ".join(filter(None, (content.code, content.message))) if content else ""
    return f"status {answer.status}" + (f" ({said})" if said else "")
