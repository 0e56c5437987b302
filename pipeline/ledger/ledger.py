"""The ledger as the rest of the house sees it: what is known of all runs, and how one takes its job."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pipeline.clock import Clock
from pipeline.errors import LedgerError, SettingsError
from pipeline.ledger.history import left, origins, outcomes, runs
from pipeline.ledger.history.prune import Pruned, PruneFile, prune
from pipeline.ledger.records import InputRecord, NewRun, RunRecord, RunState
from pipeline.ledger.run_ledger import OpenFile, RunLedger
from pipeline.ledger.staging.rerun import Selection
from pipeline.ledger.store import generations, lease
from pipeline.ledger.store.database import Connect, connect, open_for_reading, open_ledger, wal_path, with_clear_errors
from pipeline.ledger.store.in_place import Guard, Place
from pipeline.ledger.store.lease import IsDead, Lease, LeaseOwner
from pipeline.ledger.store.log_size import LogSize
from pipeline.ledger.store.quotas import QuotaStore, quota_path
from pipeline.ledger.store.space import Space, give_back
from pipeline.ledger.store.traces import NO_TRACES, Traces, accept, has_sent, refuse_if_behind
from pipeline.ledger.store.transactions import Transactions
from pipeline.ledger.store.write_lock import WriteLock
from pipeline.model import Api, Status
from pipeline.tables.outcome_page import Outcome, OutcomePage
from pipeline.tables.row_mark import RowMark

T = TypeVar("T")

# Between transactions that others may want to write between.
_PAUSE_SECONDS = 0.05
_NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


class Ledger:
    """
    A ledger file. Raises LedgerError, with cause and advice, for whatever the file or the disk refuses.

    Reading is done on a connection of its own, so that it neither waits for a commit nor sees half of one. `traces`
    show whether the file is the newest; `is_dead` tells whether the holder of a job surely runs no more; `connect`
    opens the file. With `only_reads` nothing is written, and the file may lie on read-only media.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        owner: LeaseOwner,
        *,
        traces: Traces = NO_TRACES,
        is_dead: IsDead = lease.is_dead,
        connect: Connect = connect,
        only_reads: bool = False,
    ) -> None:
        self.path = path
        self._traces = traces
        self._clock = clock
        self._owner = owner
        self._is_dead = is_dead
        self._connect = connect
        self._file = self._open_for_reading() if only_reads else self._open()
        self._quotas: QuotaStore | None = None

    def _open(self) -> OpenFile:
        path = self.path
        writer = open_ledger(path, self._connect)
        with with_clear_errors(path):
            # The log is there since the version was looked at, and stays as long as the file is open.
            places = [Place.of(file) for file in (path, wal_path(path)) if file.exists()]
            reader, reading = self._connect(path), threading.Lock()
            lock = WriteLock(self._clock)
            lock.prepare(writer)
        return OpenFile(
            path=path,
            writer=writer,
            reader=reader,
            reading=reading,
            marks=self._traces.marks(),
            guard=Guard(path, places, reader, reading),
            lock=lock,
            log=LogSize(path, self._clock, self._connect),
        )

    def _open_for_reading(self) -> OpenFile:
        with with_clear_errors(self.path):
            connection, reading = open_for_reading(self.path), threading.Lock()
        return OpenFile(
            path=self.path,
            writer=connection,
            reader=connection,
            reading=reading,
            marks=self._traces.marks(),
            guard=Guard(self.path, [], connection, reading),
            lock=WriteLock(self._clock),
            log=LogSize(self.path, self._clock, self._connect),
        )

    def quotas(self) -> QuotaStore:
        """Return where this ledger's quotas are kept: one store, which is closed with the ledger."""
        if self._quotas is None:
            path = quota_path(self.path)
            is_lost = not path.exists() and self._file.read(has_sent)
            self._quotas = QuotaStore(path, self._connect)
            if is_lost:
                self._quotas.forget()
        return self._quotas

    def close(self) -> None:
        """Let go of the file, and of that of its quotas."""
        if self._quotas is not None:
            self._quotas.close()
        self._file.close()

    def find(self, wanted: str) -> RunRecord:
        """Return the run with this id, a unique prefix of it, or the `last`; else raise SettingsError."""
        return self._file.read(lambda c: runs.find(c, wanted))

    def recent(self, limit: int) -> list[RunRecord]:
        """Return the newest runs, newest first."""
        return self._file.read(lambda c: runs.recent(c, limit))

    def inputs(self, run: RunRecord) -> list[InputRecord]:
        """Return a run's input files."""
        return self._file.read(lambda c: runs.inputs(c, run))

    def left(self, run: RunRecord, tick: Callable[[], None] = lambda: None) -> Counter[Status]:
        """
        Return how many rows of a run are left, over its reruns and fixes, by the status that they have in it.

        `tick` is called on the way.
        """
        with with_clear_errors(self.path):
            return left.left_of(self._file.reader, run, tick)

    def has_family(self, run: RunRecord) -> bool:
        """Return whether there are reruns or fixes of a run, or it is one itself."""
        return self._file.read(lambda c: left.has_family(c, run))

    def followers(self, run: RunRecord) -> list[RunRecord]:
        """Return the reruns and fixes of a run, and those of these, oldest first."""
        return self._file.read(lambda c: left.followers(c, run))

    def is_finished(self, run: RunRecord) -> bool:
        """Return whether a run came to its end, report and all, and a resume of it would send nothing."""
        if run.state is not RunState.COMPLETED or run.exit_code is None:
            return False
        return not self._file.read(lambda c: runs.has_dues_to_resume(c, run))

    def takes_any(self, parent: RunRecord, selection: Selection) -> bool:
        """Return whether a rerun of a run would take any row of it."""
        return next(self._file.chosen(parent, selection), None) is not None

    def marks(self, run: RunRecord) -> Callable[[int, Outcome], str]:
        """Return what gives the mark of a row, by its number in the run and its outcome: that of its first origin."""

        def mark(row_no: int, outcome: Outcome) -> str:
            own = str(RowMark(run.run_id, outcome.file_no, outcome.source_row))
            return self._file.read(lambda c: origins.first_mark(c, run, row_no)) or own

        return mark

    def input_locations(self) -> list[str]:
        """Return where the inputs of all runs were found."""
        return self._file.read(runs.input_locations)

    def is_live(self, run: RunRecord) -> bool:
        """Return whether some process is executing the run."""
        return self._file.read(lambda c: lease.is_live(c, run.run_id, self._owner, self._clock.now(), self._is_dead))

    def outcomes(self, run: RunRecord) -> Iterator[Outcome]:
        """Yield the outcome of each row, in source order."""
        return self._file.outcomes(run)

    def outcome_pages(self, run: RunRecord) -> Iterator[OutcomePage]:
        """Yield the outcomes of all rows, in source order, many at once; no page is empty."""
        with with_clear_errors(self.path):
            yield from outcomes.outcome_pages(self._file.reader, run)

    def refuse_if_behind(self) -> None:
        """Raise LedgerBehind where something was sent that the ledger does not know of."""
        self._file.read(lambda c: refuse_if_behind(c, self.path, self._traces))

    def prune(self, *, runs_before: datetime, deliveries_before: datetime | None = None) -> Pruned:
        """
        Delete runs that ended before a moment, and deliveries older than another one, where one is given.

        May be done while other processes run jobs. Raises LedgerBehind where a resync has to come first.
        """
        self.refuse_if_behind()
        return prune(self._prune_file(), runs_before=runs_before, deliveries_before=deliveries_before)

    def _prune_file(self) -> PruneFile:
        transactions = Transactions(self._file.writer, lock=self._file.lock)

        def commit(write: Callable[[sqlite3.Connection], T]) -> T:
            began_at = self._clock.steady()
            with with_clear_errors(self.path):
                result = transactions.run(write)
            # Jobs of other processes get at least half of the time.
            self._clock.sleep(max(_PAUSE_SECONDS, self._clock.steady() - began_at))
            return result

        def is_live(connection: sqlite3.Connection, run: RunRecord) -> bool:
            return lease.is_live(connection, run.run_id, self._owner, self._clock.now(), self._is_dead)

        return PruneFile(read=self._file.read, commit=commit, is_live=is_live)

    def give_back_space(self) -> Space:
        """Give free pages of the file back to the disk, as far as no run of another process is disturbed."""
        is_held = self._file.read(lambda c: lease.is_any_held(c, self._owner, self._clock.now(), self._is_dead))
        with with_clear_errors(self.path):
            return give_back(self._file.writer, self.path, lambda: self._clock.sleep(_PAUSE_SECONDS), is_held=is_held)

    def begin(self, new: NewRun, merchant: str, *, copied: RunRecord | None = None, resync: bool = False) -> RunLedger:
        """
        Take the job for a new run and write it down. The caller concludes or leaves it.

        `copied` is the run whose rows it sends again. With `resync` it begins a generation of the ledger. Raises
        RunHeld where a run is alive that may not be, and LedgerBehind where a resync has to come first.
        """

        def write(connection: sqlite3.Connection) -> tuple[RunRecord, Lease]:
            held = self._acquire(connection, new.job, new.run_id)
            if resync:
                self._resync(connection, new)
            else:
                refuse_if_behind(connection, self.path, self._traces)
            account_no = self._bind(connection, new.api, new.account, merchant)
            if copied is not None:
                # It may have been pruned since it was looked at.
                _refuse_of_before(runs.find(connection, copied.run_id), account_no)
            return runs.begin(connection, new, account_no), held

        return RunLedger(self._file, self._clock, *self._take(write), self._is_dead)

    def take_up(self, run: RunRecord, merchant: str, options: Mapping[str, Any] = _NO_OPTIONS) -> RunLedger:
        """Take the job for a run that was stopped or killed, or raise RunHeld. `options` are those given anew."""

        def write(connection: sqlite3.Connection) -> tuple[RunRecord, Lease]:
            held = self._acquire(connection, run.job, run.run_id)
            refuse_if_behind(connection, self.path, self._traces)
            _refuse_of_before(run, self._bind(connection, run.api, run.account, merchant))
            if runs.find(connection, run.run_id).phase is not run.phase:
                raise LedgerError(f"run {run.run_id} has gone on since it was looked at; try again")
            runs.reopen(connection, run, options)
            return runs.find(connection, run.run_id), held

        held = RunLedger(self._file, self._clock, *self._take(write), self._is_dead)
        try:
            held.reopen()
        except BaseException:
            held.leave()
            raise
        return held

    def _acquire(self, connection: sqlite3.Connection, job: str, run_id: str) -> Lease:
        return lease.acquire(
            connection=connection,
            job=job,
            run_id=run_id,
            owner=self._owner,
            now=self._clock.now(),
            is_dead=self._is_dead,
        )

    def _resync(self, connection: sqlite3.Connection, new: NewRun) -> None:
        """Begin a generation, named after the run: what was confirmed and what lies outside says nothing any more."""
        lease.end_others(connection, new.job, self._owner, self._clock.now(), self._is_dead)
        accept(connection, self._traces)
        generations.begin(connection, new.run_id, new.started_at)
        # The state of the quotas may be as old as the ledger. A file that is missing is made later on: else a crash
        # here would hide that it was.
        if quota_path(self.path).exists():
            self.quotas().forget()

    def _bind(self, connection: sqlite3.Connection, api: Api, account: str, merchant: str) -> int:
        generation = generations.current(connection).of_account(api)
        return runs.bind_account(connection, account, merchant, generation)

    def _take(self, write: Callable[[sqlite3.Connection], tuple[RunRecord, Lease]]) -> tuple[RunRecord, Lease]:
        with with_clear_errors(self.path):
            run, held = Transactions(self._file.writer, lock=self._file.lock).run(write)
        self._file.guard.check(run.run_id)
        return run, held


def _refuse_of_before(run: RunRecord, account_no: int) -> None:
    """Raise SettingsError where a run of balances or states is of a former generation: later ones may be sent."""
    if run.account_no != account_no:
        raise SettingsError(
            [f"RUN {run.run_id} began before a `--resync`: what it left may be older than what the platform holds; "
             f"`backfill run {run.job}` sends the newest export"]
        )  # fmt: skip
