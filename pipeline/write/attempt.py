"""What each attempt needs: the circuit breaker's clearance, and a permit of the quota."""

from collections.abc import Callable
from typing import Protocol

from pipeline.clock import Clock
from pipeline.limits.permits import Permit
from pipeline.model import RoundTrip
from pipeline.write.brakes.circuit_breaker import CircuitBreaker, Clearance


class Quota(Protocol):
    """The quota, as a delivery uses it."""

    def take(self, check_running: Callable[[], None]) -> Permit:
        """Wait for the permit to start one attempt. Raises what `check_running` raises."""
        ...

    def give_back(self, permit: Permit, round_trip: RoundTrip | None) -> None:
        """Report the round trip of an answered request; None if no answer of its own came."""
        ...

    def slow_down(self, wait_seconds: float | None) -> None:
        """Lower the rate of the whole quota. `wait_seconds` is the platform's Retry-After, None if it gave none."""
        ...


class AttemptPermit:
    """The permit of one attempt. It may expire while the connection opens."""

    def __init__(self, quota: Quota, clock: Clock, check_running: Callable[[], None]) -> None:
        self._quota = quota
        self._clock = clock
        self._check_running = check_running
        self.permit = quota.take(check_running)

    def depart(self) -> None:
        """
        Ensure a valid permit, just before the first byte leaves.

        An expired permit goes back unused and a new one is taken. Otherwise connections that hung, and opened at the
        same moment, would exceed the quota together.
        """
        while self._clock.steady() > self.permit.leave_by:
            self._quota.give_back(self.permit, RoundTrip())
            self.permit = self._quota.take(self._check_running)


def wait_for_clearance(breaker: CircuitBreaker, row: int, clock: Clock, check_running: Callable[[], None]) -> Clearance:
    """Wait for the circuit breaker's permission to make one attempt for a row. Raises what `check_running` raises."""
    while True:
        check_running()
        clearance = breaker.start(row)
        if isinstance(clearance, Clearance):
            return clearance
        clock.sleep(clearance)
