"""Where leaves lie between being read and being decided on, so that memory stays flat."""

import pickle
from collections.abc import Iterator
from pathlib import Path

from pipeline.ledger.staging.staged_chunk import Leaf
from pipeline.ledger.store.spill_file import Aside

_HELD_BYTES = 8 << 20


class Spool:
    """
    Leaves, kept in order.

    Nothing here has to outlive a crash: a run that died while it was staged is staged anew.
    """

    def __init__(self, folder: Path) -> None:
        self._file = Aside(folder, _HELD_BYTES)
        self._sizes: list[int] = []

    def add(self, leaf: Leaf) -> None:
        """Keep a leaf."""
        data = pickle.dumps(leaf, protocol=pickle.HIGHEST_PROTOCOL)
        self._file.add(data)
        self._sizes.append(len(data))

    def __iter__(self) -> Iterator[Leaf]:
        start = 0
        for size in self._sizes:
            data = self._file.read_at(start, size)
            leaf: Leaf = pickle.loads(data)  # noqa: S301 - written by this very process, nobody else can
            start += size
            yield leaf

    def close(self) -> None:
        """Forget the leaves."""
        self._file.close()
