"""Slices of a plan: staged by processes of one host, with the ledger only read. Their blocks wait in spill files."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.ledger.history.origins import Origin, find_origins
from pipeline.ledger.records import RunRecord
from pipeline.ledger.slices.blocks import BlockStager, StagedBlock, chunk_of
from pipeline.ledger.slices.table import NewSlice, SlicePlace, SliceResult
from pipeline.ledger.staging.refunds import Retarget
from pipeline.ledger.staging.staged_chunk import StagedChunk
from pipeline.ledger.store.port import Connection
from pipeline.ledger.store.spill_file import SharedFile
from pipeline.tables.mapped_chunk import MappedChunk


class DrySlice:
    """
    A slice of a plan, as the process uses it that stages it; see `SliceLedger`. `connection` is only read.

    `take` gets each block of its rows. `salt` is that of the ledger's generation.
    """

    def __init__(
        self,
        connection: Connection,
        run: RunRecord,
        salt: str,
        new: NewSlice,
        retarget: Retarget,
        take: Callable[[StagedBlock], None],
    ) -> None:
        self.run = run
        self.salt = salt
        self.cut: Mapping[str, Any] = new.cut
        self._connection = connection
        self._take = take
        self._stager = BlockStager(
            run, new.file_no, retarget, unfixed=new.cut.get("unfixed", ()), keeps_cells=False, compresses=False
        )

    def origins(self, marks: Iterable[str]) -> dict[str, Origin]:
        """Return the origin that each mark of a fixed row names."""
        return find_origins(self._connection, self.run, marks)

    def stage(self, mapped: MappedChunk) -> None:
        """Stage the next rows of the slice."""
        self._take(self._stager.block(self._stager.prepare(self._connection, mapped), mapped))

    def heartbeat(self) -> None:
        """Do nothing: a slice of a plan has no lease."""

    def result(self, encoding: str | None, sha256: str) -> SliceResult:
        """Return what was found in the slice; the arguments are as in `SliceResult`."""
        return self._stager.result(encoding, sha256)


@dataclass(frozen=True, slots=True)
class BlockPlace:
    """The place of a block in its file, and the sizes of its parts, in bytes; and its number of rows."""

    rows: int
    start: int
    notes: int
    chunk: int


class BlockWriter:
    """Writes blocks into an empty file, one after another. `write` appends bytes to it."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._size = 0

    def add(self, block: StagedBlock) -> BlockPlace:
        """Write a block; return its place."""
        place = BlockPlace(block.rows, self._size, len(block.notes), len(block.chunk))
        self._write(block.notes)
        self._write(block.chunk)
        self._size += place.notes + place.chunk
        return place


class SpilledBlocks:
    """The blocks of a run in temporary files in `folder`, one of each process that stages slices; see `Blocks`."""

    def __init__(self, run: RunRecord, folder: Path) -> None:
        self._run = run
        self._folder = folder
        self._files = list[SharedFile]()
        self._of_slice: dict[int, tuple[SharedFile, Sequence[BlockPlace]]] = {}

    def add_file(self) -> SharedFile:
        """Return a new file, for one process."""
        file = SharedFile(self._folder)
        self._files.append(file)
        return file

    def finish(self, slice_no: int, file: SharedFile, places: Sequence[BlockPlace]) -> None:
        """Take blocks in a file as those of a slice, in place of earlier ones."""
        self._of_slice[slice_no] = file, places

    def notes(self, place: SlicePlace, block_no: int) -> tuple[int, memoryview]:
        """Return the number of rows of a block, and its notes."""
        file, blocks = self._of_slice[place.slice_no]
        block = blocks[block_no]
        return block.rows, file.view(block.start, block.notes)

    def chunk(self, place: SlicePlace, block_no: int) -> StagedChunk:
        """Return the chunk of a block."""
        file, blocks = self._of_slice[place.slice_no]
        block = blocks[block_no]
        data = file.view(block.start + block.notes, block.chunk)
        return chunk_of(data, self._run.run_no, moved=place.rows, source=place.rows_of_file, is_own=True)

    def close(self) -> None:
        """Delete the blocks."""
        for file in self._files:
            file.close()
