"""The ledger in the hands of one run."""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pipeline.clock import Clock
from pipeline.errors import LedgerError
from pipeline.ledger.delivering import deliveries, queue
from pipeline.ledger.delivering.deliveries import Entry
from pipeline.ledger.history import inputs, left, origins, outcomes, runs, skipped_rows
from pipeline.ledger.history.origins import Origin
from pipeline.ledger.records import Decided, Due, InputRecord, Phase, RunRecord, RunState, Settlement, let_pass
from pipeline.ledger.rules.admission import Admission, Go
from pipeline.ledger.staging import refunds
from pipeline.ledger.staging import rerun as rerunning
from pipeline.ledger.staging.refunds import Retarget
from pipeline.ledger.staging.slices import last_row_of_slice
from pipeline.ledger.store import generations, lease
from pipeline.ledger.store.database import with_clear_errors
from pipeline.ledger.store.group_commit import GroupCommit
from pipeline.ledger.store.in_place import Guard
from pipeline.ledger.store.lease import IsDead, IsGone, Lease
from pipeline.ledger.store.log_size import LogSize
from pipeline.ledger.store.marks import Mark, Marks
from pipeline.ledger.store.transactions import Transactions
from pipeline.ledger.store.write_lock import WriteLock
from pipeline.model import LaneOrder, Wait
from pipeline.tables.outcome_page import Outcome

# numpy and Arrow take a tenth of a second to import, and only a run's first act needs them.
if TYPE_CHECKING:
    from pipeline.ledger.staging.staging import Staging
    from pipeline.tables.mapped_chunk import MappedChunk

T = TypeVar("T")

# The lease is renewed long before it ends.
_RENEW_SECONDS = lease.LEASE_SECONDS / 6
# A rerun copies so many rows at once, with all of their parts.
_COPIED_AT_ONCE = 5_000
# A run that has not renewed it for so long was held up, and looks before it sends.
_DOUBT_SECONDS = lease.LEASE_SECONDS / 2


@dataclass(frozen=True, slots=True)
class OpenFile:
    """
    A ledger's file: connections that write and that read, marks outside of it, and whether it is in its place.

    `lock` is the file's write lock, `log` the size of its write-ahead log.
    """

    path: Path
    writer: sqlite3.Connection
    reader: sqlite3.Connection
    reading: threading.Lock
    marks: Marks
    guard: Guard
    lock: WriteLock
    log: LogSize

    def read(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """Return what a question to the file is answered."""
        with self.reading, with_clear_errors(self.path):
            return ask(self.reader)

    def outcomes(self, run: RunRecord) -> Iterator[Outcome]:
        """Yield the outcome of each row of a run, in source order."""
        with with_clear_errors(self.path):
            yield from outcomes.outcomes(self.reader, run)

    def chosen(
        self, parent: RunRecord, selection: rerunning.Selection, tick: Callable[[], None] = lambda: None
    ) -> Iterator[rerunning.Chosen]:
        """Yield the rows of a run that a rerun takes; `tick` is called on the way."""
        with with_clear_errors(self.path):
            done = left.DoneRows(self.reader, parent, tick) if left.has_family(self.reader, parent) else None
            ended = outcomes.outcomes(self.reader, parent)
            yield from rerunning.chosen(ended, selection, done.holds if done else lambda _row_no: False)

    def close(self) -> None:
        """Let go of the file."""
        self.reader.close()
        self.writer.close()
        self.marks.close()


class RunLedger:
    """
    The ledger in the hands of one run that holds its job.

    Thread-safe. Every transaction first makes sure that no other run has taken the job.
    """

    def __init__(self, file: OpenFile, clock: Clock, run: RunRecord, held: Lease, is_dead: IsDead) -> None:
        self.run = run
        self._is_gone: IsGone = lambda owner: is_dead(owner, held.owner)
        self._file = file
        self._lease = held
        self._clock = clock
        self._transactions = Transactions(file.writer, lambda c: lease.check(c, held), file.lock)
        self._entries = GroupCommit(self._record, self._on_look)
        self._renewed_at = self._clock.steady()
        self._staging: Staging | None = None
        self._file_names: dict[int, str] = {}
        # The run holds its job: nobody begins another one meanwhile.
        self._generation = file.read(generations.current)

    @property
    def salt(self) -> str:
        """Return what keys made from rows are made of besides; see `Generation`."""
        return self._generation.salt

    def _commit(self, write: Callable[[sqlite3.Connection], T]) -> T:
        with with_clear_errors(self._file.path):
            result = self._transactions.run(write)
        # A commit to a file that is not in its place does not count.
        self._file.guard.check(self.run.run_id)
        return result

    def _commit_at_length(self, write: Callable[[sqlite3.Connection], T]) -> T:
        """Commit what may take longer than the lease. Nobody can take the job meanwhile, and nobody may afterwards."""

        def write_and_renew(connection: sqlite3.Connection) -> T:
            result = write(connection)
            lease.renew(connection, self._lease, self._clock.now())
            return result

        return self._commit(write_and_renew)

    def _commit_in_slices(self, table: str, which: str, write: Callable[..., None]) -> None:
        """
        Commit what concerns all lines of a table that `which` is true of, so many at once that others can write too.

        `write` is told `first` and `last`, the rows that a slice is from and to. After a crash some slices are
        written: it is for what may then be done once more.
        """
        first = 0
        while True:
            last = self._file.read(partial(last_row_of_slice, run=self.run, table=table, which=which, first=first))
            if last is None:
                return
            self._commit_at_length(partial(write, first=first, last=last))
            first = last + 1

    def reports_to(self, folder: Path) -> None:
        """Note where the report will lie."""
        self._file.marks.report = folder.absolute()

    def add_input(self, source: InputRecord) -> None:
        """Write an input file, when it is opened and again when it was read to its end."""
        self._file_names[source.file_no] = source.name
        self._commit(lambda c: inputs.add_input(c, self.run, source))

    def unstage(self) -> None:
        """Forget what was staged: the run is to be staged anew."""
        self._forget_staging()
        for table in ("dues", "rows", "origins"):
            self._commit_in_slices(table, "TRUE", partial(inputs.forget_rows, run=self.run, table=table))
        self._commit_at_length(lambda c: inputs.forget_inputs(c, self.run))

    def origins(self, marks: Iterable[str]) -> dict[str, Origin]:
        """Return the rows that marks stand for; one that names no row to fix is left out."""
        return self._file.read(lambda c: origins.find_origins(c, self.run, marks))

    def stage(self, file_no: int, first_row_no: int, mapped: "MappedChunk", retarget: Retarget) -> int:
        """
        Take in a chunk of rows; return how many of them are invalid.

        What is to become of the others is decided when all are there.
        """
        from pipeline.ledger.staging.staging import Staging  # noqa: PLC0415 - see the top

        if self._staging is None:
            self._staging = Staging(self.run, self._file.path.parent, retarget)
        waiting = self._staging
        return self._file.read(lambda c: waiting.add(c, file_no, first_row_no, mapped))

    def start_delivering(
        self, rekey: Callable[[bytes, str], bytes], check: Callable[[Decided], None] = let_pass
    ) -> None:
        """
        Decide on all that was staged, write what is due, and enter the second act.

        `check` may raise for what was decided: then the run stays in its first act, and is staged anew by a resume.
        """
        waiting, decided = self._staging, Decided()
        if waiting is not None:
            from pipeline.ledger.staging import decide as sifting  # noqa: PLC0415 - see the top

            findings = self._file.read(lambda c: waiting.findings(c, self.keep_up, is_gone=self._is_gone))
            self.keep_up()
            for chunk in waiting:
                self._commit(
                    partial(sifting.decide_and_write, run=self.run, chunk=chunk, findings=findings, rekey=rekey)
                )
                chunk.count(decided, self._file_names[chunk.file_no])
                self.keep_up()
            self._forget_staging()

        def write(connection: sqlite3.Connection) -> None:
            origins.link_run(connection, self.run)
            runs.start_delivering(connection, self.run)

        check(decided)
        self._commit_at_length(write)

    def _forget_staging(self) -> None:
        if self._staging is not None:
            self._staging.close()
            self._staging = None

    def reopen(self) -> None:
        """Make due again what the run left unsent, blocked or unfinished."""
        self._commit_in_slices("dues", runs.LEFT_OPEN, partial(runs.reopen_dues, run=self.run))

    def follow_new_keys(self, retarget: Retarget) -> None:
        """Let the refunds that are still to be sent name the last key of their payment."""
        self._commit_at_length(lambda c: refunds.follow_new_keys(c, self.run, retarget))

    def copy_from(self, parent: RunRecord, selection: rerunning.Selection, rewrites: rerunning.Rewrites) -> int:
        """Make due again what another run left open, and enter the second act; return how many rows that are."""
        self.unstage()
        self._commit(lambda c: rerunning.copy_inputs(c, parent, self.run))
        count = 0
        chosen = self._file.chosen(parent, selection, self.keep_up)
        while rows := list(islice(chosen, _COPIED_AT_ONCE)):
            copy = partial(rerunning.copy_rows, parent=parent, run=self.run, rows=rows, rekey=rewrites.rekey)
            self._commit_at_length(partial(copy, first=count + 1))
            count += len(rows)

        def write(connection: sqlite3.Connection) -> None:
            rerunning.complete(connection, self.run, rewrites.retarget)
            runs.start_delivering(connection, self.run)

        self._commit_at_length(write)
        return count

    def lanes(self, order: LaneOrder = LaneOrder.SOURCE, rows: int | None = None) -> Iterator[Iterable[Due]]:
        """
        Return what is due, lane by lane; within a lane the order is that of the source, or by when a state changed.

        With `rows` it is what is due of so many rows, the first that are left.
        """
        return queue.lanes(self._file.read, self.run, order, rows)

    def intend(self, dues: Sequence[Due]) -> list[Admission]:
        """Put the intents on disk, or say why one may not be sent."""
        return cast("list[Admission]", self._entries.run([(due, None) for due in dues]))

    def settle(self, due: Due, end: Settlement) -> None:
        """Fix an outcome; it is on disk with the next intents of any worker, or the next `keep_up`."""
        self._entries.later((due, end))

    def limit_waiting(self, outcomes: int) -> None:
        """Return when no more outcomes than these wait for their commit: after a crash they are sent again."""
        self._entries.keep_up(outcomes)

    def _record(self, entries: Sequence[Entry]) -> list[Admission | None]:
        def write(connection: sqlite3.Connection) -> tuple[list[Admission | None], Mark | None]:
            admissions = deliveries.record(
                connection,
                self.run,
                entries,
                generation=self._generation,
                is_gone=self._is_gone,
                now=int(self._clock.now().timestamp()),
            )
            is_sending = any(isinstance(admission, Go) for admission in admissions)
            return admissions, generations.count(connection) if is_sending else None

        admissions, mark = self._commit(write)
        if mark is not None:
            # Before a request leaves: an older copy of the ledger is to be known as one.
            self._file.marks.note(mark)
        return admissions

    def on_look(self, call: Callable[[], None] | None) -> None:
        """Have this called about once a second while a thread waits for another process; None: nobody is called."""
        self._file.lock.on_look = call

    def _on_look(self) -> None:
        if self._file.lock.on_look is not None:
            self._file.lock.on_look()

    def waiting(self) -> list[Wait]:
        """Return what writing to the ledger waits for, and whatever else others do to it."""
        return [*self._file.lock.waiting(), *self._file.log.waiting()]

    def keep_up(self) -> None:
        """Put on disk what was settled, and keep the job; called a few times a second."""
        self._file.guard.check(self.run.run_id)
        self._file.log.check(self.run.run_id)
        self._entries.flush()
        self._renew_after(_RENEW_SECONDS)

    def keep_job(self) -> None:
        """Make sure, before each attempt, that job and ledger are still this run's; raise LedgerError else."""
        self._file.guard.check(self.run.run_id)
        self._renew_after(_DOUBT_SECONDS)

    def _renew_after(self, seconds: float) -> None:
        began_at = self._clock.steady()
        if began_at - self._renewed_at >= seconds:
            self._commit(lambda c: lease.renew(c, self._lease, self._clock.now()))
            # Not when it was done: the process may have been held up in between.
            self._renewed_at = began_at

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
        End the run: what it did not come to is settled, with code and message `open_as`.

        A run that ends in its first act has nothing due any more: a resume stages it anew.
        `progress` is what this execution adds: throttled, elapsed_s, sending_s. `waits` is what it waited for.
        """
        self._entries.flush()
        for chunk in self._staging or ():
            from pipeline.ledger.staging import decide as sifting  # noqa: PLC0415 - see the top

            self._commit_at_length(partial(sifting.give_up, run=self.run, chunk=chunk, open_as=open_as))
        code, message = open_as
        close = partial(runs.close_dues, run=self.run, code=code, message=message)
        self._commit_in_slices("dues", runs.NOT_REACHED, close)
        if self._file.read(lambda c: runs.find(c, self.run.run_id)).phase is Phase.STAGING:
            take_back = partial(runs.take_back_dues, run=self.run)
            self._commit_in_slices("dues", "TRUE", take_back)

        def write(connection: sqlite3.Connection) -> RunRecord:
            runs.record_progress(connection, self.run, progress, waits)
            return runs.conclude(connection, self.run, state=state, reason=reason, finished_at=finished_at)

        return self._commit_at_length(write)

    def wanted_rows(self) -> int:
        """Return how many rows the job wants: those read, without those that its filter left out."""
        return sum(source.rows for source in self._file.read(lambda c: runs.inputs(c, self.run))) - self.filtered_rows()

    def filtered_rows(self) -> int:
        """Return how many of the rows the job's filter left out."""
        return self._file.read(lambda c: skipped_rows.skipped_rows_with(c, self.run, "filtered"))

    def has_open_dues(self) -> bool:
        """Return whether there is anything that the run did not come to."""
        self._entries.flush()
        return self._commit(lambda c: runs.has_open_dues(c, self.run))

    def finish(self, exit_code: int) -> None:
        """Write down the exit code; the last thing a run does."""
        self._commit(lambda c: runs.finish(c, self.run, exit_code))

    def release(self) -> None:
        """Give the job back, concluded or not."""
        self._forget_staging()
        self._commit(lambda c: lease.release(c, self._lease))

    def leave(self) -> None:
        """Give the job back as far as the ledger takes it: with an error under way that says more than this would."""
        # A dead holder does not block the job.
        with suppress(LedgerError):
            self.release()
