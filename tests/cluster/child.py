"""
`python -m tests.cluster.child SECONDS WORD...`: the command with leases of some seconds, also on nodes of a cluster.

A worker also writes its log to `worker-PID.log` beside its config: its node, which passes it on, may die before it.
"""

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TextIO, cast

from pipeline.cli.main import main
from tests.senders.child import command_of


class _Both:
    """Two streams in place of one; the second may have no reader."""

    encoding = "utf-8"

    def __init__(self, first: TextIO, second: TextIO) -> None:
        self._first, self._second = first, second

    def write(self, text: str) -> None:
        self._first.write(text)
        self._first.flush()
        self._second.write(text)

    def flush(self) -> None:
        self._second.flush()

    def isatty(self) -> bool:
        return False


def run_child(seconds: float, words: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    find = partial(command_of, seconds=seconds, module="tests.cluster.child")
    if words[0] != "worker":
        return main(words, find)
    folder = Path(words[words.index("--config") + 1]).parent
    with (folder / f"worker-{os.getpid()}.log").open("w", encoding="utf-8") as file:
        sys.stderr = cast("TextIO", _Both(file, sys.stderr))
        return main(words, find)


if __name__ == "__main__":
    sys.exit(run_child(float(sys.argv[1]), sys.argv[2:]))
