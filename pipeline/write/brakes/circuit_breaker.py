"""
Circuit breaker: pauses sending while the platform is down, and probes whether it is back. All workers share it.

Until the platform has accepted or refused a row on its merits, one request is in flight at a time. If the platform
refuses the caller, the run then stops after that one request. The same applies while a refusal of the caller is
unconfirmed.

Failures of several rows in a row open the circuit. While it is open, one request at a time probes, and only a failed
probe lengthens the pause. Rows that failed let those probe that did not. A row that keeps failing while others get
answers is itself at fault, so its failures do not count.
"""

import logging
import threading
from dataclasses import dataclass

from pipeline.clock import Clock
from pipeline.language import t
from pipeline.model import Wait
from pipeline.write.answers.verdict import Halt, Refused, Succeeded, TryAgain, Verdict

PLATFORM_DOWN, ALWAYS_THROTTLED = "platform_down", "always_throttled"
"""Codes of a halt in an outage."""

_log = logging.getLogger("backfill")

# Failures without an answer in between, and different rows among them, that open the circuit.
_FAILURES_TO_OPEN = 5
_ROWS_TO_OPEN = 3
# Answers to other rows, after a row's first failure, that show that the row is at fault. One or two may be late.
_ANSWERS_TO_BLAME_ROW = 3
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
# Probes within the outage limit if all remaining rows have failed before. These rows then use up their attempts, and
# the dues behind them in their lanes are tried before the run stops.
_PROBES_OF_SAME_ROWS = 50
# Interval at which a waiting worker checks again while another one probes.
_CHECK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Clearance:
    """The permission to make one attempt. `alone`: no other attempt is in flight. `probing`: the circuit is open."""

    alone: bool
    probing: bool


def proves_acceptance(verdict: Verdict) -> bool:
    """Return whether the platform judged the row itself, which shows that it accepts the caller."""
    return isinstance(verdict, Succeeded) or (isinstance(verdict, Refused) and verdict.halts_after is None)


class CircuitBreaker:
    """
    Gives clearances. Thread-safe; `start` returns immediately; its caller waits.

    `finish` returns a Halt once the platform was down, or throttled every request, for `outage_limit_seconds`.
    """

    def __init__(self, clock: Clock, outage_limit_seconds: float) -> None:
        self._clock = clock
        self._limit = outage_limit_seconds
        self._lock = threading.Lock()
        self._accepted = False
        self._alone = False
        self._answers = 0
        # Failures since the last answer.
        self._failures = 0
        self._failing_rows: set[int] = set()
        self._failing_since = 0.0
        # Number of answers when a row first failed, by row.
        self._answers_before: dict[int, int] = {}
        self._throttled_since: float | None = None
        self._pause = 0.0
        self._probe_at = 0.0
        # Rows that wait for a clearance.
        self._waiting: set[int] = set()

    @property
    def accepts(self) -> bool:
        """Whether the platform accepts the caller, as far as its last answers say."""
        return self._accepted

    @property
    def is_open(self) -> bool:
        """Whether the platform counts as down."""
        return self._pause > 0

    def waiting(self) -> list[Wait]:
        """Return the reason why all workers wait: an outage, or throttling of every request. Empty if they do not."""
        with self._lock:
            if self.is_open:
                since, gives_up_at = self._failing_since, self._failing_since + self._limit
                return [Wait(t("the platform is not answering correctly"), since, self._probe_at, gives_up_at)]
            if self._throttled_since is not None:
                since, gives_up_at = self._throttled_since, self._throttled_since + self._limit
                return [Wait(t("the platform throttles every request"), since, gives_up_at=gives_up_at)]
            return []

    def start(self, row: int) -> Clearance | float:
        """Return a clearance for an attempt of this row, or the seconds to wait before the next call."""
        with self._lock:
            alone = self.is_open or not self._accepted
            wait = self._wait_alone(row) if alone else 0.0
            if wait > 0:
                self._waiting.add(row)
                return wait
            self._waiting.discard(row)
            self._alone = self._alone or alone
            return Clearance(alone, probing=self.is_open)

    def _wait_alone(self, row: int) -> float:
        """Return the seconds before this row may ask again; 0 if it may be sent alone now."""
        if self._alone:
            return _CHECK_SECONDS
        wait = self._probe_at - self._clock.steady()
        if self.is_open and wait > 0:
            return wait
        # Otherwise a row that always fails could be the probe again and again, and hold up all others.
        gives_way = row in self._answers_before and any(each not in self._answers_before for each in self._waiting)
        return _CHECK_SECONDS if self.is_open and gives_way else 0.0

    def cancel(self, clearance: Clearance) -> None:
        """Return a clearance unused."""
        with self._lock:
            self._alone = self._alone and not clearance.alone

    def finish(self, clearance: Clearance, row: int, verdict: Verdict) -> Halt | None:
        """Record the verdict on an attempt for this row; return a Halt once the outage limit is reached."""
        with self._lock:
            self._alone = self._alone and not clearance.alone
            is_slow = isinstance(verdict, TryAgain) and verdict.slow
            self._throttled_since = (self._throttled_since or self._clock.steady()) if is_slow else None
            if isinstance(verdict, TryAgain) and verdict.platform_down:
                return self._failed(clearance, row, verdict)
            self._answered(row, verdict)
            return self._always_throttled()

    def forget(self, row: int) -> None:
        """Forget a settled row."""
        with self._lock:
            self._answers_before.pop(row, None)

    def _answered(self, row: int, verdict: Verdict) -> None:
        is_in_question = isinstance(verdict, TryAgain) and verdict.questions_caller
        self._accepted = (self._accepted and not is_in_question) or proves_acceptance(verdict)
        self._answers += 1
        self._failures, self._pause = 0, 0.0
        self._failing_rows.clear()
        # They ask again, unless the run ends.
        self._waiting.clear()
        self._answers_before.pop(row, None)

    def _failed(self, clearance: Clearance, row: int, verdict: TryAgain) -> Halt | None:
        now = self._clock.steady()
        before = self._answers_before.setdefault(row, self._answers)
        if self._answers - before >= _ANSWERS_TO_BLAME_ROW:
            # Its probe proves nothing, so the pause keeps its length.
            return self._probe_in(self._pause, verdict, now) if clearance.probing else None
        if self._failures == 0:
            self._failing_since = now
        self._failures += 1
        is_new = row not in self._failing_rows
        self._failing_rows.add(row)
        if self.is_open:
            longest = (
                _LONGEST_PAUSE_SECONDS if is_new else max(_FIRST_PAUSE_SECONDS, self._limit / _PROBES_OF_SAME_ROWS)
            )
            return self._probe_in(min(longest, self._pause * 2), verdict, now) if clearance.probing else None
        if self._failures >= _FAILURES_TO_OPEN and len(self._failing_rows) >= _ROWS_TO_OPEN:
            return self._probe_in(_FIRST_PAUSE_SECONDS, verdict, now)
        return None

    def _probe_in(self, seconds: float, verdict: TryAgain, now: float) -> Halt | None:
        """Pause until the next probe, at most until the outage limit; return a Halt if the limit is reached."""
        self._pause = min(_LONGEST_PAUSE_SECONDS, seconds)
        left = self._failing_since + self._limit - now
        # Retry-After is obeyed even beyond the outage limit.
        self._probe_at = now + max(min(self._pause, left), verdict.wait_seconds or 0.0)
        _log.debug(
            t("pause: the platform fails with {code}; the next probe in {seconds:.1f} s", code=verdict.code,
              seconds=self._probe_at - now),
            extra={"event": "pause", "code": verdict.code, "wait_s": round(self._probe_at - now, 3)},
        )  # fmt: skip
        if left > 0:
            return None
        last = verdict.code + (f", {verdict.text}" if verdict.text else "")
        return Halt(
            PLATFORM_DOWN,
            t(
                "the platform has not answered correctly for {seconds:.0f} s (last: {last}); if it is up, check the "
                "account's ids and keys; then resume the run",
                seconds=now - self._failing_since,
                last=last,
            ),
        )

    def _always_throttled(self) -> Halt | None:
        if self._throttled_since is None:
            return None
        seconds = self._clock.steady() - self._throttled_since
        if seconds < self._limit:
            return None
        return Halt(
            ALWAYS_THROTTLED,
            t(
                "the platform throttled every request for {seconds:.0f} s; another program may use the quota of "
                "this merchant: stop it or lower `rate`, then resume the run",
                seconds=seconds,
            ),
        )
