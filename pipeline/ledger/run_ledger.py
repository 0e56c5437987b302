"""`RunLedger`: the ledger as one run uses it. The run holds the lease of its job, stages, delivers and concludes."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.clock import Clock
from pipeline.errors import LedgerError
from pipeline.language import t
from pipeline.ledger.batch_sizes import BatchSizes
from pipeline.ledger.database import Database
from pipeline.ledger.delivering import partitions, questions, queue, shared_state
from pipeline.ledger.delivering.partitions import PartitionsLeft
from pipeline.ledger.delivering.sending import SendingLedger, Share
from pipeline.ledger.history import dues, inputs, origins, outcomes, rows_left, runs, skipped_rows
from pipeline.ledger.history.origins import Origin
from pipeline.ledger.history.row_ranges import delete_range, row_ranges
from pipeline.ledger.records import (
    Due,
    InputRecord,
    NamedDue,
    Phase,
    Rekey,
    RunEnding,
    RunRecord,
    RunState,
    SenderNews,
    SharedState,
    StagedCounts,
    accept_any,
)
from pipeline.ledger.rules.admission import OtherSenders
from pipeline.ledger.slices import table as slice_table
from pipeline.ledger.slices.table import NewSlice, SliceRecord
from pipeline.ledger.staging import refunds
from pipeline.ledger.staging import rerun as rerunning
from pipeline.ledger.staging.refunds import Retarget
from pipeline.ledger.store.lease import IsGone, Lease
from pipeline.ledger.store.loss_detection import generations
from pipeline.ledger.store.loss_detection.marks import Mark
from pipeline.ledger.store.port import Connection
from pipeline.ledger.store.sender_lease import end_all_senders, end_dead_senders
from pipeline.model import LaneOrder

# numpy and Arrow take a tenth of a second to import, and only staging needs them.
if TYPE_CHECKING:
    from pipeline.ledger.staging.staged_chunk import StagedChunk
    from pipeline.ledger.staging.staging import Findings, LocalStaging, Staging
    from pipeline.tables.mapped_chunk import MappedChunk

T = TypeVar("T")

# Has the slices of a run written by any processes, and returns them once they are.
WriteSlices = Callable[[], Sequence[SliceRecord]]

_log = logging.getLogger("backfill")

# Interval at which a run looks whether its senders have left.
_POLL_SECONDS = 0.2
# Looks after which the wait is logged: most senders leave within that time.
_POLLS_BEFORE_LOG = 10
# Partitions that are written at once.
_PARTITIONS_AT_ONCE = 50


def chosen_rows(
    file: Database, parent: RunRecord, selection: rerunning.Selection, tick: Callable[[], None] = lambda: None
) -> Iterator[rerunning.Chosen]:
    """Yield the rows of a run that a rerun sends again; `tick` is called now and then."""
    with file.clear_errors():
        done = rows_left.DoneRows(file.reader, parent, tick) if rows_left.has_family(file.reader, parent) else None
        outcomes_of_parent = outcomes.outcomes(file.reader, parent)
        yield from rerunning.chosen(outcomes_of_parent, selection, done.holds if done else lambda _row_no: False)


def _with_chunk(connection: Connection, load: "Callable[[], StagedChunk]", write: Callable[..., None]) -> "StagedChunk":
    """Write a chunk as it was staged, also if the transaction is run again: a decision changes the chunk."""
    chunk = load()
    write(connection, chunk=chunk)
    return chunk


class RunLedger(SendingLedger):
    """
    The ledger as one run uses it, from the lease of its job to its end. Thread-safe.

    The life of a run:

    1. Staging: `add_input` and `stage` for each chunk that is read. `start_delivering` then decides on all rows and
       writes them with their dues. A rerun uses `copy_from` instead.
    2. Delivering: `lanes` yields the dues. `intend` writes an intent before each request, `settle` the outcome after.
       On a server `offer` writes the dues into partitions, and senders take these: see `SenderLedger`.
    3. The end: `conclude` settles the rest, `finish` writes the exit code, `release` returns the job.

    Each transaction first checks that no other run has taken the job; if one has, LedgerError is raised and nothing
    is written. `heartbeat` is called a few times a second: it commits settled outcomes and renews the lease.
    """

    def __init__(
        self, file: Database, clock: Clock, run: RunRecord, job_lease: Lease, *, is_gone: IsGone, sizes: BatchSizes
    ) -> None:
        super().__init__(file, clock, run, job_lease, is_gone=is_gone, sizes=sizes)
        self._fence = job_lease.fence
        self._staging: Staging | None = None
        self._local: LocalStaging | None = None
        self._is_cut = False
        self._gathered: Sequence[SliceRecord] = ()
        self._file_names: dict[int, str] = {}

    @property
    def salt(self) -> str:
        """The text that keys made from rows are also made of; see `Generation`."""
        return self._generation.salt

    def _commit_at_length(self, write: Callable[[Connection], T]) -> T:
        """Commit what may take longer than the lease lasts. During the transaction nobody can take the job."""

        def write_and_renew(connection: Connection) -> T:
            result = write(connection)
            self._lease.renew(connection, self._file.now(connection))
            return result

        return self._commit(write_and_renew)

    def _commit_in_ranges(self, table: str, which: str, write: Callable[..., None]) -> None:
        """
        Commit a change of all lines of a table for which `which` holds, range by range: others can write in between.

        `write` gets `first` and `last`, the first and last row number of a range. After a crash some ranges are
        written, and written once more later: the change has to allow that.
        """
        for first, last in row_ranges(self._file.read, self.run.run_no, table, which, lines=self._sizes.range_rows):
            self._commit_at_length(partial(write, first=first, last=last))

    def reports_to(self, folder: Path) -> None:
        """Set the folder of the run's report, which the marks name."""
        self._file.marks.report = folder.absolute()

    def add_input(self, source: InputRecord) -> None:
        """Write an input file: when it is opened, and again when it was read to its end."""
        self._file_names[source.file_no] = source.name
        self._commit(lambda c: inputs.add_input(c, self.run, source))

    def unstage(self) -> None:
        """Delete what was staged: the run will be staged again."""
        self._forget_staging()
        # Rows last: what ties them to rows of other runs goes by their numbers, and these are counted.
        for table in ("origins", "dues", "rows"):
            self._commit_in_ranges(table, "TRUE", partial(delete_range, run_no=self.run.run_no, table=table))
        self._commit_at_length(lambda c: inputs.forget_inputs(c, self.run))

    def origins(self, marks: Iterable[str]) -> dict[str, Origin]:
        """Return the origin that each mark of a fixed row names; marks that name no row are left out."""
        return self._file.read(lambda c: origins.find_origins(c, self.run, marks))

    def stage(self, file_no: int, first_row_no: int, mapped: "MappedChunk", retarget: Retarget) -> int:
        """
        Stage a chunk of rows; return how many of them are invalid.

        The others are decided on in `start_delivering`, when all inputs are read.
        """
        from pipeline.ledger.staging.staging import LocalStaging  # noqa: PLC0415 - see the top

        if self._local is None:
            self._staging = self._local = LocalStaging(self.run, self._file.scratch, retarget)
        staging = self._local
        return self._file.read(lambda c: staging.add(c, file_no, first_row_no, mapped))

    def start_delivering(
        self,
        rekey: Rekey,
        check: Callable[[StagedCounts], None] = accept_any,
        others: OtherSenders | None = None,
        write_slices: WriteSlices | None = None,
        *,
        hashes_bodies: bool = False,
    ) -> None:
        """
        Decide on all staged rows, write them with their dues, and begin to deliver.

        `rekey` puts another request key into a body. `check` gets the counts and may raise: then the run stays in
        staging, and a resume stages it again. `others` are other senders of balances. `write_slices` has the gathered
        slices written by other processes, and returns them then; its counts have no hash of bodies.
        If it `hashes_bodies`, the counts have a hash of the bodies to send.
        """
        staging, counts = self._staging, StagedCounts(bodies=hashlib.sha256() if hashes_bodies else None)
        if staging is not None:
            from pipeline.ledger.staging import decide  # noqa: PLC0415 - see the top

            find = partial(staging.findings, heartbeat=self.heartbeat, is_gone=self._is_gone, others=others)
            findings = self._file.read(find)
            self.heartbeat()
            if write_slices is not None:
                self._have_written(findings, write_slices, counts)
            for load in staging.loads() if write_slices is None else ():
                decided = partial(decide.decide_and_write, run=self.run, findings=findings, rekey=rekey)
                chunk = self._commit(partial(_with_chunk, load=load, write=decided))
                chunk.count(counts, self._file_names[chunk.file_no])
                self.heartbeat()
            self._forget_staging()

        def write(connection: Connection) -> None:
            origins.link_run(connection, self.run)
            runs.start_delivering(connection, self.run)
            if self._is_cut:
                inputs.forget_slices(connection, self.run.run_no)

        check(counts)
        self._commit_at_length(write)

    def _have_written(self, findings: "Findings", write_slices: WriteSlices, counts: StagedCounts) -> None:
        """Have the rows of all slices decided on and written by other processes; count them."""
        from pipeline.ledger.slices.counts import add_counts  # noqa: PLC0415 - see the top
        from pipeline.ledger.slices.gathering import write_findings  # noqa: PLC0415

        self._commit(lambda c: write_findings(c, self.run, self._gathered, findings.duplicates))
        for written in write_slices():
            add_counts(counts, written.counts)

    def cut(self, new: Sequence[NewSlice]) -> None:
        """Write the slices of the run's inputs, for any process to stage. Only a ledger on a server can."""
        self._commit(lambda c: slice_table.write_slices(c, self.run, new, self._fence))
        self._is_cut = True

    def slices(self) -> list[SliceRecord]:
        """Return the slices of the run, in the order of its rows."""
        return self._file.read(lambda c: slice_table.slices_of(c, self.run))

    def free_slices_of_dead(self) -> None:
        """Leave the slices of processes of this machine that have ended to others, before their leases end."""
        dead = self._file.read(lambda c: slice_table.slices_of_dead(c, self.run, self._is_gone))
        if dead:
            self._commit(lambda c: slice_table.release_all(c, self.run, dead))

    def stage_again(self, staged: Sequence[SliceRecord]) -> int:
        """Have slices staged again whose result can't be used; return how many."""
        from pipeline.ledger.slices.gathering import reopen_unusable  # noqa: PLC0415 - see the top

        return self._commit(lambda c: reopen_unusable(c, self.run, staged))

    def gather(self, staged: Sequence[SliceRecord]) -> None:
        """Take the rows of staged slices as the rows of the run, instead of rows given to `stage`."""
        from pipeline.ledger.slices.gathering import BlocksOfTable, Gathering  # noqa: PLC0415 - see the top

        self._forget_staging()
        self._gathered = staged
        gathering = Gathering(self.run, self._file.scratch, BlocksOfTable(self._file, self.run))
        gathering.note(staged, self.heartbeat)
        self._staging = gathering.staging

    def _forget_staging(self) -> None:
        if self._staging is not None:
            self._staging.close()
            self._staging = self._local = None

    def reopen(self) -> None:
        """Make dues due again that the run left unsent, blocked or unfinished."""
        self._commit_in_ranges("dues", dues.LEFT_OPEN, partial(dues.reopen_dues, run=self.run))

    def follow_new_keys(self, retarget: Retarget) -> None:
        """Put the last key of their payment into refunds that are still to be sent."""
        self._commit_at_length(lambda c: refunds.follow_new_keys(c, self.run, retarget))

    def copy_from(self, parent: RunRecord, selection: rerunning.Selection, rewrites: rerunning.Rewrites) -> int:
        """Copy open rows of another run as dues of this one, and begin to deliver; return how many rows."""
        self.unstage()
        self._commit(lambda c: rerunning.copy_inputs(c, parent, self.run))
        count = 0
        chosen = chosen_rows(self._file, parent, selection, self.heartbeat)
        while rows := list(islice(chosen, self._sizes.copied_rows)):
            copy = partial(rerunning.copy_rows, parent=parent, run=self.run, rows=rows, rekey=rewrites.rekey)
            self._commit_at_length(partial(copy, first=count + 1))
            count += len(rows)

        def write(connection: Connection) -> None:
            rerunning.complete(connection, self.run, rewrites.retarget)
            runs.start_delivering(connection, self.run)

        self._commit_at_length(write)
        return count

    def lanes(self, order: LaneOrder = LaneOrder.SOURCE, rows: int | None = None) -> Iterator[Iterable[Due]]:
        """
        Yield the open dues, lane by lane; within a lane in source order, states by the time of change.

        `rows` limits them to the first rows that have open dues.
        """
        return queue.lanes(self._file.read, self.run, order, rows, self._sizes, folder=self._file.scratch)

    def offer(self, order: LaneOrder, rows: int | None, counts: Mapping[str, int], max_failures: float | None) -> None:
        """
        Write the open dues into partitions, for senders to take; `order` and `rows` are as in `lanes`.

        `counts` are rows of this execution that have ended before; more than `max_failures` failed ones end the run.
        """

        def begin(connection: Connection) -> None:
            partitions.delete_all(connection, self.run)
            shared_state.begin(connection, self.run, counts, max_failures)

        self._commit(begin)
        found = queue.order_of(self._file.read, self.run, order, rows, folder=self._file.scratch)
        pieces, first = partitions.cut(found), 0
        while several := list(islice(pieces, _PARTITIONS_AT_ONCE)):
            self._commit_at_length(partial(partitions.add, run=self.run, first=first, several=several))
            first += len(several)

    def look(self, share: Share) -> PartitionsLeft:
        """Free the partitions of senders that have ended, exchange news, and return what is left."""
        news = share.news({})

        def write(connection: Connection) -> tuple[PartitionsLeft, SharedState | None]:
            self._count_senders(connection)
            state = shared_state.add(connection, self.run, news, self._lease.seconds)
            return partitions.left(connection, self.run), state

        left, state = self._commit(write)
        share.learn(state)
        return left

    def exchange(self, news: SenderNews) -> SharedState | None:
        """Add news to the state that all senders share; return the state, None if there is none."""
        return self._commit(partial(shared_state.add, run=self.run, news=news, seconds=self._lease.seconds))

    def end_senders(self, ending: RunEnding) -> None:
        """Make all senders of the run leave, and wait until they have, or until the leases of dead ones have ended."""
        if not self._file.has_senders:
            return
        self.exchange(SenderNews(ending=ending))
        polls = 0
        while count := self._commit(self._count_senders):
            polls += 1
            if polls == _POLLS_BEFORE_LOG:
                _log.info(
                    t("waiting until other processes ({count}) have left the run, for up to {seconds:.0f} s",
                      count=count, seconds=self._lease.seconds),
                    extra={"event": "senders_end"},
                )  # fmt: skip
            self._clock.pause(_POLL_SECONDS)
            self.heartbeat()

    def _count_senders(self, connection: Connection) -> int:
        now = self._file.now(connection)
        self._lease.renew(connection, now)
        return end_dead_senders(connection, self.run.run_no, now, self._is_gone)

    def dues_in_doubt(self) -> Iterator[NamedDue]:
        """Yield the dues of the run that may have been applied, lane by lane. None was settled by another run."""
        return questions.dues_in_doubt(self._file.read, self.run)

    def refused_dues(self, codes: Sequence[str]) -> Iterator[NamedDue]:
        """Yield the dues of the run that were refused with one of these codes, lane by lane."""
        return questions.refused_dues(self._file.read, self.run, codes)

    def confirmed_report(self) -> bytes | None:
        """Return the body of the account's newest confirmed report to Zhima Go; None if none is known."""
        return self._file.read(lambda c: questions.confirmed_report(c, self.run))

    def note(self, due: Due, message: str) -> None:
        """Replace the message of a due that ended."""
        self._commit(lambda c: questions.note(c, due.due_no, message))

    def on_look(self, call: Callable[[], None] | None) -> None:
        """
        Set a function that is called at each heartbeat, and about once a second while a thread waits for the write
        lock; None: none.
        """
        self._file.on_look = call

    def conclude(
        self,
        *,
        state: RunState,
        reason: str | None,
        finished_at: str,
        open_as: tuple[str, str],
        progress: dict[str, float],
        waits: Sequence[Mapping[str, Any]] = (),
    ) -> RunRecord:
        """
        End the run. Rows that it did not reach get the code and message `open_as`.

        A run that ends while staging keeps no dues: a resume stages it again. `progress` is added to the run's
        totals: throttled, elapsed_s, sending_s. `waits` are the waits of this execution.
        """
        self._entries.flush()
        for load in self._staging.loads() if self._staging is not None else ():
            from pipeline.ledger.staging import decide  # noqa: PLC0415 - see the top

            unsent = partial(decide.write_unsent, run=self.run, open_as=open_as)
            self._commit_at_length(partial(_with_chunk, load=load, write=unsent))
        self._commit_in_ranges("dues", dues.NOT_REACHED, partial(dues.close_dues, run=self.run, open_as=open_as))
        if self._file.read(lambda c: runs.find(c, self.run.run_id)).phase is Phase.STAGING:
            self._commit_in_ranges("dues", "TRUE", partial(dues.move_ends_to_rows, run=self.run))

        if self._is_cut:
            self._commit(lambda c: inputs.forget_slices(c, self.run.run_no))
        if self._file.has_senders and self._commit(self._end_sharing):
            # Others sent too, and their marks may be on other hosts.
            current = self._file.read(generations.current)
            self._file.marks.note(Mark(current.name, current.sequence))
        conclude = partial(runs.conclude, run=self.run, state=state, reason=reason, finished_at=finished_at)
        return self._commit_at_length(partial(conclude, progress=progress, waits=waits))

    def _end_sharing(self, connection: Connection) -> bool:
        """Delete what senders share; return whether any request was sent."""
        state = shared_state.read(connection, self.run, self._lease.seconds)
        partitions.delete_all(connection, self.run)
        shared_state.end(connection, self.run)
        end_all_senders(connection, self.run.run_no)
        return state is not None and state.counts["attempts"] > 0

    def wanted_rows(self) -> int:
        """Return how many rows were read, without those that the job's filter left out."""
        files = self._file.read(lambda c: inputs.inputs_of(c, self.run))
        return sum(file.rows for file in files) - self.filtered_rows()

    def filtered_rows(self) -> int:
        """Return how many of the rows the job's filter left out."""
        return self._file.read(lambda c: skipped_rows.skipped_rows_with(c, self.run, "filtered"))

    def count_unreached(self) -> int:
        """Return how many dues the run did not reach yet."""
        return self._file.read(lambda c: dues.count_unreached(c, self.run))

    def has_open_dues(self) -> bool:
        """Return whether the run has dues that it did not reach or did not finish."""
        self._entries.flush()
        return self._commit(lambda c: dues.has_open_dues(c, self.run))

    def finish(self, exit_code: int) -> None:
        """Write the exit code: the last write of a run."""
        self._commit(lambda c: runs.finish(c, self.run, exit_code))

    def release(self) -> None:
        """Return the lease of the job."""
        self._forget_staging()
        self._commit(self._lease.release)

    def leave(self) -> None:
        """Return the lease if the ledger allows it: an error is being raised that says more than this one would."""
        # A lease of a dead process does not block the job.
        with suppress(LedgerError):
            self.release()
