"""What whoever starts an execution asks of it, and is told while it goes on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from pipeline.ledger.records import RunRecord
from pipeline.model import RowLimit
from pipeline.report import OutcomeFormat
from pipeline.write.brakes.run_control import RunControl


@dataclass(frozen=True, slots=True)
class RunOptions:
    """
    What the command line asks of an execution.

    `most_failures` and `max_invalid` are None where it says nothing: a run that is resumed keeps its own. `resync` is
    for `run` alone.
    """

    day: date | None = None
    until: datetime | None = None
    limit: int | None = None
    most_failures: RowLimit | None = None
    max_invalid: RowLimit | None = None
    report: Path | None = None
    outcome_format: OutcomeFormat = OutcomeFormat.CSV
    resync: bool = False

    @property
    def kept(self) -> Mapping[str, str]:
        """What a run keeps of these wishes until it is done, also over a resume."""
        limits = {"max_failures": self.most_failures, "max_invalid": self.max_invalid}
        return {name: str(limit) for name, limit in limits.items() if limit is not None}


@dataclass(slots=True)
class RunEvents:
    """
    What an execution tells while it goes on.

    `begun` hands out the course, to drain it from outside. `said` takes a line for the log. `ignored` names the files
    in the folders of the inputs that are not read.
    """

    begun: Callable[[RunRecord, RunControl], None] = field(default=lambda _run, _control: None)
    staged: Callable[[int], None] = field(default=lambda _rows: None)
    tick: Callable[[], None] = field(default=lambda: None)
    said: Callable[[str], None] = field(default=lambda _line: None)
    ignored: Callable[[Sequence[str]], None] = field(default=lambda _names: None)
