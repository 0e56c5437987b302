"""The sender of a run that several processes may send: it leads the run, and takes partitions like all others."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from pipeline.assemble.parts.helpers import Helpers
from pipeline.assemble.parts.sender import ThreadedSender
from pipeline.clock import Clock
from pipeline.ledger.delivering.sender_ledger import SenderLedger
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunEnding
from pipeline.ledger.run_ledger import RunLedger
from pipeline.model import LaneOrder, Wait
from pipeline.write.brakes.shared_control import SharedControl

# Interval at which the leading process looks for free partitions while others send.
_POLL_SECONDS = 0.5


def deliver_partitions(threads: ThreadedSender, sender: SenderLedger, tick: Callable[[], None]) -> None:
    """Deliver partitions until none is free or the sender drains; then leave the run."""

    def beat() -> None:
        sender.heartbeat()
        tick()

    try:
        threads.deliver(sender, sender.lanes(), tick=beat)
        # What has ended has to be in the ledger, else this is an error.
        sender.heartbeat()
    finally:
        sender.leave()


@dataclass(kw_only=True, slots=True)
class SharedSender:
    """
    Leads the senders of a run: offers its dues in partitions, takes some itself, and waits until all are done.

    `helpers` starts the other senders of this host; they end with the context.
    """

    threads: ThreadedSender
    ledger: Ledger
    run: RunLedger
    clock: Clock
    helpers: Callable[[], AbstractContextManager[Helpers]]

    def deliver(self, order: LaneOrder, rows: int | None, *, tick: Callable[[], None]) -> None:
        """Deliver the open dues of the run, together with all other senders; return when all of them have left."""
        control, services = self.threads.control, self.threads.services
        before = {str(status): rows for status, rows in control.counts.items()}
        share = SharedControl(control, services.breaker, services.streaks, leads=True, before=before)
        self.run.offer(order, rows, before, control.most_failures)
        with self.helpers() as helpers:

            def beat() -> None:
                tick()
                helpers.check()

            while control.ending is None and self._send_or_wait(share, beat):
                pass
            if control.ending is not None:
                self.run.end_senders(RunEnding(control.ending, control.reason or "", control.halt_code))
        share.learn(self.run.exchange(share.news({})))

    def _send_or_wait(self, share: SharedControl, tick: Callable[[], None]) -> bool:
        """Send what is free, or wait a moment; return whether dues are left."""
        left = self.run.look(share)
        if left.has_free and (sender := self.ledger.join(self.run.run, share, leads=True)) is not None:
            deliver_partitions(self.threads, sender, tick)
        elif left.count:
            self.clock.sleep(_POLL_SECONDS)
            tick()
        return left.count > 0

    def throttled(self) -> int:
        """Return the number of throttled answers, of all senders."""
        return self.threads.control.throttled

    def notes(self) -> list[str]:
        """Return what a person should do about the platform's keys."""
        return self.threads.notes()

    def waiting(self) -> list[Wait]:
        """Return the waits that hold up all workers of this process now."""
        return self.threads.waiting()
