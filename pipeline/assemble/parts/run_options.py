"""The options of a run, and its limits of failed and of invalid rows."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pipeline.model import RowLimit
from pipeline.report import OutcomeFormat
from pipeline.settings import Job


@dataclass(frozen=True, slots=True)
class RunOptions:
    """
    Options of the command line; None is not given.

    `day` fills `{date}` in input names. `until` has a time zone. `resume` keeps the run's `max_failures` and
    `max_invalid` unless given again. `resync` is for `run` only. A `metrics_file` that would overwrite a file of the
    user is refused; the caller writes it. `processes` send, this one included; None: as many as the job says.
    """

    day: date | None = None
    until: datetime | None = None
    limit: int | None = None
    max_failures: RowLimit | None = None
    max_invalid: RowLimit | None = None
    report: Path | None = None
    outcome_format: OutcomeFormat = OutcomeFormat.CSV
    resync: bool = False
    metrics_file: Path | None = None
    processes: int | None = None

    @property
    def kept(self) -> Mapping[str, str]:
        """Return the options that a run keeps, also for a resume."""
        return {name: str(limit) for name in RowLimits.names() if (limit := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class RowLimits:
    """The limits of a run, named as in its options and its job's settings."""

    max_failures: RowLimit | None
    max_invalid: RowLimit

    @classmethod
    def names(cls) -> frozenset[str]:
        """Return the names of the limits."""
        return frozenset(limit.name for limit in fields(cls))

    @classmethod
    def of(cls, options: Mapping[str, Any], job: Job) -> "RowLimits":
        """Return the limits of the run's options, else those of its job."""
        return cls(**{n: RowLimit.parse(options[n]) if n in options else getattr(job, n) for n in cls.names()})
