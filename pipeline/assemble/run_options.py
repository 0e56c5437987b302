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
    Options of the command line. None means: not given.

    `day` fills `{date}` in input names. `until` is a moment with a zone. A resumed run keeps its own `most_failures`
    and `max_invalid` unless they are given anew. `resync` is for `run` alone.
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
        """Return the options that a run keeps until it is finished, also over a resume."""
        limits = {"max_failures": self.most_failures, "max_invalid": self.max_invalid}
        return {name: str(limit) for name, limit in limits.items() if limit is not None}
