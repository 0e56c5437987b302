"""Exit codes: 0, 3, 4 or 5 of a run. `Run` itself ends with 2 for a fault of an input."""

from collections.abc import Iterable, Mapping

from pipeline.ledger.records import RunState
from pipeline.model import Status

USER_FAULT, INTERRUPTED, JOB_IS_ACTIVE = 2, 5, 6
"""Exit codes of commands that sent nothing, were stopped from outside, or found another run of the job."""

# Of several jobs: what hits every row, then what a person has to correct, then what time corrects.
_WORST_FIRST = (1, 4, USER_FAULT, INTERRUPTED, 3, JOB_IS_ACTIVE, 0)


def exit_code_of(state: RunState, counts: Mapping[Status, int]) -> int:
    """Return the exit code for the state of a run and its rows by status."""
    match state:
        case RunState.STOPPED:
            return 4
        case RunState.INTERRUPTED:
            return INTERRUPTED
        case RunState.COMPLETED:
            done = counts[Status.SUCCEEDED] + counts[Status.SKIPPED]
            return 0 if done == sum(counts.values()) else 3


def worst_of(exit_codes: Iterable[int]) -> int:
    """Return the worst exit code of several jobs: the first of 1, 4, 2, 5, 3, 6, 0."""
    return min(exit_codes, key=_WORST_FIRST.index, default=0)
