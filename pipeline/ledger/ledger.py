"""`Ledger`: an open ledger file. It finds runs, reads their outcomes, starts new runs and resumes old ones."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.clock import Clock
from pipeline.errors import LedgerError, SettingsError
from pipeline.language import t
from pipeline.ledger.batch_sizes import DEFAULT_SIZES, BatchSizes
from pipeline.ledger.database import Database, open_database
from pipeline.ledger.delivering.sender_ledger import SenderLedger, join, runs_to_join
from pipeline.ledger.delivering.sending import Share
from pipeline.ledger.history import dues, inputs, origins, outcomes, rows_left, run_counts, runs, totals
from pipeline.ledger.history.prune import Pruned, PruneFile, prune
from pipeline.ledger.history.skipped_rows import LAST_ROW
from pipeline.ledger.history.totals import ReadRow, Wanted
from pipeline.ledger.records import InputRecord, NewRun, RunEnding, RunRecord, RunState
from pipeline.ledger.run_ledger import RunLedger, chosen_rows
from pipeline.ledger.slices import table as slice_table
from pipeline.ledger.slices.table import OpenSlice
from pipeline.ledger.staging.refunds import Retarget
from pipeline.ledger.staging.rerun import Selection
from pipeline.ledger.store import lease
from pipeline.ledger.store.database import (
    BUSY_SECONDS,
    Connect,
    connect,
)
from pipeline.ledger.store.lease import IsDead, IsGone, Lease, LeaseOwner
from pipeline.ledger.store.loss_detection import generations
from pipeline.ledger.store.loss_detection.traces import NO_TRACES, Traces, accept, refuse_if_behind
from pipeline.ledger.store.port import Connection, Quotas, Server
from pipeline.ledger.store.space import Space
from pipeline.model import Api, Status
from pipeline.tables.agreement_totals import OpenAgreements, StatusTotals
from pipeline.tables.outcome_page import Outcome, OutcomePage

if TYPE_CHECKING:
    from pipeline.ledger.slices.slice_ledger import SliceLedger

T = TypeVar("T")

# Pause between transactions of a long operation, so that other processes can write. Seconds.
_PAUSE_SECONDS = 0.05
# How many times as long as that of a job the lease of a slice lasts: nothing renews it while a workbook is opened.
_SLICE_LEASES = 4


class Ledger:
    """
    An open ledger file; created where there is none. Close it at the end.

    Queries use a connection of their own: they neither wait for a commit nor see half of one. `begin` and `resume`
    return a `RunLedger`, through which one run writes. LedgerError is raised for each fault of file or disk; its
    message has the cause and the next step.

    - `owner` is this process, as the job leases name it; `is_dead` says whether the owner of a lease has ended.
    - `traces` are files outside of the ledger that show whether it is the newest copy.
    - `only_reads`: nothing is written; the file may be on read-only media.
    - `connect` opens a file, `open_database` a ledger; tests pass some that fail.
    - `lease_seconds` is the length of a job's lease, `busy_seconds` the longest wait for the write lock.
    """

    def __init__(
        self,
        place: Path | Server,
        clock: Clock,
        owner: LeaseOwner,
        *,
        traces: Traces = NO_TRACES,
        is_dead: IsDead = lease.is_dead,
        connect: Connect = connect,
        only_reads: bool = False,
        sizes: BatchSizes = DEFAULT_SIZES,
        lease_seconds: float = lease.LEASE_SECONDS,
        busy_seconds: float = BUSY_SECONDS,
        open_database: Callable[..., Database] = open_database,
    ) -> None:
        # A ledger on a server has only its scratch folder here.
        self.path = place if isinstance(place, Path) else place.scratch
        self.place = place
        self._traces = traces
        self._clock = clock
        self._owner = owner
        self._is_gone: IsGone = lambda other: is_dead(other, owner)
        self._sizes = sizes
        self._lease_seconds = lease_seconds
        self._file = open_database(
            place,
            clock,
            traces.marks(),
            connect,
            only_reads=only_reads,
            busy_seconds=busy_seconds,
            lease_seconds=lease_seconds,
        )

    def quotas(self) -> Quotas:
        """Return the store of this ledger's quotas. It is closed with the ledger."""
        return self._file.quotas()

    def close(self) -> None:
        """Close the ledger, and its quotas."""
        self._file.close()

    def find(self, wanted: str) -> RunRecord:
        """
        Return the run with this id, or a unique prefix of it, or the `last` one that did something.

        Raises SettingsError where there is none, or more than one.
        """
        return self._file.read(lambda c: runs.find(c, wanted))

    def recent(self, limit: int | None = None) -> list[RunRecord]:
        """Return the newest runs, newest first: up to `limit`, or all."""
        return self._file.read(lambda c: runs.recent(c, limit))

    def last_of(self, job: str) -> RunRecord | None:
        """Return the newest run of a job; None if there is none."""
        return self._file.read(lambda c: runs.last_of(c, job))

    def on_day(self, day: date) -> list[RunRecord]:
        """Return the runs for a day, oldest first."""
        return self._file.read(lambda c: runs.on_day(c, day.isoformat()))

    def short_id(self, run: RunRecord) -> str:
        """Return the shortest prefix of a run's id that is unique now, of 8 characters at least."""
        return self._file.read(lambda c: runs.short_id(c, run.run_id))

    def counts(self, run: RunRecord) -> Counter[Status]:
        """Count the rows of a run by status."""
        return self._file.read(lambda c: run_counts.counts_of(c, run))

    def rows(self, run: RunRecord) -> int:
        """Count the rows of a run."""
        return self._file.read(lambda c: run_counts.rows_of(c, run))

    def family(self, run: RunRecord) -> list[RunRecord]:
        """Return the run that a chain began with, its reruns and fixes, and theirs, oldest first."""
        return self._file.read(lambda c: rows_left.family_of(c, run))

    def inputs(self, run: RunRecord) -> list[InputRecord]:
        """Return a run's input files."""
        return self._file.read(lambda c: inputs.inputs_of(c, run))

    def left(self, run: RunRecord, tick: Callable[[], None] = lambda: None) -> Counter[Status]:
        """
        Count the rows of a run that are not done, by their status in it. Its reruns and fixes count too.

        A row is done once it succeeded or was skipped, in any of these runs. `tick` is called now and then.
        """
        with self._file.clear_errors():
            return rows_left.left_of(self._file.reader, run, tick)

    def has_family(self, run: RunRecord) -> bool:
        """Return whether a run has reruns or fixes, or is one itself."""
        return self._file.read(lambda c: rows_left.has_family(c, run))

    def followers(self, run: RunRecord) -> list[RunRecord]:
        """Return the reruns and fixes of a run, and the reruns and fixes of those, oldest first."""
        return self._file.read(lambda c: rows_left.followers(c, run))

    def is_finished(self, run: RunRecord) -> bool:
        """Return whether a run is completed, with exit code, and `resume` would send nothing."""
        if run.state is not RunState.COMPLETED or run.exit_code is None:
            return False
        return not self._file.read(lambda c: dues.has_dues_to_resume(c, run))

    def takes_any(self, parent: RunRecord, selection: Selection) -> bool:
        """Return whether a rerun of a run with this selection would send any row."""
        return next(chosen_rows(self._file, parent, selection), None) is not None

    def marks(self, run: RunRecord) -> Callable[[int, Outcome], str]:
        """
        Return the function that makes the mark of a row, from its number in the run and its outcome.

        A mark names the first origin of the row: see `RowMark`.
        """

        return lambda row_no, outcome: self._file.read(lambda c: origins.mark_of(c, run, row_no, outcome))

    def input_locations(self) -> list[str]:
        """Return the locations of the inputs of all runs."""
        return self._file.read(inputs.all_locations)

    def is_live(self, run: RunRecord) -> bool:
        """Return whether some process executes the run now."""
        return run.run_id in self._file.read(self._live_runs)

    def _live_runs(self, connection: Connection) -> set[str]:
        return lease.live_runs(connection, self._file.now(connection), self._is_gone)

    def outcomes(self, run: RunRecord) -> Iterator[Outcome]:
        """Yield the outcome of each row, in source order."""
        with self._file.clear_errors():
            yield from outcomes.outcomes(self._file.reader, run)

    def outcome_pages(self, run: RunRecord, first: int = 0, last: int = LAST_ROW) -> Iterator[OutcomePage]:
        """Yield the outcomes of the rows from `first` to `last` in pages, in source order. No page is empty."""
        with self._file.clear_errors():
            yield from outcomes.outcome_pages(self._file.reader, run, first, last)

    def totals(self, wanted: Wanted, read_row: ReadRow) -> Iterator[StatusTotals]:
        """Yield the totals of agreements, sorted by account and agreement; see `history.totals`."""
        with self._file.clear_errors():
            yield from totals.totals(self._file.reader, wanted, read_row)

    def open_agreements(self, run: RunRecord, read_row: ReadRow) -> OpenAgreements:
        """Return the agreements of a run whose totals are not final because of its rows."""
        with self._file.clear_errors():
            return totals.open_agreements(self._file.reader, run, read_row)

    def resynced_at(self) -> str | None:
        """Return when the ledger was last resynced (ISO 8601); None if it never was."""
        return self._file.read(generations.current).begun_at or None

    def refuse_if_behind(self) -> None:
        """Raise LedgerBehind if something was sent that this ledger does not know."""
        self._file.read(lambda c: refuse_if_behind(c, self._file.name, self._traces))

    def prune(self, *, runs_before: datetime, deliveries_before: datetime | None = None) -> Pruned:
        """
        Delete runs that ended before a moment; with `deliveries_before` also deliveries whose last intent is older.

        Other processes may run jobs meanwhile. Raises LedgerBehind if the ledger needs a resync first.
        """
        self.refuse_if_behind()
        transactions = self._file.transactions()

        def commit(write: Callable[[Connection], T]) -> T:
            began_at = self._clock.steady()
            with self._file.clear_errors():
                result = transactions.run(write)
            # Leave at least half of the time to jobs of other processes.
            self._clock.sleep(max(_PAUSE_SECONDS, self._clock.steady() - began_at))
            return result

        file = PruneFile(read=self._file.read, commit=commit, live_runs=self._live_runs, lines=self._sizes.pruned_lines)
        return prune(file, runs_before=runs_before, deliveries_before=deliveries_before)

    def give_back_space(self) -> Space:
        """Return free pages of the file to the disk, without disturbing runs of other processes."""
        is_held = bool(self._file.read(self._live_runs))
        return self._file.give_back(lambda: self._clock.sleep(_PAUSE_SECONDS), is_held=is_held)

    def begin(self, new: NewRun, merchant: str, *, copied: RunRecord | None = None, resync: bool = False) -> RunLedger:
        """
        Take the lease of the job for a new run, and write the run. The caller concludes or leaves it.

        `copied` is the run whose open rows this one sends again. `resync` begins a new generation of the ledger.
        Raises RunHeld if another run of the job is alive (with `resync`: any other run), and LedgerBehind if the
        ledger needs a resync first.
        """

        def write(connection: Connection) -> tuple[RunRecord, Lease]:
            job_lease = self._acquire(connection, new.job, new.run_id)
            if resync:
                self._resync(connection, new)
            else:
                refuse_if_behind(connection, self._file.name, self._traces)
            account_no = self._bind(connection, new.api, new.account, merchant)
            if copied is not None:
                # It may have been pruned since the caller read it.
                _refuse_former_generation(runs.find(connection, copied.run_id), account_no)
            return runs.begin(connection, new, account_no), job_lease

        return self._take(write)

    def resume(self, run: RunRecord, merchant: str, options: Mapping[str, Any] = MappingProxyType({})) -> RunLedger:
        """
        Take the lease of the job for a run that was stopped or killed; its open dues are due again.

        `options` replace those that the run has. Raises RunHeld if another run of the job is alive.
        """

        def write(connection: Connection) -> tuple[RunRecord, Lease]:
            job_lease = self._acquire_for(connection, run, merchant)
            if runs.find(connection, run.run_id).phase is not run.phase:
                raise LedgerError(
                    t("another process went on with run {run_id} in the meantime; try again", run_id=run.run_id)
                )
            runs.reopen(connection, run, options)
            return runs.find(connection, run.run_id), job_lease

        resumed = self._take(write)
        try:
            resumed.end_senders(_taken_up())
            resumed.reopen()
        except BaseException:
            resumed.leave()
            raise
        return resumed

    def open_slices(self) -> list[OpenSlice]:
        """Return the slices that no process has, of runs whose driver is alive, oldest runs first."""
        if isinstance(self.place, Path):
            return []
        return self._file.read(lambda c: slice_table.open_slices(c, self._file.now(c).isoformat()))

    def take_slice(self, run: RunRecord, slice_no: int, retarget: Retarget) -> "SliceLedger | None":
        """Take a slice of a run; None if another process has it, or if it is staged or gone."""
        from pipeline.ledger.slices.slice_ledger import SliceLedger  # noqa: PLC0415 - imports numpy and Arrow

        seconds = _SLICE_LEASES * self._lease_seconds
        with self._file.clear_errors():
            taken = slice_table.take(self._file.writer, run, slice_no, str(self._owner), seconds)
        if taken is None:
            return None
        return SliceLedger(self._file, self._clock, run, taken, retarget, seconds=seconds)

    def hold(self, run: RunRecord, merchant: str) -> RunLedger:
        """
        Take the lease of the job for a run whose rows are asked about. The run stays as it is; nothing is due again.

        Raises RunHeld if another run of the job is alive.
        """

        def write(connection: Connection) -> tuple[RunRecord, Lease]:
            return runs.find(connection, run.run_id), self._acquire_for(connection, run, merchant)

        held = self._take(write)
        try:
            held.end_senders(_taken_up())
        except BaseException:
            held.leave()
            raise
        return held

    @property
    def has_senders(self) -> bool:
        """Whether several processes can send for a run."""
        return self._file.has_senders

    def join(
        self, run: RunRecord, share: Share, *, wanted: Collection[int] | None = None, leads: bool = False
    ) -> SenderLedger | None:
        """Join the senders of a run on a server; see `sender_ledger.join`."""
        return join(
            self._file,
            self._clock,
            run,
            self._owner,
            share,
            is_gone=self._is_gone,
            sizes=self._sizes,
            seconds=self._lease_seconds,
            wanted=wanted,
            leads=leads,
        )

    def merchant_of(self, run: RunRecord) -> str:
        """Return the merchant that a run sends for, as `begin` got it."""
        return self._file.read(lambda c: runs.merchant_of(c, run))

    def runs_to_join(self) -> list[RunRecord]:
        """Return the runs on a server for which another sender may join now, those with the fewest senders first."""
        return self._file.read(lambda c: runs_to_join(c, self._file.now(c), self._lease_seconds))

    def _acquire_for(self, connection: Connection, run: RunRecord, merchant: str) -> Lease:
        """Take the lease of the job for an earlier run, unless the ledger needs a resync or has had one since."""
        job_lease = self._acquire(connection, run.job, run.run_id)
        refuse_if_behind(connection, self._file.name, self._traces)
        _refuse_former_generation(run, self._bind(connection, run.api, run.account, merchant))
        return job_lease

    def _acquire(self, connection: Connection, job: str, run_id: str) -> Lease:
        return lease.acquire(
            connection=connection,
            job=job,
            run_id=run_id,
            owner=self._owner,
            now=self._file.now(connection),
            is_gone=self._is_gone,
            seconds=self._lease_seconds,
        )

    def _resync(self, connection: Connection, new: NewRun) -> None:
        """Begin a generation, named after the run. Earlier confirmations and existing traces no longer count."""
        lease.end_others(connection, new.job, self._owner, self._file.now(connection), self._is_gone)
        accept(connection, self._traces)
        generations.begin(connection, new.run_id, new.started_at)
        self._file.forget_quotas()

    def _bind(self, connection: Connection, api: Api, account: str, merchant: str) -> int:
        generation = generations.current(connection).of_account(api)
        return runs.bind_account(connection, account, merchant, generation)

    def _take(self, write: Callable[[Connection], tuple[RunRecord, Lease]]) -> RunLedger:
        tried: list[Lease] = []

        def write_once(connection: Connection) -> tuple[RunRecord, Lease]:
            # It is called again if the server went away, maybe while it answered to the commit.
            if tried and lease.is_taken(connection, tried[-1]):
                return runs.find(connection, tried[-1].run_id), tried[-1]
            run, job_lease = write(connection)
            tried.append(job_lease)
            return run, job_lease

        with self._file.clear_errors():
            run, job_lease = self._file.transactions().run(write_once)
        self._file.check_kept(run.run_id)
        return RunLedger(self._file, self._clock, run, job_lease, is_gone=self._is_gone, sizes=self._sizes)


def _taken_up() -> RunEnding:
    return RunEnding("interrupted", t("another process continues the run"))


def _refuse_former_generation(run: RunRecord, account_no: int) -> None:
    """Raise SettingsError for a run of balances or states from before a resync: newer ones may have been sent."""
    if run.account_no != account_no:
        raise SettingsError(
            [t("RUN {run_id} began before a `--resync`: what it left may be older than what the platform holds; "
"`backfill run {job}` sends the newest export", run_id=run.run_id, job=run.job)]
        )  # fmt: skip
