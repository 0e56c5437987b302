"""The ledger as the rest of the house sees it: what is known of all runs, and how one takes its job."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.clock import Clock
from pipeline.errors import LedgerError
from pipeline.ledger import lease, left, origins, outcomes, runs
from pipeline.ledger.database import Connect, connect, open_ledger, told_clearly
from pipeline.ledger.lease import Holder, IsDead, Lease
from pipeline.ledger.quotas import QuotaStore, quota_path
from pipeline.ledger.records import InputRecord, NewRun, RunRecord, RunState
from pipeline.ledger.rerunning import Selection
from pipeline.ledger.run_ledger import OpenFile, RunLedger
from pipeline.ledger.transactions import Transactions
from pipeline.model import Status
from pipeline.outcome import Outcome, Outcomes
from pipeline.row_mark import RowMark


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

    def left(self, run: RunRecord, tick: Callable[[], None] = lambda: None) -> Counter[Status]:
        """
        Return how many rows of a run are left, over its reruns and fixes, by the status that they have in it.

        `tick` is called on the way.
        """
        with told_clearly(self.path):
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
