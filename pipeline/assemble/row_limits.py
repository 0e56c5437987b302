"""The limits of failed and of invalid rows."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pipeline.model import RowLimit
from pipeline.settings import Job


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
