"""`SenderLedger`: the ledger as one of several senders of a run uses it, each with partitions of its own."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TypeVar

from pipeline.clock import Clock
from pipeline.errors import LedgerError
from pipeline.ledger.batch_sizes import BatchSizes
from pipeline.ledger.database import Database
from pipeline.ledger.delivering import partitions, shared_state
from pipeline.ledger.delivering.deliveries import Entry
from pipeline.ledger.delivering.partitions import Partition
from pipeline.ledger.delivering.queue import Order, lanes_of
from pipeline.ledger.delivering.sending import SendingLedger, Share
from pipeline.ledger.history import runs
from pipeline.ledger.records import Due, RunRecord, SharedState
from pipeline.ledger.store.lease import IsGone, LeaseOwner, expiry
from pipeline.ledger.store.port import Connection
from pipeline.ledger.store.sender_lease import SenderLease, add_sender, end_dead_senders

T = TypeVar("T")

# Interval at which a sender that commits nothing reads the state of its run.
_LOOK_SECONDS = 1.0
# Runs that may be joined: the platform accepts their requests, and a partition is free or that of a dead sender.
_TO_JOIN = """
SELECT s.run_no FROM run_states AS s JOIN runs AS r USING (run_no) JOIN jobs AS j USING (run_id)
WHERE s.is_proven = 1 AND s.ending IS NULL AND j.expires_at >= :led_until AND EXISTS (
    SELECT 1 FROM partitions AS p LEFT JOIN senders AS o ON o.sender_no = p.sender_no
    WHERE p.run_no = s.run_no AND coalesce(o.expires_at, '') <= :now
)
ORDER BY (SELECT count(*) FROM senders AS o WHERE o.run_no = s.run_no), s.run_no
"""


def join(
    file: Database,
    clock: Clock,
    run: RunRecord,
    owner: LeaseOwner,
    share: Share,
    *,
    is_gone: IsGone,
    sizes: BatchSizes,
    seconds: float,
    wanted: Collection[int] | None = None,
    leads: bool = False,
) -> "SenderLedger | None":
    """
    Join the senders of a run; None if no partition is free, or none of the wanted ones, or nobody may join.

    Others than the one that `leads` the run may join once the platform is known to accept its requests.
    """

    def write(connection: Connection) -> SenderLease | None:
        state = shared_state.read(connection, run, seconds)
        if state is None or state.ending is not None or not state.is_led or not (leads or state.is_proven):
            return None
        now = file.now(connection)
        end_dead_senders(connection, run.run_no, now, is_gone)
        if not partitions.is_any_free(connection, run, wanted):
            return None
        return add_sender(connection, run.run_no, owner, now, seconds)

    with file.clear_errors():
        lease = file.transactions().run(write)
    if lease is None:
        return None
    return SenderLedger(file, clock, run, lease, share, is_gone=is_gone, sizes=sizes, wanted=wanted)


def runs_to_join(connection: Connection, now: datetime, seconds: float) -> list[RunRecord]:
    """Return the runs that another sender may join now, those with the fewest senders first."""
    values = {"now": now.isoformat(), "led_until": expiry(now, seconds / 2)}
    numbers = [run_no for (run_no,) in connection.execute(_TO_JOIN, values)]
    found = {run.run_no: run for run in runs.with_numbers(connection, numbers)}
    return [found[run_no] for run_no in numbers if run_no in found]


class SenderLedger(SendingLedger):
    """
    The ledger as one sender of a run uses it, from its joining until it leaves. Thread-safe.

    `lanes` takes partitions, one after another, and yields their dues. Each commit also exchanges news with the other
    senders. A due that the sender leaves before its end is due for the next sender of the partition.
    """

    def __init__(
        self,
        file: Database,
        clock: Clock,
        run: RunRecord,
        lease: SenderLease,
        share: Share,
        *,
        is_gone: IsGone,
        sizes: BatchSizes,
        wanted: Collection[int] | None,
    ) -> None:
        super().__init__(file, clock, run, lease, is_gone=is_gone, sizes=sizes)
        self._sender = lease
        self._share = share
        self._wanted = wanted
        self._looked_at = self._clock.steady()
        # The partition of each due that has not ended, and how many of these each partition has.
        self._partition_of: dict[int, int] = {}
        self._left: Counter[int] = Counter()

    def lanes(self) -> Iterator[Iterable[Due]]:
        """Yield the open dues, lane by lane, of partitions that are free, until none is."""
        while (taken := self._take()) is not None:
            order = Order(self._file.scratch)
            order.add(taken.entries)
            yield from lanes_of(self._file.read, order, self._sizes)

    def _take(self) -> Partition | None:
        def write(connection: Connection) -> Partition | None:
            now = self._file.now(connection)
            self._sender.renew(connection, now)
            end_dead_senders(connection, self.run.run_no, now, self._is_gone)
            return partitions.take(connection, self.run, self._sender.sender_no, self._wanted)

        taken = self._commit(write)
        if taken is not None:
            # Before a due of it is sent, and so before one can end.
            self._left[taken.number] = len(taken.entries)
            self._partition_of |= dict.fromkeys(taken.entries["due_no"].tolist(), taken.number)
        return taken

    def _commit_entries(self, entries: Sequence[Entry], write: Callable[[Connection], T]) -> T:
        """Commit intents and outcomes, delete partitions that are done, and exchange news."""
        # A due that was cut short has not ended.
        ended = [(due.due_no, end) for due, end in entries if end is not None and not end.is_open]
        done = Counter(self._partition_of[due_no] for due_no, _ in ended)
        finished = [number for number, count in done.items() if count == self._left[number]]
        news = self._share.news(Counter(str(end.status) for _, end in ended))

        def write_and_exchange(connection: Connection) -> tuple[T, SharedState | None]:
            result = write(connection)
            partitions.delete(connection, self.run, finished)
            return result, shared_state.add(connection, self.run, news, self._lease.seconds)

        result, state = self._commit(write_and_exchange)
        for due_no, _ in ended:
            del self._partition_of[due_no]
        self._left -= done
        self._learn(state)
        return result

    def heartbeat(self) -> None:
        """Commit settled outcomes, keep the lease, and exchange news; called a few times a second."""
        super().heartbeat()
        if self._clock.steady() - self._looked_at >= _LOOK_SECONDS:
            self.exchange()

    def exchange(self) -> None:
        """Exchange news with the other senders."""
        news = self._share.news({})
        if news.is_empty:
            state = self._file.read(partial(shared_state.read, run=self.run, seconds=self._lease.seconds))
        else:
            add = partial(shared_state.add, run=self.run, news=news, seconds=self._lease.seconds)
            state = self._commit(add)
        self._learn(state)

    def _learn(self, state: SharedState | None) -> None:
        self._looked_at = self._clock.steady()
        self._share.learn(state)

    def leave(self) -> None:
        """Return the lease and all partitions, if the ledger allows it: else they are free when the lease ends."""
        with suppress(LedgerError):
            self._entries.flush()
            self.exchange()
            self._commit(self._sender.release)
