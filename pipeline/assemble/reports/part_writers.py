"""
Processes of this machine that write parts of a report.

One runs `python -m pipeline.assemble.reports.part_writers LEDGER FOLDER RUN FORMAT`. Its standard input has the first
and the last row of each part, as a JSON array a line; it answers each with an empty line. If a part fails, it ends
itself: the driver then writes these rows, and shows the error.
"""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol, Self

import orjson

from pipeline.clock import Clock, SystemClock
from pipeline.engines.garbage import collect_rarely
from pipeline.engines.processes import ProcessGroup
from pipeline.errors import LedgerError, SettingsError
from pipeline.ledger.database import clear_errors_of, open_to_read
from pipeline.ledger.history import runs
from pipeline.ledger.history.inputs import inputs_of
from pipeline.ledger.history.origins import mark_of
from pipeline.ledger.history.outcomes import outcome_pages
from pipeline.ledger.history.skipped_rows import LAST_ROW
from pipeline.ledger.records import Phase, RunRecord
from pipeline.ledger.store.port import Server
from pipeline.report import OutcomeFormat, ReportPart, temporary_folder, write_part
from pipeline.tables.outcome_page import OutcomePage

# A process that writes parts needs no more of a ledger than its outcomes, and starts sooner without.
if TYPE_CHECKING:
    from pipeline.ledger.ledger import Ledger

# The answer of a process that has written a part.
_DONE = b"\n"
# Rows of a part.
_PART_ROWS = 32_768
# With fewer rows for each process, its start would take longer than it saves.
_LEAST_ROWS = 125_000
# Pause between two calls of `tick`. Seconds.
_LOOK_SECONDS = 0.2
# How long a process may work on one part. Seconds.
_PATIENCE_SECONDS = 60.0


class RowRange(NamedTuple):
    """The rows of a part, from the first to the last."""

    first: int = 0
    last: int = LAST_ROW


EVERY_ROW = RowRange()
"""All rows of a run."""


class StartWriters(Protocol):
    """Returns processes that write parts of a run's report into a folder."""

    def __call__(
        self, place: Path | Server, folder: Path, run_id: str, outcome_format: OutcomeFormat | None, count: int, /
    ) -> ProcessGroup:
        """Return `count` processes."""
        ...


def local_writers(
    place: Path | Server, folder: Path, run_id: str, outcome_format: OutcomeFormat | None, count: int
) -> ProcessGroup:
    """Return processes that do what `main` does."""
    ledger = place.url if isinstance(place, Server) else str(place.absolute())
    words = (ledger, str(folder.absolute()), run_id, outcome_format or "")
    command = [sys.executable, "-P", "-m", "pipeline.assemble.reports.part_writers", *words]
    return ProcessGroup(command, count, patience=0, is_read=True)


class SharedOutcomes:
    """
    The outcomes of a run in source order, as pages that this process reads, and parts that others write.

    This process reads ranges from the front, and the others take them from the end. Once they meet, this one takes the
    parts in order; what a process did not write is read here, so that its error is raised here. The others end with
    the context. Iterating calls `tick` between pages, and a few times a second while it waits.

    `start` starts the processes, which do what `main` does. `patience` is how long one may work on a part, in seconds.
    """

    def __init__(
        self,
        ledger: "Ledger",
        run: RunRecord,
        ranges: Sequence[RowRange],
        *,
        folder: Path,
        start: Callable[[], ProcessGroup],
        tick: Callable[[], None],
        clock: Clock,
        patience: float,
    ) -> None:
        self._ledger, self._run, self._ranges = ledger, run, ranges
        self._folder, self._start, self._tick = folder, start, tick
        self._clock, self._patience = clock, patience
        self._free = deque(ranges)
        # Ranges that another process had, and whether it has written the part.
        self._news = SimpleQueue[tuple[RowRange, bool]]()
        self._ended: dict[RowRange, bool] = {}
        self._threads: list[threading.Thread] = []
        self._processes = ExitStack()

    def __enter__(self) -> Self:
        # Without memory for another process this one reads all.
        with suppress(OSError, RuntimeError):
            group = self._processes.enter_context(self._start())
            for pipes in group.pipes():
                self._threads.append(threading.Thread(target=self._lead, args=pipes, daemon=True))
                self._threads[-1].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._free.clear()
        self._end_processes()

    def __iter__(self) -> Iterator[OutcomePage | ReportPart]:
        read = 0
        while (each := self._next(self._free.popleft)) is not None:
            read += 1
            yield from self._pages(each)
        for each in self._ranges[read:]:
            if self._is_written(each):
                part = _part(self._folder, each)
                yield part
                part.remove()
            else:
                yield from self._pages(each)

    def _pages(self, each: RowRange) -> Iterator[OutcomePage]:
        return _pages(self._ledger, self._run, each, self._tick)

    def _is_written(self, each: RowRange) -> bool:
        """Wait for the end of a range that another process has; return whether it has written the part."""
        since = self._clock.steady()
        while each not in self._ended:
            self._tick()
            with suppress(Empty):
                ended, is_written = self._news.get(timeout=_LOOK_SECONDS)
                self._ended[ended] = is_written
                since = self._clock.steady()
            if self._clock.steady() - since > self._patience:
                # It is frozen. Its thread says that nothing was written.
                self._end_processes()
        return self._ended.pop(each)

    def _end_processes(self) -> None:
        self._processes.close()
        for thread in self._threads:
            thread.join()

    def _lead(self, tasks: IO[bytes], answers: IO[bytes]) -> None:
        """Have a process write one part after another, until none is free or it ends."""
        with answers:
            while (each := self._next(self._free.pop)) is not None:
                is_written = _ask(tasks, answers, each)
                self._news.put((each, is_written))
                if not is_written:
                    return

    @staticmethod
    def _next(take: Callable[[], RowRange]) -> RowRange | None:
        with suppress(IndexError):
            return take()
        return None


@dataclass(frozen=True, slots=True)
class ReportProcesses:
    """
    The processes that write a report: at most `count`, this one included, and at least `least_rows` rows for each.

    A part has up to `part_rows` rows. For the others see `SharedOutcomes`.
    """

    count: int = 1
    start: StartWriters = local_writers
    clock: Clock = field(default_factory=SystemClock)
    least_rows: int = _LEAST_ROWS
    part_rows: int = _PART_ROWS
    patience: float = _PATIENCE_SECONDS

    @classmethod
    def of(cls, wanted: int) -> Self:
        """Return so many processes, or as many as this machine has CPUs: those of a run may be on others."""
        return cls(min(wanted, os.cpu_count() or 1))

    @contextmanager
    def outcomes(
        self,
        ledger: "Ledger",
        run: RunRecord,
        folder: Path,
        outcome_format: OutcomeFormat | None,
        tick: Callable[[], None],
    ) -> Iterator[Iterable[OutcomePage | ReportPart]]:
        """Yield the outcomes of a run for a report in a folder. Iterating them calls `tick` now and then."""
        # Row numbers of a run that was killed while it read may have gaps.
        rows = 0 if self.count == 1 or run.phase is Phase.STAGING else ledger.rows(run)
        others = min(self.count, rows // self.least_rows) - 1
        with ExitStack() as ends:
            parts = None
            if others > 0:
                # Where there is no room for parts, the report shows the error.
                with suppress(OSError):
                    parts = ends.enter_context(temporary_folder(folder, "parts"))
            if parts is None:
                yield _pages(ledger, run, EVERY_ROW, tick)
                return
            yield ends.enter_context(
                SharedOutcomes(
                    ledger,
                    run,
                    ranges_of(rows, self.part_rows),
                    folder=parts,
                    start=partial(self.start, ledger.place, parts, run.run_id, outcome_format, others),
                    tick=tick,
                    clock=self.clock,
                    patience=self.patience,
                )
            )


def ranges_of(rows: int, part_rows: int) -> list[RowRange]:
    """Return the ranges of the rows of a run, in order."""
    return [RowRange(first, min(first + part_rows - 1, rows)) for first in range(1, rows + 1, part_rows)]


def _pages(ledger: "Ledger", run: RunRecord, each: RowRange, tick: Callable[[], None]) -> Iterator[OutcomePage]:
    for page in ledger.outcome_pages(run, *each):
        tick()
        yield page


def _part(folder: Path, each: RowRange) -> ReportPart:
    return ReportPart(folder / str(each.first))


def _ask(tasks: IO[bytes], answers: IO[bytes], each: RowRange) -> bool:
    """Have a process write a part; return whether it did. Its pipes break when it ends."""
    with suppress(OSError, ValueError):
        tasks.write(orjson.dumps(list(each), option=orjson.OPT_APPEND_NEWLINE))
        tasks.flush()
        return answers.readline() == _DONE
    return False


def write_parts(
    place: Path | Server,
    folder: Path,
    run_id: str,
    outcome_format: OutcomeFormat | None,
    *,
    tasks: IO[bytes],
    answers: IO[bytes],
) -> None:
    """
    Write parts of a run's report into a folder, until there are no more tasks.

    Raises OSError, and as `open_to_read`.
    """
    with closing(open_to_read(place, SystemClock())) as connection, clear_errors_of(place):
        run = runs.find(connection, run_id)
        columns = {source.file_no: source.columns for source in inputs_of(connection, run)}
        for line in tasks:
            each = RowRange(*orjson.loads(line))
            write_part(
                _part(folder, each),
                outcome_format=outcome_format,
                run_id=run.run_id,
                job=run.job,
                outcomes=outcome_pages(connection, run, *each),
                columns=columns,
                mark=partial(mark_of, connection, run),
                rows_before=each.first - 1,
            )
            answers.write(_DONE)
            answers.flush()


def main(ledger: str, folder: str, run_id: str, outcome_format: str) -> None:
    """Write parts of a report, until the standard input ends or a part fails."""
    # A path has no two slashes in a row.
    place = Server(ledger, Path(folder)) if "://" in ledger else Path(ledger)
    wanted = OutcomeFormat(outcome_format) if outcome_format else None
    collect_rarely()
    write_parts(place, Path(folder), run_id, wanted, tasks=sys.stdin.buffer, answers=sys.stdout.buffer)


if __name__ == "__main__":
    # The driver writes what is left, and shows its errors.
    with suppress(OSError, SettingsError, LedgerError):
        main(*sys.argv[1:])
