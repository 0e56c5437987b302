"""Waits of a run: their causes and durations, for log and summary."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pipeline.clock import Clock
from pipeline.language import t
from pipeline.model import Wait
from pipeline.write.delivery import timestamp

# Shorter waits are a normal part of sending: a pause between attempts, a full quota.
_REPORTED_SECONDS = 5.0


@dataclass(slots=True)
class _Observed:
    wait: Wait
    first_seen: float
    is_reported: bool = False


class Waits:
    """The waits of a run, observed at each tick. Only one thread calls `observe`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._current: dict[str, _Observed] = {}
        self._over: list[Mapping[str, Any]] = []

    def observe(self, waits: Iterable[Wait]) -> list[str]:
        """Record the current waits; return a log line for each long wait that began or ended."""
        now = self._clock.steady()
        here = {wait.reason: wait for wait in waits}
        lines = [*self._ended(here.keys(), now)]
        for reason, wait in here.items():
            observed = self._current.setdefault(reason, _Observed(wait, now))
            observed.wait = wait
            if not observed.is_reported and self._is_long(observed, now):
                observed.is_reported = True
                lines.append(self._text(wait))
        return lines

    def shown(self) -> str:
        """Return the current long waits, for the progress line; empty if there are none."""
        return "; ".join(self._text(observed.wait) for observed in self._current.values() if observed.is_reported)

    def end(self) -> list[Mapping[str, Any]]:
        """Return all long waits: reason, since and until as ISO 8601 in UTC, and seconds."""
        list(self._ended((), self._clock.steady()))
        return self._over

    def _is_long(self, observed: _Observed, now: float) -> bool:
        return max(now, observed.wait.until or now) - observed.first_seen >= _REPORTED_SECONDS

    def _ended(self, here: Iterable[str], now: float) -> Iterator[str]:
        for reason in self._current.keys() - set(here):
            observed = self._current.pop(reason)
            seconds = now - observed.wait.since
            if observed.is_reported:
                since, until = timestamp(self._at(observed.wait.since)), timestamp(self._at(now))
                if observed.wait.holds_up:
                    self._over.append({"reason": reason, "since": since, "until": until, "seconds": round(seconds, 1)})
                    yield t("continuing after {seconds:.0f} s: {reason}", seconds=seconds, reason=reason)
                else:
                    yield t("over after {seconds:.0f} s: {reason}", seconds=seconds, reason=reason)

    def _text(self, wait: Wait) -> str:
        until = "" if wait.until is None else t(", until {until}", until=_clock_time(self._at(wait.until)))
        if wait.gives_up_at is not None:
            until += t("; if it lasts, the run stops at {at}", at=_clock_time(self._at(wait.gives_up_at)))
        since = _clock_time(self._at(wait.since))
        if wait.holds_up:
            return t("waiting: {reason}, since {since}{until}", reason=wait.reason, since=since, until=until)
        return t("note: {reason}, since {since}{until}", reason=wait.reason, since=since, until=until)

    def _at(self, steady: float) -> datetime:
        return self._clock.now() + timedelta(seconds=steady - self._clock.steady())


def _clock_time(at: datetime) -> str:
    return f"{at:%H:%M:%S} UTC"
