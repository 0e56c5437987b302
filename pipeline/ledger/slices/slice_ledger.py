"""`SliceLedger`: the ledger as the process uses it that stages a slice."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pipeline.clock import Clock
from pipeline.errors import LedgerError
from pipeline.language import t
from pipeline.ledger.database import Database
from pipeline.ledger.history.inputs import inputs_of
from pipeline.ledger.history.origins import Origin, find_origins
from pipeline.ledger.records import Rekey, RunRecord, StagedCounts, position
from pipeline.ledger.slices import table
from pipeline.ledger.slices.blocks import BlockStager, findings_of, load_chunk
from pipeline.ledger.slices.counts import counts_as_json
from pipeline.ledger.slices.table import SlicePlace, TakenSlice
from pipeline.ledger.staging.decide import decide_and_write
from pipeline.ledger.staging.refunds import Retarget
from pipeline.ledger.staging.staging import Findings
from pipeline.ledger.store.loss_detection import generations
from pipeline.ledger.store.port import Connection
from pipeline.tables.mapped_chunk import MappedChunk

T = TypeVar("T")

# Age of the last renewal at which the lease is renewed, as a share of its length.
_RENEW_AT = 1 / 6


class SliceLedger:
    """
    A slice that this process has, until it is finished or left.

    Its rows are staged in order, each chunk as a block of the table `blocks`. Nothing of that counts before `finish`.
    LedgerError is raised once another process has taken the slice, or the driver has given the run up.
    """

    def __init__(
        self, file: Database, clock: Clock, run: RunRecord, taken: TakenSlice, retarget: Retarget, *, seconds: float
    ) -> None:
        self.run = run
        self.taken = taken
        self.salt = file.read(generations.current).salt
        self._file = file
        self._clock = clock
        self._seconds = seconds
        self._stager = BlockStager(run, taken.file_no, retarget, unfixed=taken.cut.get("unfixed", ()))
        self._renewed_at = clock.steady()

    @property
    def cut(self) -> Mapping[str, Any]:
        """How the slice is read."""
        return self.taken.cut

    def origins(self, marks: Iterable[str]) -> dict[str, Origin]:
        """Return the origin that each mark of a fixed row names."""
        return self._file.read(lambda c: find_origins(c, self.run, marks))

    def stage(self, mapped: MappedChunk) -> None:
        """Stage the next rows of the slice."""
        prepared = self._file.read(lambda c: self._stager.prepare(c, mapped))
        block_no, block = self._stager.blocks, self._stager.block(prepared, mapped)
        data = block.notes, block.chunk
        self._write(lambda c: table.write_block(c, self.run, self.taken, block_no, block.rows, data))
        self.heartbeat()

    def heartbeat(self) -> None:
        """Keep the slice; called after each chunk."""
        now = self._clock.steady()
        if now - self._renewed_at >= self._seconds * _RENEW_AT:
            if not self._write(lambda c: table.renew(c, self.run, self.taken, self._seconds)):
                raise self._taken_over()
            self._renewed_at = now

    def finish(self, encoding: str | None, sha256: str) -> None:
        """
        End the slice: from now on its blocks count.

        `encoding` is that of its text, if it is text. `sha256` is that of the whole file, or empty.
        """
        result = self._stager.result(encoding, sha256)
        if not self._write(lambda c: table.finish(c, self.run, self.taken, result)):
            raise self._taken_over()

    def write_rows(self, place: SlicePlace, rekey: Rekey, tick: Callable[[], None]) -> None:
        """
        Decide on the rows of the slice, with what was found among all rows of the run, and write them.

        All are written in one transaction, which locks the slice. `tick` is called after each chunk, and may raise.
        """
        findings = Findings(findings_of(self.taken.findings, place.rows + 1))
        names = {source.file_no: source.name for source in self._file.read(lambda c: inputs_of(c, self.run))}
        # Numbers of dues are in the order of rows, also where slices are written in another one.
        first_due_no, counts = position(self.run.run_no, place.dues + 1), StagedCounts()

        def write(connection: Connection) -> None:
            nonlocal first_due_no
            if not table.renew(connection, self.run, self.taken, self._seconds):
                raise self._taken_over()
            for block_no in range(place.blocks):
                chunk = load_chunk(self._file.reader, self.run, place, block_no)
                parts = len(chunk.parts)
                decide_and_write(connection, self.run, chunk, findings, rekey, first_due_no)
                first_due_no += parts
                chunk.count(counts, names[chunk.file_no])
                tick()
            table.end(connection, self.run, self.taken, counts_as_json(counts))

        with self._file.clear_errors():
            self._file.write_beside_others(write)

    def leave(self) -> None:
        """Leave the slice to others."""
        self._write(lambda c: table.release(c, self.run, self.taken))

    def _write(self, write: Callable[[Connection], T]) -> T:
        with self._file.clear_errors():
            return write(self._file.writer)

    def _taken_over(self) -> LedgerError:
        return LedgerError(
            t(
                "slice {slice_no} of run {run_id} was taken over by another process while this one was held up",
                slice_no=self.taken.slice_no,
                run_id=self.run.run_id,
            )
        )
