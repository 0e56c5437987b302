"""Keeping the platform's keys fresh: before they age, and when an answer names one that is not known."""

import random
import threading

from pipeline.clock import Clock
from pipeline.model import Lost, Opened, Trust
from pipeline.write.ports import Signer, Transport
from pipeline.write.verdict import Halt, TryAgain, Verdict

# After a download that brought nothing, the next one waits this long.
_PAUSE_SECONDS = 60.0


class Keys:
    """Fetches platform keys, one worker at a time. The fetch is a request of its own, not one of the quota's."""

    def __init__(self, signer: Signer, transport: Transport, clock: Clock, chance: random.Random) -> None:
        self._signer = signer
        self._transport = transport
        self._clock = clock
        self._chance = chance
        self._lock = threading.Lock()
        self._tried: dict[str | None, bool] = {}
        self._not_before = 0.0

    def refresh_if_due(self) -> None:
        """Fetch the keys when they are old enough; when that fails the old ones stay in use."""
        if not self._signer.keys_due(self._clock.now()) or not self._lock.acquire(blocking=False):
            return
        try:
            if self._clock.steady() >= self._not_before and not self._fetch(None):
                self._not_before = self._clock.steady() + _PAUSE_SECONDS
        finally:
            self._lock.release()

    def refresh_for(self, verdict: Verdict, opened: Opened | None) -> Halt | None:
        """
        Fetch the key that an answer named, once for each name.

        Returns a Halt when it can't be had: the answers of all rows name it.
        """
        if not (isinstance(verdict, TryAgain) and verdict.refresh_keys and opened is not None):
            return None
        with self._lock:
            if opened.serial not in self._tried:
                self._tried[opened.serial] = self._fetch(opened)
            if self._tried[opened.serial]:
                return None
        return Halt(
            Trust.UNKNOWN_SERIAL,
            "the platform signs with a key that is not known here and can't be fetched; "
            "put its newest public key or certificate into the account's key files, then resume",
            may_have_acted=True,
        )

    def _fetch(self, opened: Opened | None) -> bool:
        request = self._signer.key_request(opened, at=self._clock.now(), nonce=f"{self._chance.getrandbits(128):032x}")
        if request is None:
            return False
        answer = self._transport.send(request)
        return not isinstance(answer, Lost) and self._signer.learn_keys(answer, at=self._clock.now())
