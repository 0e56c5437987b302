"""What whoever starts an execution asks of it, and is told while it goes on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from pipeline.ledger.records import RunRecord
from pipeline.report import OutcomeFormat
from pipeline.write.course import Course


@dataclass(frozen=True, slots=True)
class MostFailures:
    """How many rows may fail before a run stops itself: so many, or so many in a hundred."""

    number: float
    in_percent: bool = False

    def of(self, rows: int) -> float:
        """Return the number of rows, for a run of so many."""
        return self.number * rows / 100 if self.in_percent else self.number


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks of an execution."""

    day: date | None = None
    until: datetime | None = None
    limit: int | None = None
    most_failures: MostFailures | None = None
    report: Path | None = None
    outcome_format: OutcomeFormat = OutcomeFormat.CSV


@dataclass(slots=True)
class Watcher:
    """What an execution tells while it goes on; `begun` hands out the course, to drain it from outside."""

    begun: Callable[[RunRecord, Course], None] = field(default=lambda _run, _course: None)
    staged: Callable[[int], None] = field(default=lambda _rows: None)
    tick: Callable[[], None] = field(default=lambda: None)
