"""How a process ends, or is held up, at a chosen one of its effects."""

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.ledger import run_ledger
from pipeline.ledger.store import database, lease
from tests.kills.effects import Effect, watch
from tests.kills.power import Disk

# Where the scenes have it.
_LEDGER = Path("state/backfill.db")


class Countdown:
    """Calls `strike` at effect number `at`, counted from 1; where `only` is given, among those of that kind."""

    def __init__(self, at: int, strike: Callable[[], object], only: Effect | None = None) -> None:
        self._left = at
        self._strike = strike
        self._only = only
        self._lock = threading.Lock()

    def __call__(self, effect: Effect) -> None:
        """Take in one effect. The others wait meanwhile, so that exactly this one is struck."""
        if self._only in (None, effect):
            with self._lock:
                self._left -= 1
                if self._left == 0:
                    self._strike()


def _send_myself(number: signal.Signals) -> None:
    # To this thread, so that it does not come any further.
    signal.pthread_kill(threading.get_ident(), number)


@dataclass(frozen=True, slots=True)
class KilledAt:
    """The process dies at one of its effects, or at one of a kind."""

    number: int
    only: Effect | None = None

    def befall(self) -> None:
        """Make it so."""
        watch(Countdown(self.number, lambda: _send_myself(signal.SIGKILL), only=self.only))


@dataclass(frozen=True, slots=True)
class FrozenAt:
    """
    The process stops at an effect of one kind, and keeps its job for a short while only.

    It does not stop at a request while another thread is inside a transaction, which nobody else could get past.
    """

    effect: Effect
    number: int
    lease_seconds: float

    def befall(self) -> None:
        """Make it so."""
        lease.LEASE_SECONDS = self.lease_seconds
        run_ledger._RENEW_SECONDS = self.lease_seconds / 6
        run_ledger._DOUBT_SECONDS = self.lease_seconds / 2
        strike = Countdown(self.number, lambda: _send_myself(signal.SIGSTOP), only=self.effect)
        lock = threading.Lock()
        inside = False

        def tell(effect: Effect) -> None:
            nonlocal inside
            with lock:
                inside = effect is Effect.BEFORE_BEGIN or (inside and effect is not Effect.AFTER_COMMIT)
                if not inside or effect not in (Effect.BEFORE_SEND, Effect.AFTER_SEND):
                    strike(effect)

        watch(tell)


@dataclass(frozen=True, slots=True)
class Impatient:
    """The process waits only a moment for a lock."""

    def befall(self) -> None:
        """Make it so."""
        database._BUSY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class PowerLossAfter:
    """
    The machine goes down after a commit, while the next one is under way.

    `before` and `after` are ledgers as the disk has them when the one and the other are synced. `pages` is how many
    pages the write-ahead log takes before they are written to the database.
    """

    commit: int
    pages: int
    before: Path
    after: Path

    def befall(self) -> None:
        """Make it so."""
        first = Countdown(self.commit, lambda: Disk.read(_LEDGER).write(self.before), only=Effect.AFTER_COMMIT)
        last = Countdown(self.commit + 1, self._go_down, only=Effect.AFTER_COMMIT)

        def tell(effect: Effect) -> None:
            first(effect)
            last(effect)

        watch(tell, lambda connection: connection.execute(f"PRAGMA wal_autocheckpoint = {self.pages}"))

    def _go_down(self) -> None:
        Disk.read(_LEDGER).write(self.after)
        _send_myself(signal.SIGKILL)
