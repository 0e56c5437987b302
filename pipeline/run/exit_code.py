"""The exit code of a run: 0, 3, 4 or 5. `Run` itself ends with 2 for a fault of an input."""

from collections.abc import Mapping

from pipeline.ledger.records import RunState
from pipeline.model import Status


def exit_code_of(state: RunState, counts: Mapping[Status, int]) -> int:
    """Return the exit code for the state of a run and its rows by status."""
    match state:
        case RunState.STOPPED:
            return 4
        case RunState.INTERRUPTED:
            return 5
        case RunState.COMPLETED:
            done = counts[Status.SUCCEEDED] + counts[Status.SKIPPED]
            return 0 if done == sum(counts.values()) else 3
