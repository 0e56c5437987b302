"""The options of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from pipeline.model import RowLimit
from pipeline.report import OutcomeFormat


@dataclass(frozen=True, slots=True)
class RunOptions:
    """
    Options of the command line; None is not given.

    `day` fills `{date}` in input names. `until` has a time zone. `resume` keeps the run's `max_failures` and
    `max_invalid` unless given again. `resync` is for `run` only.
    """

    day: date | None = None
    until: datetime | None = None
    limit: int | None = None
    max_failures: RowLimit | None = None
    max_invalid: RowLimit | None = None
    report: Path | None = None
    outcome_format: OutcomeFormat = OutcomeFormat.CSV
    resync: bool = False

    @property
    def kept(self) -> Mapping[str, str]:
        """Return the options that a run keeps, also for a resume."""
        limits = {"max_failures": self.max_failures, "max_invalid": self.max_invalid}
        return {name: str(limit) for name, limit in limits.items() if limit is not None}
