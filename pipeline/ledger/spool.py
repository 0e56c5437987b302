"""Where leaves lie between being read and being decided: in a file without a name, so that memory stays flat."""

import pickle
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

from pipeline.ledger.leaf import Leaf

_HELD_BYTES = 8 << 20


class Spool:
    """
    Leaves, kept in order; small ones in memory, more of them in a file that goes when the process does.

    Nothing here has to outlive a crash: a run that died while it was staged is staged anew.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_HELD_BYTES, dir=str(folder))  # noqa: SIM115 - see below
        # Whoever gives up a run does not say so: the file goes with its holder.
        weakref.finalize(self, self._file.close)
        self._leaves = 0

    def add(self, leaf: Leaf) -> None:
        """Keep a leaf."""
        pickle.dump(leaf, self._file, protocol=pickle.HIGHEST_PROTOCOL)
        self._leaves += 1

    def __iter__(self) -> Iterator[Leaf]:
        self._file.seek(0)
        for _ in range(self._leaves):
            leaf: Leaf = pickle.load(self._file)  # noqa: S301 - written by this very process, where nobody else can
            yield leaf

    def close(self) -> None:
        """Forget the leaves."""
        self._file.close()
