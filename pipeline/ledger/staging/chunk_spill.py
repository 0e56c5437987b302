"""Chunks that wait for the decision, in memory or in a spill file, so that memory stays bounded."""

import pickle
from collections.abc import Iterator
from pathlib import Path

from pipeline.ledger.staging.staged_chunk import StagedChunk
from pipeline.ledger.store.spill_file import SpillFile

# Bytes of chunks that are kept in memory.
_MEMORY_BYTES = 8 << 20


class ChunkSpill:
    """
    Staged chunks, in order.

    They need not outlive a crash: a run that died while staging is staged again.
    """

    def __init__(self, folder: Path) -> None:
        self._file = SpillFile(folder, _MEMORY_BYTES)
        self._sizes: list[int] = []

    def add(self, chunk: StagedChunk) -> None:
        """Add a chunk."""
        data = pickle.dumps(chunk, protocol=pickle.HIGHEST_PROTOCOL)
        self._file.add(data)
        self._sizes.append(len(data))

    def __iter__(self) -> Iterator[StagedChunk]:
        start = 0
        for size in self._sizes:
            data = self._file.read_at(start, size)
            chunk: StagedChunk = pickle.loads(data)  # noqa: S301 - written by this very process, nobody else can
            start += size
            yield chunk

    def close(self) -> None:
        """Delete the chunks."""
        self._file.close()
