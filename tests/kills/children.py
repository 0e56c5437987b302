"""The command in forked processes: fast to start, and with a fault if wanted."""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Protocol

from pipeline.assemble.parts.system import System
from pipeline.cli.main import main
from tests.changed_system import changed_by

_FORKS = multiprocessing.get_context("forkserver")
# Imported once, before the fork: also what a run imports late. Arrow imports pandas.
_FORKS.set_forkserver_preload([
    "pipeline.cli.run", "pipeline.cli.past_runs.history", "pipeline.report.charts",
    "pipeline.write.transport.requests_transport", "jinja2", "pandas", "structlog", "ulid", "xlsxwriter", __name__,
])  # fmt: skip
_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Exit code and output of a command. The exit code is negative after a signal."""

    exit_code: int
    stdout: str
    stderr: str


class ProcessFault(Protocol):
    """A fault of a process. It can be pickled."""

    def apply(self, system: System) -> System:
        """Return the system with this fault. Called in the process of the command."""
        ...


@dataclass(frozen=True, slots=True)
class NoFault:
    """No fault."""

    def apply(self, system: System) -> System:
        """Change nothing."""
        return system


@dataclass(frozen=True, slots=True)
class Child:
    """A command that runs in a forked process."""

    process: ForkServerProcess
    folder: Path

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid or 0

    def end(self) -> CommandResult:
        """Wait for the end; fail if it takes too long."""
        self.process.join(_TIMEOUT_SECONDS)
        assert self.process.exitcode is not None, "the command hangs"
        said = [(self.folder / f"child-{self.pid}.{name}") for name in ("out", "err")]
        return CommandResult(self.process.exitcode, *(path.read_text(encoding="utf-8") for path in said))

    def kill(self) -> None:
        """Kill it, also if it is stopped."""
        self.process.kill()
        self.process.join()


def start_child(folder: Path, words: Sequence[str], fault: ProcessFault) -> Child:
    """Start the command in a folder, with a fault."""
    process = _FORKS.Process(target=_run_child, args=(folder, tuple(words), fault))
    process.start()
    return Child(process, folder)


def _run_child(folder: Path, words: Sequence[str], fault: ProcessFault) -> None:
    os.chdir(folder)
    os.environ.pop("BACKFILL_CONFIG", None)
    for stream, name in ((sys.stdout, "out"), (sys.stderr, "err")):
        file = os.open(f"child-{os.getpid()}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, stream.fileno())
        os.close(file)
    sys.exit(main(words, changed_by(fault.apply)))
