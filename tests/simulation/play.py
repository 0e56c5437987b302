"""Playing one seed from its start to the verdict of the checker."""

from tests.simulation.checker import check, check_run
from tests.simulation.history import SMALL_PIECES, Evidence, History, memory_folder, remove
from tests.simulation.platform import Storm
from tests.simulation.scenario import long_night, scenario_of
from tests.simulation.wire import Wire


def play(seed: int, wire: Wire | None = None) -> Evidence:
    """Play the history of a seed and check it; raise with the seed in the text when a promise is broken."""
    folder = memory_folder()
    try:
        evidence = History(scenario_of(seed, folder), folder, wire, SMALL_PIECES).play()
        check(evidence)
    except Exception as exc:
        exc.add_note(f"seed {seed}: python -m tests.simulation --start {seed} --seeds 1 plays it again")
        raise
    else:
        return evidence
    finally:
        remove(folder)


def play_night(hours: float, jobs: tuple[str, ...] = ("a",), storms: tuple[Storm, ...] = ()) -> Evidence:
    """Play runs that share so many virtual hours of quota, one of each job, and check them."""
    folder = memory_folder()
    try:
        history = History(long_night(hours, folder, jobs, storms), folder)
        history.step_by_step(history.scenario.steps)
        check_run(history.evidence)
        return history.evidence
    finally:
        remove(folder)
