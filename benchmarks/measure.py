"""The cost of a command as the system accounts it, and the spread of several measurements."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

CHECKOUT = Path(__file__).parents[1]


class Unavailable(Exception):
    """Something can't be measured here; the message is the reason for the table."""

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        self.exit_code = exit_code
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Cost:
    """
    The cost of a process and its children.

    `peak_mib` is the memory of the largest process. It includes the memory of the starting process, because the system
    counts from the fork; so the measuring process imports little.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float
    stdout: str = field(default="", repr=False)


def cost_of(command: Sequence[str], *, folder: Path, accept: Collection[int] = (0,)) -> Cost:
    """Run a command in a folder to its end. Raises Unavailable if it fails, and prints its stderr then."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        with subprocess.Popen(
            command, cwd=folder, env=environ(), stdin=subprocess.DEVNULL, stdout=out, stderr=err
        ) as process:
            # Not Popen.wait, because only the first wait returns the process's resource usage.
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
        if process.returncode not in accept:
            # On stderr and not in the message, because it may name folders, and the message ends in the page.
            sys.stderr.write(_text(err))
            raise Unavailable(f"failed with exit code {process.returncode}", process.returncode)
        return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, _text(out))


def cost_at_once(commands: Sequence[Callable[[], Cost]]) -> Cost:
    """Run commands at once; return the cost of all of them divided by their number, with what all have printed."""
    began = time.perf_counter()
    with ThreadPoolExecutor(len(commands)) as threads:
        costs = list(threads.map(lambda command: command(), commands))
    wall, cpu = time.perf_counter() - began, sum(cost.cpu_seconds for cost in costs)
    peak, printed = max(cost.peak_mib for cost in costs), "".join(cost.stdout for cost in costs)
    return Cost(wall / len(commands), cpu / len(commands), peak, printed)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def environ() -> dict[str, str]:
    """Return an environment in which Python finds this checkout from any folder."""
    path = os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


def python(*words: str) -> list[str]:
    """Return the command that runs this Python with these arguments."""
    return [sys.executable, *words]


@dataclass(frozen=True, slots=True)
class Pace:
    """The cost of one more row, and the memory for all rows and for a tenth of them."""

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float
    peak_mib_of_a_tenth: float

    @property
    def per_second(self) -> float:
        """Rows per second of wall time."""
        return 1 / self.wall_seconds

    def shared_by(self, count: int) -> "Pace":
        """Return the cost of one of `count` items, if this is the cost of all of them."""
        return replace(self, wall_seconds=self.wall_seconds / count, cpu_seconds=self.cpu_seconds / count)


def pace_of(act: Callable[[int], Cost], rows: int) -> Pace:
    """
    Return the cost of one more row: `act` runs for a tenth of the rows, and for all.

    The difference excludes the start of Python and all work done once per run.
    """
    few = rows // 10
    small, large = act(few), act(rows)
    more = rows - few
    wall, cpu = large.wall_seconds - small.wall_seconds, large.cpu_seconds - small.cpu_seconds
    if wall <= 0 or cpu <= 0:
        raise Unavailable("too few rows to measure")
    return Pace(wall / more, cpu / more, large.peak_mib, small.peak_mib)


@dataclass(frozen=True, slots=True)
class Spread:
    """Least, median and greatest of several measurements."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of at least one value."""
        return cls(min(values), statistics.median(values), max(values))

    def __str__(self) -> str:
        if self.low == self.high:
            return number(self.middle)
        return f"{number(self.middle)} ({number(self.low)} to {number(self.high)})"


def number(value: float) -> str:
    """Return a figure with about 3 digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values: Sequence[float]) -> str:
    """Return the median of several measurements, with the least and the greatest in brackets."""
    return str(Spread.of(values))


def ratios(values: Sequence[float], to: Sequence[float]) -> list[float]:
    """Return each value divided by its pair; pairs were measured one after the other."""
    return [one / other for one, other in zip(values, to, strict=True)]
