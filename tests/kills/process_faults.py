"""Faults of a process at a chosen effect: it ends or stops there."""

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pipeline.assemble.parts.system import System
from tests.kills.effects import Effect, observed
from tests.kills.power import Disk

# The ledger of a workspace.
_LEDGER = Path("state/backfill.db")


class Countdown:
    """Calls `strike` at effect number `at`, counted from 1; with `only`, among effects of that kind."""

    def __init__(self, at: int, strike: Callable[[], object], only: Effect | None = None) -> None:
        self._left = at
        self._strike = strike
        self._only = only
        self._lock = threading.Lock()

    def __call__(self, effect: Effect) -> None:
        """Count one effect. Other threads wait meanwhile, so that exactly this one is struck."""
        if self._only in (None, effect):
            with self._lock:
                self._left -= 1
                if self._left == 0:
                    self._strike()


def _send_myself(number: signal.Signals) -> None:
    # To this thread, so that it stops at once.
    signal.pthread_kill(threading.get_ident(), number)


@dataclass(frozen=True, slots=True)
class KilledAt:
    """The process dies at effect number `number`, or at that number of one kind."""

    number: int
    only: Effect | None = None

    def apply(self, system: System) -> System:
        """Return a system whose effects are counted."""
        return observed(system, Countdown(self.number, lambda: _send_myself(signal.SIGKILL), only=self.only))


@dataclass(frozen=True, slots=True)
class FrozenAt:
    """
    The process stops at an effect of one kind, and has a short lease.

    It does not stop at a request while another thread is inside a transaction, which would block all others.
    """

    effect: Effect
    number: int
    lease_seconds: float

    def apply(self, system: System) -> System:
        """Return a system with short leases, whose effects are counted."""
        system = replace(system, open_ledger=partial(system.open_ledger, lease_seconds=self.lease_seconds))
        strike = Countdown(self.number, lambda: _send_myself(signal.SIGSTOP), only=self.effect)
        lock = threading.Lock()
        inside = False

        def on_effect(effect: Effect) -> None:
            nonlocal inside
            with lock:
                inside = effect is Effect.BEFORE_BEGIN or (inside and effect is not Effect.AFTER_COMMIT)
                if not inside or effect not in (Effect.BEFORE_SEND, Effect.AFTER_SEND):
                    strike(effect)

        return observed(system, on_effect)


@dataclass(frozen=True, slots=True)
class Impatient:
    """The process waits only a moment for a lock."""

    def apply(self, system: System) -> System:
        """Return a system with a short wait."""
        return replace(system, open_ledger=partial(system.open_ledger, busy_seconds=0.2))


@dataclass(frozen=True, slots=True)
class PowerLossAfter:
    """
    The power fails after a commit, during the next one.

    `before` and `after` are the ledgers on disk after each of the two commits. `pages` is the length of the write-ahead
    log at which it is written to the database.
    """

    commit: int
    pages: int
    before: Path
    after: Path

    def apply(self, system: System) -> System:
        """Return a system whose commits are counted."""
        first = Countdown(self.commit, lambda: Disk.read(_LEDGER).write(self.before), only=Effect.AFTER_COMMIT)
        last = Countdown(self.commit + 1, self._power_off, only=Effect.AFTER_COMMIT)

        def on_effect(effect: Effect) -> None:
            first(effect)
            last(effect)

        pages = f"PRAGMA wal_autocheckpoint = {self.pages}"
        return observed(system, on_effect, lambda connection: connection.execute(pages))

    def _power_off(self) -> None:
        Disk.read(_LEDGER).write(self.after)
        _send_myself(signal.SIGKILL)
