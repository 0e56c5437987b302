"""The command in forked processes: hundreds of them, and each may be given a fate."""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Protocol

_FORKS = multiprocessing.get_context("forkserver")
# Imported once, before the fork.
_FORKS.set_forkserver_preload(["pipeline.cli.run", "pipeline.cli.history", "ulid", __name__])
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it said; killed by a signal, the exit code is that signal's negative number."""

    exit_code: int
    stdout: str
    stderr: str


class Fate(Protocol):
    """What befalls a command: a value that can be handed to its process."""

    def befall(self) -> None:
        """Prepare the process that this is called in, before the command begins."""
        ...


@dataclass(frozen=True, slots=True)
class Unharmed:
    """Nothing happens."""

    def befall(self) -> None:
        """Leave the process as it is."""


@dataclass(frozen=True, slots=True)
class Child:
    """A command that runs in a forked process."""

    process: ForkServerProcess
    folder: Path

    @property
    def pid(self) -> int:
        """Return the number of the process."""
        return self.process.pid or 0

    def end(self) -> Ended:
        """Wait for the end; fail where it does not come."""
        self.process.join(_PATIENCE_SECONDS)
        assert self.process.exitcode is not None, "the command hangs"
        said = [(self.folder / f"child-{self.pid}.{name}") for name in ("out", "err")]
        return Ended(self.process.exitcode, *(path.read_text(encoding="utf-8") for path in said))

    def kill(self) -> None:
        """End it, also where it was stopped."""
        self.process.kill()
        self.process.join()


def live(folder: Path, words: Sequence[str], fate: Fate) -> Child:
    """Start the command in a folder, under a fate."""
    process = _FORKS.Process(target=_live, args=(folder, tuple(words), fate))
    process.start()
    return Child(process, folder)


def _live(folder: Path, words: Sequence[str], fate: Fate) -> None:
    from pipeline.cli.main import main  # noqa: PLC0415 - only the forked process needs it

    os.chdir(folder)
    os.environ.pop("BACKFILL_CONFIG", None)
    for stream, name in ((sys.stdout, "out"), (sys.stderr, "err")):
        file = os.open(f"child-{os.getpid()}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, stream.fileno())
        os.close(file)
    fate.befall()
    sys.exit(main(words))
