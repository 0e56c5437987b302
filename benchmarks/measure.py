"""What a command costs, as the system accounts for it once it has ended, and how far several measurements spread."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

CHECKOUT = Path(__file__).parents[1]


class Unavailable(Exception):
    """Something can't be measured here; the message says why, in the words of the table."""

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        self.exit_code = exit_code
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Cost:
    """
    What one process took, with the children it waited for.

    `peak_mib` is the memory of the largest of them. It can't be less than what the process that started it holds,
    since the system counts from the fork: whoever measures imports little.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float
    stdout: str = field(default="", repr=False)


def cost_of(command: Sequence[str], *, folder: Path, accept: Collection[int] = (0,)) -> Cost:
    """Run a command in a folder, to its end; raise Unavailable when it fails, and pass on what it said then."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        with subprocess.Popen(
            command, cwd=folder, env=environ(), stdin=subprocess.DEVNULL, stdout=out, stderr=err
        ) as process:
            # Not Popen's own wait: the system's account of a process is given to whoever waits for it, once.
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
        if process.returncode not in accept:
            # To whoever is looking on, not into the message: it may name folders, and the message ends in a page.
            sys.stderr.write(_text(err))
            raise Unavailable(f"failed with exit code {process.returncode}", process.returncode)
        return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, _text(out))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def environ() -> dict[str, str]:
    """Return the environment in which a Python finds this checkout from any folder."""
    path = os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


def python(*words: str) -> list[str]:
    """Return the command that runs this Python with these words."""
    return [sys.executable, *words]


@dataclass(frozen=True, slots=True)
class Pace:
    """What one row more costs; and the memory of the whole, and of a tenth of it."""

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float
    peak_mib_of_a_tenth: float

    @property
    def per_second(self) -> float:
        """How many rows a second of wall time has room for."""
        return 1 / self.wall_seconds

    def shared_by(self, count: int) -> "Pace":
        """Return what one of so many costs, where this is what they cost together."""
        return replace(self, wall_seconds=self.wall_seconds / count, cpu_seconds=self.cpu_seconds / count)


def pace_of(act: Callable[[int], Cost], rows: int) -> Pace:
    """
    Return what one row more costs: `act` is done for a tenth of the rows, and for all.

    So neither the start of Python nor what is done once for a run is in the figure.
    """
    few = rows // 10
    small, large = act(few), act(rows)
    more = rows - few
    wall, cpu = large.wall_seconds - small.wall_seconds, large.cpu_seconds - small.cpu_seconds
    if wall <= 0 or cpu <= 0:
        raise Unavailable("too few rows to be told from the start")
    return Pace(wall / more, cpu / more, large.peak_mib, small.peak_mib)


@dataclass(frozen=True, slots=True)
class Spread:
    """The least, the middle and the greatest of several measurements."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of one value or more."""
        return cls(min(values), statistics.median(values), max(values))

    def __str__(self) -> str:
        if self.low == self.high:
            return number(self.middle)
        return f"{number(self.middle)} ({number(self.low)} to {number(self.high)})"


def number(value: float) -> str:
    """Return a figure with as many digits as it deserves."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values: Sequence[float]) -> str:
    """Return the middle of several measurements, and in brackets the least and the greatest."""
    return str(Spread.of(values))


def ratios(values: Sequence[float], to: Sequence[float]) -> list[float]:
    """Return measurement by measurement how many times the other one each is: the pairs were made side by side."""
    return [one / other for one, other in zip(values, to, strict=True)]
