"""The ledger as the rest of the house sees it: what is known of all runs, and the writing of one."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pipeline.clock import Clock
from pipeline.errors import LedgerError
from pipeline.ledger import deliveries, lease, outcomes, queue, rerunning, runs, scratch, sifting, staging
from pipeline.ledger.admission import Admission
from pipeline.ledger.commit import GroupCommit
from pipeline.ledger.database import Connect, connect, open_ledger, told_clearly
from pipeline.ledger.lease import Holder, IsDead, Lease
from pipeline.ledger.quotas import QuotaStore
from pipeline.ledger.records import (
    Due,
    InputRecord,
    NewRun,
    RunRecord,
    RunState,
    Settlement,
    StagedRow,
)
from pipeline.model import LaneOrder, Outcome

T = TypeVar("T")

# The lease is renewed long before it ends.
_RENEW_SECONDS = lease.LEASE_SECONDS / 6


class Ledger:
    """
    A ledger file. Raises LedgerError, with cause and advice, for whatever the file or the disk refuses.

    Reading is done on a connection of its own, so that it neither waits for a commit nor sees half of one. With
    `past` this is a scratch ledger: it knows what that one knows, and leaves it untouched. `is_dead` tells whether the
    holder of a job surely runs no more; `connect` opens the file.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        holder: Holder,
        *,
        past: Path | None = None,
        is_dead: IsDead = lease.is_dead,
        connect: Connect = connect,
    ) -> None:
        self.path = path
        self._clock = clock
        self._holder = holder
        self._is_dead = is_dead
        self._connect = connect
        self._writer = open_ledger(path, connect)
        with told_clearly(path):
            self._reader = connect(path)
        self._reading = threading.Lock()
        self._quotas: QuotaStore | None = None
        if past is not None:
            self._look_into(past)

    def _look_into(self, past: Path) -> None:
        # Opened once as any command would, which brings it to this version or says why it can't be used.
        open_ledger(past).close()
        with told_clearly(past):
            scratch.look_into(self._writer, past)
            scratch.take_over_the_past(self._writer)
            scratch.look_into(self._reader, past)

    def quotas(self) -> QuotaStore:
        """Return where this ledger's quotas are kept: one store, which is closed with the ledger."""
        if self._quotas is None:
            self._quotas = QuotaStore(self.path.with_name(self.path.name + "-quota"), self._connect)
        return self._quotas

    def close(self) -> None:
        """Let go of the file, and of that of its quotas."""
        if self._quotas is not None:
            self._quotas.close()
        self._reader.close()
        self._writer.close()

    def _read(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        with self._reading, told_clearly(self.path):
            return ask(self._reader)

    def find(self, wanted: str) -> RunRecord:
        """Return the run with this id, a unique prefix of it, or the `last`; else raise SettingsError."""
        return self._read(lambda c: runs.find(c, wanted))

    def recent(self, limit: int) -> list[RunRecord]:
        """Return the newest runs, newest first."""
        return self._read(lambda c: runs.recent(c, limit))

    def inputs(self, run: RunRecord) -> list[InputRecord]:
        """Return a run's input files."""
        return self._read(lambda c: runs.inputs(c, run))

    def is_live(self, run: RunRecord) -> bool:
        """Return whether some process is executing the run."""
        return self._read(lambda c: lease.is_live(c, run.run_id, self._holder, self._clock.now(), self._is_dead))

    def outcomes(self, run: RunRecord) -> Iterator[Outcome]:
        """Yield the outcome of each row, in source order."""
        with told_clearly(self.path):
            yield from outcomes.outcomes(self._reader, run)

    def begin(self, new: NewRun, account_holder: str) -> "RunLedger":
        """Take the job for a new run and write it down, or raise RunHeld. The caller concludes or leaves it."""

        def write(connection: sqlite3.Connection) -> tuple[RunRecord, Lease]:
            held = lease.acquire(connection, new.job, new.run_id, self._holder, self._clock.now(), self._is_dead)
            account_no = runs.bind_account(connection, new.account, account_holder)
            return runs.begin(connection, new, account_no), held

        return RunLedger(self, *self._take(write))

    def take_up(self, run: RunRecord, account_holder: str) -> "RunLedger":
        """Take the job for a run that was stopped or killed, or raise RunHeld."""

        def write(connection: sqlite3.Connection) -> tuple[RunRecord, Lease]:
            held = lease.acquire(connection, run.job, run.run_id, self._holder, self._clock.now(), self._is_dead)
            runs.bind_account(connection, run.account, account_holder)
            if runs.find(connection, run.run_id).act is not run.act:
                raise LedgerError(f"run {run.run_id} has gone on since it was looked at; try again")
            runs.reopen(connection, run)
            return runs.find(connection, run.run_id), held

        return RunLedger(self, *self._take(write))

    def _take(self, write: Callable[[sqlite3.Connection], tuple[RunRecord, Lease]]) -> tuple[RunRecord, Lease]:
        with told_clearly(self.path):
            return GroupCommit(self._writer, lambda _: None).run(write)


class RunLedger:
    """
    The ledger in the hands of one run that holds its job.

    Thread-safe. Every transaction first makes sure that no other run has taken the job.
    """

    def __init__(self, ledger: Ledger, run: RunRecord, held: Lease) -> None:
        self.run = run
        self._ledger = ledger
        self._lease = held
        self._clock = ledger._clock  # noqa: SLF001 - one thing in two classes
        self._commits = GroupCommit(ledger._writer, lambda c: lease.check(c, held))  # noqa: SLF001
        self._renewed_at = self._clock.steady()

    def _commit(self, write: Callable[[sqlite3.Connection], T]) -> T:
        with told_clearly(self._ledger.path):
            return self._commits.run(write)

    def stage(self, file_no: int, first_row_no: int, rows: Sequence[StagedRow]) -> None:
        """Write a chunk of rows, and what of them is due."""
        self._commit(lambda c: staging.stage_rows(c, self.run, file_no, first_row_no, rows))

    def add_input(self, source: InputRecord) -> None:
        """Write an input file, when it is opened and again when it was read to its end."""
        self._commit(lambda c: staging.add_input(c, self.run, source))

    def unstage(self) -> None:
        """Forget what was staged: the run is to be staged anew."""
        self._commit(lambda c: staging.unstage(c, self.run))

    def start_delivering(self, rekey: Callable[[bytes, str], bytes]) -> None:
        """Sift what was staged, and enter the second act, at once."""

        def write(connection: sqlite3.Connection) -> None:
            sifting.sift(connection, self.run, rekey)
            runs.start_delivering(connection, self.run)

        self._commit(write)

    def copy_from(self, parent: RunRecord, selection: rerunning.Selection, rewrites: rerunning.Rewrites) -> int:
        """Make due again what another run left open, and enter the second act; return how many rows that are."""

        def write(connection: sqlite3.Connection) -> int:
            count = rerunning.copy_rows(connection, parent, self.run, selection, rewrites)
            runs.start_delivering(connection, self.run)
            return count

        return self._commit(write)

    def lanes(self, order: LaneOrder = LaneOrder.SOURCE) -> Iterator[list[Due]]:
        """Yield what is due, lane by lane; within a lane the order is always that of the source."""
        with told_clearly(self._ledger.path):
            yield from queue.lanes(self._ledger._reader, self._ledger._reading, self.run, order)  # noqa: SLF001

    def intend(self, due: Due) -> Admission:
        """Put the intent on disk, or say why this may not be sent."""
        return self._commit(lambda c: deliveries.intend(c, self.run, due))

    def settle(self, due: Due, end: Settlement) -> None:
        """Fix an outcome; it is on disk with the next intent of any worker, or the next `keep_up`."""
        with told_clearly(self._ledger.path):
            self._commits.later(lambda c: deliveries.settle(c, self.run, due, end))

    def keep_up(self) -> None:
        """Put on disk what was settled, and keep the job; called a few times a second."""
        with told_clearly(self._ledger.path):
            self._commits.flush()
        if self._clock.steady() - self._renewed_at >= _RENEW_SECONDS:
            self._commit(lambda c: lease.renew(c, self._lease, self._clock.now()))
            self._renewed_at = self._clock.steady()

    def conclude(
        self,
        *,
        state: RunState,
        reason: str | None,
        finished_at: str,
        open_as: tuple[str, str],
        progress: dict[str, float],
    ) -> RunRecord:
        """
        End the run: what it did not come to is settled, with code and message `open_as`.

        `progress` is what this execution adds: throttled, elapsed_s, sending_s.
        """

        def write(connection: sqlite3.Connection) -> RunRecord:
            runs.close_dues(connection, self.run, *open_as)
            runs.record_progress(connection, self.run, progress)
            return runs.conclude(connection, self.run, state=state, reason=reason, finished_at=finished_at)

        return self._commit(write)

    def has_open_dues(self) -> bool:
        """Return whether there is anything that the run did not come to."""
        return self._commit(lambda c: runs.has_open_dues(c, self.run))

    def finish(self, exit_code: int) -> None:
        """Write down the exit code; the last thing a run does."""
        self._commit(lambda c: runs.finish(c, self.run, exit_code))

    def release(self) -> None:
        """Give the job back, concluded or not."""
        self._commit(lambda c: lease.release(c, self._lease))
