"""The outcomes of a run for its report, of which other processes write parts."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Self

import orjson

from pipeline.assemble.reports.part_writers import DONE, RowRange, StartWriters, local_writers, part_at
from pipeline.clock import Clock, SystemClock
from pipeline.engines.leads import Leads
from pipeline.engines.processes import ProcessGroup
from pipeline.ledger.history.skipped_rows import LAST_ROW
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Phase, RunRecord
from pipeline.report import OutcomeFormat, ReportPart, temporary_folder
from pipeline.tables.outcome_page import OutcomePage

# Rows of a part.
_PART_ROWS = 32_768
# With fewer rows for each process, its start would take longer than it saves.
_LEAST_ROWS = 125_000
# Pause between two calls of `tick`. Seconds.
_LOOK_SECONDS = 0.2
# How long all other processes together may take for one part. Seconds.
_PATIENCE_SECONDS = 60.0


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
        ledger: Ledger,
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
        self._folder, self._tick = folder, tick
        self._clock, self._patience = clock, patience
        self._free = deque(ranges)
        # Ranges that another process had, and whether it has written the part.
        self._news = SimpleQueue[tuple[RowRange, bool]]()
        self._ended: dict[RowRange, bool] = {}
        self._leads = Leads(start, self._lead)

    def __enter__(self) -> Self:
        self._leads.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._free.clear()
        self._leads.end()

    def __iter__(self) -> Iterator[OutcomePage | ReportPart]:
        read = 0
        while (each := self._next(self._free.popleft)) is not None:
            read += 1
            yield from self._pages(each)
        for each in self._ranges[read:]:
            if self._is_written(each):
                part = part_at(self._folder, each)
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
                self._leads.end()
        return self._ended.pop(each)

    def _lead(self, tasks: IO[bytes], answers: IO[bytes]) -> None:
        """Have a process write one part after another, until none is free or it ends."""
        with answers:
            while (each := self._next(self._free.pop)) is not None:
                is_written = False
                try:
                    is_written = _ask(tasks, answers, each)
                finally:
                    # The driver waits for this, whatever happens here.
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
        ledger: Ledger,
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
                yield _pages(ledger, run, RowRange(0, LAST_ROW), tick)
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
    """Return the ranges of the rows of a run, in order. The last one has no end, as if one process read all."""
    firsts = range(1, rows + 1, part_rows)
    return [RowRange(first, LAST_ROW if first == firsts[-1] else first + part_rows - 1) for first in firsts]


def _pages(ledger: Ledger, run: RunRecord, each: RowRange, tick: Callable[[], None]) -> Iterator[OutcomePage]:
    for page in ledger.outcome_pages(run, *each):
        tick()
        yield page


def _ask(tasks: IO[bytes], answers: IO[bytes], each: RowRange) -> bool:
    """Have a process write a part; return whether it did. Its pipes break when it ends."""
    with suppress(OSError, ValueError):
        tasks.write(orjson.dumps(list(each), option=orjson.OPT_APPEND_NEWLINE))
        tasks.flush()
        return answers.readline() == DONE
    return False
