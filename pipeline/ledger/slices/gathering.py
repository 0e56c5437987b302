"""The blocks of all slices of a run, as its chunks: numbered through, in the order of the inputs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.ledger.database import Database
from pipeline.ledger.records import RunRecord
from pipeline.ledger.slices import table
from pipeline.ledger.slices.blocks import chunk_of, notes_of
from pipeline.ledger.slices.table import SliceRecord
from pipeline.ledger.staging.staged_chunk import StagedChunk
from pipeline.ledger.staging.staging import Staging
from pipeline.ledger.store.port import Connection


@dataclass(frozen=True, slots=True)
class _Place:
    """A slice, with the rows of the run before it, and those of its file."""

    slice: SliceRecord
    rows_before: int
    rows_of_file: int


def _in_order(slices: Sequence[SliceRecord]) -> Iterator[_Place]:
    rows = rows_of_file = file_no = 0
    for each in slices:
        if each.file_no != file_no:
            file_no, rows_of_file = each.file_no, 0
        yield _Place(each, rows, rows_of_file)
        rows += each.rows
        rows_of_file += each.rows


class StoredChunks:
    """The waiting chunks of staged slices; see `WaitingChunks`. They are read from the ledger one at a time."""

    def __init__(self, file: Database, run: RunRecord, slices: Sequence[SliceRecord]) -> None:
        self._file = file
        self._run = run
        self._slices = slices

    def loads(self) -> Iterator[Callable[[], StagedChunk]]:
        """Yield, for each chunk, a function that returns it as it was staged, each time anew."""
        for place in _in_order(self._slices):
            yield from (partial(self._load, place, block_no) for block_no in range(place.slice.blocks))

    def _load(self, place: _Place, block_no: int) -> StagedChunk:
        # A query may be under way on the same connection that looks at each chunk.
        data = table.read_chunk(self._file.reader, self._run, place.slice, block_no)
        return chunk_of(data, self._run.run_no, moved=place.rows_before, source=place.rows_of_file)

    def close(self) -> None:
        """Do nothing: the blocks are deleted with their slices."""


def reopen_unusable(connection: Connection, run: RunRecord, slices: Sequence[SliceRecord]) -> int:
    """
    Have slices staged again of which blocks are lost, or where a row was found to be a fixed row as in an earlier one.

    Returns how many.
    """
    unfixed, again = frozenset[int](), 0
    for each in slices:
        if unfixed & each.unfixed or not table.has_all_blocks(connection, run, each):
            table.reopen(connection, run, each, unfixed)
            again += 1
        unfixed |= each.unfixed
    return again


def gather(
    file: Database, run: RunRecord, folder: Path, slices: Sequence[SliceRecord], heartbeat: Callable[[], None]
) -> Staging:
    """Return the staging of a run from its staged slices. `heartbeat` is called now and then."""
    staging = Staging(run, folder, StoredChunks(file, run, slices))
    for place in _in_order(slices):
        for block_no in range(place.slice.blocks):
            read = partial(table.read_notes, run=run, staged=place.slice, block_no=block_no)
            rows, data = file.read(read)
            staging.note(*notes_of(data), rows, place.rows_before)
        heartbeat()
    return staging
