"""`SendingLedger`: intents, outcomes and the lease, as a process uses them that sends for a run."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar, cast

from pipeline.clock import Clock
from pipeline.ledger.batch_sizes import BatchSizes
from pipeline.ledger.database import Database
from pipeline.ledger.delivering import deliveries
from pipeline.ledger.delivering.deliveries import Entry
from pipeline.ledger.records import Due, RunRecord, SenderNews, Settlement, SharedState
from pipeline.ledger.rules.admission import Admission, Go
from pipeline.ledger.store.group_commit import GroupCommit
from pipeline.ledger.store.lease import HeldLease, IsGone
from pipeline.ledger.store.loss_detection import generations
from pipeline.ledger.store.loss_detection.marks import Mark
from pipeline.ledger.store.port import Connection
from pipeline.model import Status, Wait

T = TypeVar("T")

# Age of the last renewal at which the lease is renewed, as a share of its length: well below the whole.
_RENEW_AT = 1 / 6
# The same just before an attempt: a run that is so late was held up.
_RENEW_BEFORE_ATTEMPT_AT = 1 / 2
# Interval at which the newest confirmed report of the account is kept.
_KEEP_REPORT_SECONDS = 60.0


class Share(Protocol):
    """What a process knows of its run, and how it learns what other senders know."""

    def news(self, counts: Mapping[str, int]) -> SenderNews:
        """Return what the run's state does not have yet of this process; `counts` are rows that end now."""
        ...

    def learn(self, state: SharedState | None) -> None:
        """Take over the state of the run. None: it is not being sent any more."""
        ...


class SendingLedger:
    """
    The ledger as a process uses it that sends for a run. Thread-safe.

    Each transaction first checks that the lease is still its own; if another process has it, LedgerError is raised and
    nothing is written. `heartbeat` is called a few times a second: it commits settled outcomes and renews the lease.
    """

    def __init__(
        self, file: Database, clock: Clock, run: RunRecord, lease: HeldLease, *, is_gone: IsGone, sizes: BatchSizes
    ) -> None:
        self.run = run
        self._sizes = sizes
        self._is_gone = is_gone
        self._file = file
        self._lease = lease
        self._clock = clock
        self._transactions = file.transactions(lease, run.account_no)
        self._entries = GroupCommit(self._record, self._on_look)
        self._renewed_at = self._clock.steady()
        self._keep_report_from = 0.0
        # It can't change: a resync needs the leases of all jobs.
        self._generation = file.read(generations.current)

    def _commit(self, write: Callable[[Connection], T]) -> T:
        # Before it, too: the commit may write the log to a file that was overwritten, and so hide it.
        self._file.check_kept(self.run.run_id)
        with self._file.clear_errors():
            result = self._transactions.run(write)
        # A commit to a file that is not in its place does not count.
        self._file.check_kept(self.run.run_id)
        return result

    def intend(self, dues: Sequence[Due]) -> list[Admission]:
        """Write intents; return when they are on disk, with an admission each: only dues with `Go` may be sent."""
        return cast("list[Admission]", self._entries.run([(due, None) for due in dues]))

    def settle(self, due: Due, end: Settlement) -> None:
        """Fix an outcome. It is on disk with the next intents of any thread, or after the next `heartbeat`."""
        self._entries.later((due, end))

    def limit_waiting(self, outcomes: int) -> None:
        """Wait until at most so many outcomes wait for their commit: after a crash these are sent again."""
        self._entries.limit_pending(outcomes)

    def _record(self, entries: Sequence[Entry]) -> list[Admission | None]:
        # To write a body with each answer would take a tenth of the time of all writing.
        now, ends = self._clock.steady(), [end for _, end in entries if end is not None]
        is_confirmed = any(end.status is Status.SUCCEEDED and end.attempts for end in ends)
        keeps_report = is_confirmed and now >= self._keep_report_from

        def write(connection: Connection) -> tuple[list[Admission | None], Mark | None]:
            admissions = deliveries.record(
                connection,
                self.run,
                entries,
                generation=self._generation,
                is_gone=self._is_gone,
                now=int(self._clock.now().timestamp()),
                keeps_report=keeps_report,
            )
            is_sending = any(isinstance(admission, Go) for admission in admissions)
            return admissions, generations.count(connection) if is_sending else None

        admissions, mark = self._commit_entries(entries, write)
        if keeps_report:
            self._keep_report_from = now + _KEEP_REPORT_SECONDS
        if mark is not None:
            # Written before a request leaves, so that an older copy of the ledger is detected.
            self._file.marks.note(mark)
        return admissions

    def _commit_entries(self, entries: Sequence[Entry], write: Callable[[Connection], T]) -> T:  # noqa: ARG002
        """Commit intents and outcomes."""
        return self._commit(write)

    def _on_look(self) -> None:
        if self._file.on_look is not None:
            self._file.on_look()

    def waiting(self) -> list[Wait]:
        """Return what blocks writing to the ledger now, and readers that let its log grow."""
        return self._file.waiting()

    def heartbeat(self) -> None:
        """Commit settled outcomes, and keep the lease; called a few times a second."""
        self._file.check_kept(self.run.run_id)
        self._file.check_space(self.run.run_id)
        self._entries.flush()
        self._renew_at(_RENEW_AT)
        # Last, because it may write to a terminal that blocks.
        self._on_look()

    def keep_job(self) -> None:
        """Check, before each attempt, that the lease and the ledger are still its own; else raise LedgerError."""
        self._file.check_kept(self.run.run_id)
        self._renew_at(_RENEW_BEFORE_ATTEMPT_AT)

    def _renew_at(self, share: float) -> None:
        """Renew the lease if this share of its length has passed."""
        began_at = self._clock.steady()
        if began_at - self._renewed_at >= self._lease.seconds * share:
            self._commit(lambda c: self._lease.renew(c, self._file.now(c)))
            # The time before the commit: the process may have been held up during it.
            self._renewed_at = began_at
