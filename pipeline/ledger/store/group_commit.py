"""Group commit: one thread writes the items of all threads in one commit, while the others wait."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

# Interval between calls of `on_look` while a thread waits.
_LOOK_SECONDS = 1.0


@dataclass(eq=False, slots=True)
class _Ticket(Generic[ItemT, ResultT]):
    """
    Items that one thread handed in together. `is_done`: they are written, or writing failed.

    `called` is set once they are done, or the thread that waits has to write.
    """

    items: Sequence[ItemT]
    may_lead: bool = False
    results: list[ResultT] = field(default_factory=list)
    error: BaseException | None = None
    is_done: bool = False
    called: threading.Event = field(default_factory=threading.Event)


class GroupCommit(Generic[ItemT, ResultT]):
    """
    Passes items of many threads to `write`, many at once and in order; `write` returns one result for each.

    `run` returns when its items are written. `later` returns at once: its item is written with the next `run` of any
    thread, or with `flush`. Once `write` has raised, nothing more is written. All threads that wait raise the same
    error, and so does each later call: items for which no thread waited are lost. A waiting thread calls `on_look`
    about once a second.
    """

    def __init__(
        self, write: Callable[[Sequence[ItemT]], list[ResultT]], on_look: Callable[[], None] = lambda: None
    ) -> None:
        self._write = write
        self._on_look = on_look
        self._lock = threading.Lock()
        self._pending: list[_Ticket[ItemT, ResultT]] = []
        # The number of items that are pending or being written.
        self._waiting = 0
        # Whether some thread writes now.
        self._is_led = False
        self._failure: BaseException | None = None

    def run(self, items: Sequence[ItemT]) -> list[ResultT]:
        """Write items and return a result for each. Raises what `write` raises."""
        return self._wait_for(_Ticket(items, may_lead=True))

    def later(self, item: ItemT) -> None:
        """Hand in an item without waiting for it. Raises if writing has failed before."""
        self._hand_in(_Ticket((item,)), leads=False)

    def limit_pending(self, most: int) -> None:
        """Wait until at most so many items are not written. Raises if writing has failed."""
        if self._waiting > most or self._failure is not None:
            self.flush()

    def flush(self) -> None:
        """Wait until all items are written. Raises if writing has failed."""
        with self._lock:
            is_idle = not self._pending and not self._is_led and self._failure is None
        if not is_idle:
            self._wait_for(_Ticket(()))

    def _wait_for(self, ticket: _Ticket[ItemT, ResultT]) -> list[ResultT]:
        if not self._hand_in(ticket, leads=True):
            while not ticket.called.wait(_LOOK_SECONDS):
                self._on_look()
        if not ticket.is_done:
            self._lead(ticket)
        if ticket.error is not None:
            raise ticket.error
        return ticket.results

    def _hand_in(self, ticket: _Ticket[ItemT, ResultT], *, leads: bool) -> bool:
        """Add a ticket; return whether this thread has to write."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            self._pending.append(ticket)
            self._waiting += len(ticket.items)
            leads = leads and not self._is_led
            self._is_led = self._is_led or leads
            return leads

    def _lead(self, own: _Ticket[ItemT, ResultT]) -> None:
        """Write what is pending, until another thread takes over or no thread waits."""
        is_ours = True
        while is_ours:
            with self._lock:
                batch, self._pending = self._pending, []
            self._write_batch(batch)
            is_ours = self._hand_over()
            for ticket in batch:
                if ticket is not own:
                    ticket.called.set()

    def _hand_over(self) -> bool:
        """Let a waiting thread write next; return whether this thread goes on instead."""
        with self._lock:
            self._waiting = sum(len(ticket.items) for ticket in self._pending)
            following = next((ticket for ticket in self._pending if ticket.may_lead), None)
            # A thread that only flushes does not write: it may be the one that supervises all others.
            is_ours = following is None and any(not ticket.items for ticket in self._pending)
            self._is_led = following is not None or is_ours
        if following is not None:
            following.called.set()
        return is_ours

    def _write_batch(self, batch: list[_Ticket[ItemT, ResultT]]) -> None:
        try:
            items = [item for ticket in batch for item in ticket.items]
            results = iter(self._write(items) if items else ())
            for ticket in batch:
                ticket.results = list(islice(results, len(ticket.items)))
        except BaseException as exc:  # noqa: BLE001 - every waiting thread has to learn of it, whatever it is
            with self._lock:
                self._failure = exc
                batch += self._pending
                self._pending = []
            for ticket in batch:
                ticket.error = exc
        for ticket in batch:
            ticket.is_done = True
