"""How a run ended, or the attempt to start one."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pipeline.report import Step, Summary

FINE = 0


class Change(StrEnum):
    """What the end of a run means for its job."""

    FAILED = "failed"
    RECOVERED = "recovered"
    SUCCEEDED = "succeeded"


@dataclass(frozen=True, slots=True)
class RunEnd:
    """
    The end of a run of a job.

    - `before`: the exit code of the job's run before; 0 if there was none, None if it was killed or is not known
    - `run_id`: None if the command failed before there was a run
    - `summary`, `steps`: the run in numbers, and the next steps; without a report there are none
    - `error`: why there is no report
    """

    job: str
    exit_code: int
    before: int | None
    at: datetime
    run_id: str | None = None
    summary: Summary | None = None
    steps: tuple[Step, ...] = ()
    error: str = ""

    @property
    def is_new(self) -> bool:
        """Whether the job's run before ended otherwise."""
        return self.exit_code != self.before

    @property
    def change(self) -> Change:
        """What the end means for the job."""
        if self.exit_code != FINE:
            return Change.FAILED
        return Change.RECOVERED if self.is_new else Change.SUCCEEDED
