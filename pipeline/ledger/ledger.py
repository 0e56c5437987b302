"""The ledger as the rest of the house sees it: what is known of all runs, and how one takes its job."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.clock import Clock
from pipeline.errors import LedgerError
from pipeline.ledger import lease, outcomes, runs
from pipeline.ledger.database import Connect, connect, open_ledger, told_clearly
from pipeline.ledger.lease import Holder, IsDead, Lease
from pipeline.ledger.quotas import QuotaStore, quota_path
from pipeline.ledger.records import InputRecord, NewRun, RunRecord
from pipeline.ledger.run_ledger import OpenFile, RunLedger
from pipeline.ledger.transactions import Transactions
from pipeline.outcome import Outcome, Outcomes


class Ledger:
    """
    A ledger file. Raises LedgerError, with cause and advice, for whatever the file or the disk refuses.

    Reading is done on a connection of its own, so that it neither waits for a commit nor sees half of one. `is_dead`
    tells whether the holder of a job surely runs no more; `connect` opens the file.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        holder: Holder,
        *,
        is_dead: IsDead = lease.is_dead,
        connect: Connect = connect,
    ) -> None:
        self.path = path
        self._clock = clock
        self._holder = holder
        self._is_dead = is_dead
        self._connect = connect
        writer = open_ledger(path, connect)
        with told_clearly(path):
            self._file = OpenFile(path, writer, connect(path), threading.Lock())
        self._quotas: QuotaStore | None = None

    def quotas(self) -> QuotaStore:
        """Return where this ledger's quotas are kept: one store, which is closed with the ledger."""
        if self._quotas is None:
            self._quotas = QuotaStore(quota_path(self.path), self._connect)
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

    def is_live(self, run: RunRecord) -> bool:
        """Return whether some process is executing the run."""
        return self._file.read(lambda c: lease.is_live(c, run.run_id, self._holder, self._clock.now(), self._is_dead))

    def outcomes(self, run: RunRecord) -> Iterator[Outcome]:
        """Yield the outcome of each row, in source order."""
        return self._file.outcomes(run)

    def outcomes_in_pages(self, run: RunRecord) -> Iterator[Outcomes]:
        """Yield the outcomes of all rows, in source order, many at once; no page is empty."""
        with told_clearly(self.path):
            yield from outcomes.outcomes_in_pages(self._file.reader, run)

    def begin(self, new: NewRun, account_holder: str) -> RunLedger:
        """Take the job for a new run and write it down, or raise RunHeld. The caller concludes or leaves it."""

        def write(connection: sqlite3.Connection) -> tuple[RunRecord, Lease]:
            held = lease.acquire(
                connection=connection,
                job=new.job,
                run_id=new.run_id,
                holder=self._holder,
                now=self._clock.now(),
                is_dead=self._is_dead,
            )
            account_no = runs.bind_account(connection, new.account, account_holder)
            return runs.begin(connection, new, account_no), held

        return RunLedger(self._file, self._clock, *self._take(write), self._is_dead)

    def take_up(self, run: RunRecord, account_holder: str) -> RunLedger:
        """Take the job for a run that was stopped or killed, or raise RunHeld."""

        def write(connection: sqlite3.Connection) -> tuple[RunRecord, Lease]:
            held = lease.acquire(
                connection=connection,
                job=run.job,
                run_id=run.run_id,
                holder=self._holder,
                now=self._clock.now(),
                is_dead=self._is_dead,
            )
            runs.bind_account(connection, run.account, account_holder)
            if runs.find(connection, run.run_id).act is not run.act:
                raise LedgerError(f"run {run.run_id} has gone on since it was looked at; try again")
            runs.reopen(connection, run)
            return runs.find(connection, run.run_id), held

        held = RunLedger(self._file, self._clock, *self._take(write), self._is_dead)
        try:
            held.reopen()
        except BaseException:
            held.let_go()
            raise
        return held

    def _take(self, write: Callable[[sqlite3.Connection], tuple[RunRecord, Lease]]) -> tuple[RunRecord, Lease]:
        with told_clearly(self.path):
            return Transactions(self._file.writer).run(write)
