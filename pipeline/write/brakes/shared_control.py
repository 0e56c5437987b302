"""What several senders of one run share: when it ends, who may begin, and how much all of them have done."""

import threading
from collections import Counter
from collections.abc import Mapping

from pipeline.language import t
from pipeline.ledger.records import REQUESTS, RunEnding, SenderNews, SharedState
from pipeline.model import Status
from pipeline.write.brakes.circuit_breaker import ALWAYS_THROTTLED, PLATFORM_DOWN, CircuitBreaker
from pipeline.write.brakes.failure_streaks import FailureStreaks
from pipeline.write.brakes.run_control import Ending, RunControl


class SharedControl:
    """
    The control of a run that several processes send, as one of them sees it. Thread-safe.

    The process that `leads` the run ends it for all, for any reason. Another sender ends it only if the platform
    accepted its requests before and refuses the caller now, or if too many rows failed. In an outage, or if its own
    keys are refused, it leaves, and the others go on.

    `counts` of the control has the rows of all senders. `before` are those that ended before the first one sent.
    """

    def __init__(
        self,
        control: RunControl,
        breaker: CircuitBreaker,
        streaks: FailureStreaks,
        *,
        leads: bool,
        before: Mapping[str, int] | None = None,
    ) -> None:
        self._control = control
        self._breaker = breaker
        self._streaks = streaks
        self._leads = leads
        self._lock = threading.Lock()
        # What the state has of this process, and what this process has of others.
        self._own, self._others = Counter(before or {}), Counter[str]()
        self._was_accepted = False
        self._has_proven = False
        self._has_ended = False

    @property
    def stopped_alone(self) -> bool:
        """Whether this process had to stop, and the others go on."""
        return self._control.ending is Ending.STOPPED and not self._has_ended

    @property
    def own_attempts(self) -> int:
        """The requests of this process."""
        return self._control.attempts - self._others["attempts"]

    def news(self, counts: Mapping[str, int]) -> SenderNews:
        """Return what the run's state does not have yet of this process; `counts` are rows that end now."""
        with self._lock:
            requests = Counter({name: getattr(self._control, name) for name in REQUESTS})
            added = {**counts, **(requests - self._own - self._others)}
            self._own.update(added)
            self._was_accepted = self._was_accepted or self._breaker.accepts
            return SenderNews(added, is_proven=self._proves(), ending=self._ending())

    def _proves(self) -> bool:
        """Return whether it is news that the platform accepts the caller, and that not all rows end alike."""
        if self._has_proven or not (self._was_accepted and self._streaks.rows_differ):
            return False
        self._has_proven = True
        return True

    def _ending(self) -> RunEnding | None:
        """Return how this process ends the run, once."""
        control = self._control
        if control.ending is None or self._has_ended or not (self._leads or self._stops_all()):
            return None
        self._has_ended = True
        return RunEnding(control.ending, control.reason or "", control.halt_code)

    def _stops_all(self) -> bool:
        is_of_caller = self._was_accepted and self._control.halt_code not in (PLATFORM_DOWN, ALWAYS_THROTTLED)
        return self._control.ending is Ending.STOPPED and is_of_caller

    def learn(self, state: SharedState | None) -> None:
        """Take over the state of the run. None: it is not being sent any more."""
        if state is not None:
            self._count_others(state)
            if not self._leads and state.max_failures is not None:
                self._control.allow_failures(state.max_failures)
            if state.ending is not None:
                self._has_ended = True
                ending = state.ending
                self._control.drain(Ending(ending.ending), ending.reason, halt_code=ending.halt_code)
        if not self._leads and (state is None or not state.is_led):
            self._control.drain(
                Ending.INTERRUPTED, t("the process that leads the run is gone; `backfill resume` goes on")
            )

    def _count_others(self, state: SharedState) -> None:
        with self._lock:
            # Another thread may have counted rows of this process that were not in the state yet.
            added = Counter(state.counts) - self._own - self._others
            self._others += added
            self._control.count_attempts(*(added.pop(name, 0) for name in REQUESTS))
        for status, rows in added.items():
            self._control.count(Status(status), rows)
