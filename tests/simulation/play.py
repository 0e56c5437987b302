"""Plays one seed and checks it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from pipeline.model import Api
from tests.simulation.checker import check, check_run
from tests.simulation.history import SMALL_PIECES, Evidence, History, memory_folder, remove
from tests.simulation.platform import FaultPeriod
from tests.simulation.scenario import long_run, scenario_of
from tests.simulation.state_folder import State, in_files
from tests.simulation.wire import Wire

# Makes the ledger of a history, for its folder.
NewState = Callable[[Path], AbstractContextManager[State]]


def play(seed: int, wire: Wire | None = None, new_state: NewState = in_files) -> Evidence:
    """Play and check the history of a seed; an exception names the seed."""
    folder = memory_folder()
    try:
        with new_state(folder) as state:
            evidence = History(scenario_of(seed, folder), folder, state, wire, SMALL_PIECES).play()
        check(evidence)
    except Exception as exc:
        exc.add_note(f"seed {seed}: python -m tests.simulation --start {seed} --seeds 1 plays it again")
        raise
    else:
        return evidence
    finally:
        remove(folder)


def play_long_run(
    hours: float,
    jobs: tuple[str, ...] = ("a",),
    fault_periods: tuple[FaultPeriod, ...] = (),
    api: Api = Api.POINTS,
) -> Evidence:
    """Play and check runs that use this many virtual hours of quota, one run per job."""
    folder = memory_folder()
    try:
        with in_files(folder) as state:
            history = History(long_run(hours, folder, jobs, fault_periods, api), folder, state)
            history.play_steps(history.scenario.steps)
        check_run(history.evidence)
        return history.evidence
    finally:
        remove(folder)
