"""Where leaves lie between being read and being decided on, so that memory stays flat."""

import pickle
from collections.abc import Iterator
from pathlib import Path

from pipeline.ledger.staging.staged_chunk import StagedChunk
from pipeline.ledger.store.spill_file import SpillFile

_HELD_BYTES = 8 << 20


class ChunkSpill:
    """
    Leaves, kept in order.

    Nothing here has to outlive a crash: a run that died while it was staged is staged anew.
    """

    def __init__(self, folder: Path) -> None:
        self._file = SpillFile(folder, _HELD_BYTES)
        self._sizes: list[int] = []

    def add(self, chunk: StagedChunk) -> None:
        """Keep a leaf."""
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
        """Forget the leaves."""
        self._file.close()
