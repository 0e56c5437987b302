"""What a run waits for, and for how long it did: silence at 3 a.m. has a reason."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pipeline.clock import Clock
from pipeline.model import Wait
from pipeline.write.delivery import timestamp

# Shorter waits are part of sending: a pause between attempts, a full quota.
_WORTH_SAYING_SECONDS = 5.0


@dataclass(slots=True)
class _Noted:
    wait: Wait
    first_seen: float
    is_said: bool = False


class Waits:
    """Follows the waits of a run from tick to tick. One thread calls `observe`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._current: dict[str, _Noted] = {}
        self._over: list[Mapping[str, Any]] = []

    def observe(self, waits: Iterable[Wait]) -> list[str]:
        """Note what is waited for now; return a line for each wait that is worth saying and has begun or ended."""
        now = self._clock.steady()
        here = {wait.reason: wait for wait in waits}
        lines = [*self._ended(here.keys(), now)]
        for reason, wait in here.items():
            noted = self._current.setdefault(reason, _Noted(wait, now))
            noted.wait = wait
            if not noted.is_said and self._is_long(noted, now):
                noted.is_said = True
                lines.append(self._text(wait))
        return lines

    def shown(self) -> str:
        """Return what is waited for, for a line of progress; empty where that is nothing worth saying."""
        return "; ".join(self._text(noted.wait) for noted in self._current.values() if noted.is_said)

    def end(self) -> list[Mapping[str, Any]]:
        """Return all waits worth saying: reason, since and until as ISO 8601 in UTC, and seconds."""
        list(self._ended((), self._clock.steady()))
        return self._over

    def _is_long(self, noted: _Noted, now: float) -> bool:
        return max(now, noted.wait.until or now) - noted.first_seen >= _WORTH_SAYING_SECONDS

    def _ended(self, here: Iterable[str], now: float) -> Iterator[str]:
        for reason in self._current.keys() - set(here):
            noted = self._current.pop(reason)
            seconds = now - noted.wait.since
            if noted.is_said:
                since, until = timestamp(self._at(noted.wait.since)), timestamp(self._at(now))
                if noted.wait.holds_up:
                    self._over.append({"reason": reason, "since": since, "until": until, "seconds": round(seconds, 1)})
                yield f"{'goes on' if noted.wait.holds_up else 'over'} after {seconds:.0f} s: {reason}"

    def _text(self, wait: Wait) -> str:
        until = "" if wait.until is None else f", until {_clock_time(self._at(wait.until))}"
        kind = "waiting" if wait.holds_up else "note"
        return f"{kind}: {wait.reason}, since {_clock_time(self._at(wait.since))}{until}"

    def _at(self, steady: float) -> datetime:
        return self._clock.now() + timedelta(seconds=steady - self._clock.steady())


def _clock_time(at: datetime) -> str:
    return f"{at:%H:%M:%S} UTC"
