"""The blocks of all slices of a run, as its chunks: numbered through, in the order of the inputs."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol

from pipeline.ledger.database import Database
from pipeline.ledger.records import RunRecord
from pipeline.ledger.slices import table
from pipeline.ledger.slices.blocks import findings_as_bytes, load_chunk, notes_of
from pipeline.ledger.slices.table import SlicePlace, SliceRecord
from pipeline.ledger.staging.duplicates.find import Duplicates
from pipeline.ledger.staging.staged_chunk import StagedChunk
from pipeline.ledger.staging.staging import Staging
from pipeline.ledger.store.port import Connection


def places_of(slices: Sequence[SliceRecord]) -> Iterator[tuple[SliceRecord, SlicePlace]]:
    """Yield staged slices with their places in the run."""
    rows = rows_of_file = file_no = dues = 0
    for each in slices:
        if each.file_no != file_no:
            file_no, rows_of_file = each.file_no, 0
        yield each, SlicePlace(each.slice_no, each.fence, each.blocks, rows, rows_of_file, dues)
        rows += each.rows
        rows_of_file += each.rows
        dues += each.parts


class Blocks(Protocol):
    """The blocks of staged slices."""

    def notes(self, place: SlicePlace, block_no: int) -> tuple[int, bytes | memoryview]:
        """Return the number of rows of a block, and its notes."""
        ...

    def chunk(self, place: SlicePlace, block_no: int) -> StagedChunk:
        """Return the chunk of a block, with its rows numbered as in the run and in the file, each time anew."""
        ...


class BlocksOfTable:
    """The blocks of a run in the ledger."""

    def __init__(self, file: Database, run: RunRecord) -> None:
        self._file = file
        self._run = run

    def notes(self, place: SlicePlace, block_no: int) -> tuple[int, bytes]:
        """Return the number of rows of a block, and its notes."""
        return self._file.read(partial(table.read_notes, run=self._run, staged=place, block_no=block_no))

    def chunk(self, place: SlicePlace, block_no: int) -> StagedChunk:
        """Return the chunk of a block."""
        # A query may be under way on the same connection that looks at each chunk.
        return load_chunk(self._file.reader, self._run, place, block_no)


class StoredChunks:
    """The waiting chunks of staged slices; see `WaitingChunks`. They are read one at a time."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self.slices: Sequence[SliceRecord] = ()

    def loads(self) -> Iterator[Callable[[], StagedChunk]]:
        """Yield, for each chunk, a function that returns it as it was staged, each time anew."""
        for each, place in places_of(self.slices):
            yield from (partial(self._blocks.chunk, place, block_no) for block_no in range(each.blocks))

    def close(self) -> None:
        """Do nothing: the blocks are deleted with their slices."""


def with_fixes_before(slices: Iterable[SliceRecord]) -> Iterator[tuple[SliceRecord, frozenset[int]]]:
    """
    Yield staged slices, each with the fixed rows that rows of earlier slices were found to be, by position.

    A slice in which one of these was found again has to be staged again: the earlier row has it.
    """
    unfixed = frozenset[int]()
    for each in slices:
        yield each, unfixed
        unfixed |= each.unfixed


def reopen_unusable(connection: Connection, run: RunRecord, slices: Sequence[SliceRecord]) -> int:
    """
    Have slices staged again of which blocks are lost, or where a row was found to be a fixed row as in an earlier one.

    Returns how many.
    """
    again = 0
    for each, unfixed in with_fixes_before(slices):
        if unfixed & each.unfixed or not table.has_all_blocks(connection, run, each):
            table.reopen(connection, run, each, unfixed)
            again += 1
    return again


class Gathering:
    """
    Gathers staged slices as the rows of a run, `staging`.

    They are noted in the order of the inputs, also while later ones are still being staged.
    """

    def __init__(self, run: RunRecord, folder: Path, blocks: Blocks) -> None:
        self._blocks = blocks
        self._chunks = StoredChunks(blocks)
        self.staging = Staging(run, folder, self._chunks)

    def note(self, slices: Sequence[SliceRecord], heartbeat: Callable[[], None] = lambda: None) -> None:
        """
        Note slices that are the first ones of the run; those that were noted before are the first of these.

        `heartbeat` is called now and then.
        """
        for each, place in islice(places_of(slices), len(self._chunks.slices), None):
            for block_no in range(each.blocks):
                rows, data = self._blocks.notes(place, block_no)
                self.staging.note(*notes_of(data), rows, place.rows)
            heartbeat()
        self._chunks.slices = slices


def write_findings(
    connection: Connection, run: RunRecord, slices: Sequence[SliceRecord], duplicates: Duplicates
) -> None:
    """Write what was found among all rows beside each slice, so that any process can decide on its rows."""
    for each, place in places_of(slices):
        part = duplicates.of_rows(place.rows + 1, place.rows + each.rows)
        table.set_findings(connection, run, place, findings_as_bytes(part))
