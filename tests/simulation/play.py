"""Playing one seed from its start to the verdict of the checker."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from unittest.mock import patch

from pipeline.ledger.delivering.queue import PageSize, lanes
from pipeline.read import open_source
from tests.simulation.checker import check, check_run
from tests.simulation.history import Evidence, History, memory_folder, remove
from tests.simulation.platform import Storm
from tests.simulation.scenario import long_night, scenario_of
from tests.simulation.wire import Wire


def play(seed: int, wire: Wire | None = None) -> Evidence:
    """Play the history of a seed and check it; raise with the seed in the text when a promise is broken."""
    folder = memory_folder()
    try:
        with _in_small_pieces():
            evidence = History(scenario_of(seed, folder), folder, wire).play()
        check(evidence)
    except Exception as exc:
        exc.add_note(f"seed {seed}: python -m tests.simulation --start {seed} --seeds 1 plays it again")
        raise
    else:
        return evidence
    finally:
        remove(folder)


@contextmanager
def _in_small_pieces() -> Iterator[None]:
    """Let a few rows be read, staged and written as millions are: in many pieces, with a crash in between."""
    with (
        patch("pipeline.run.stage.open_source", partial(open_source, chunk_rows=8)),
        patch("pipeline.ledger.staging.slices._LINES", 5),
        patch("pipeline.ledger.history.prune._LINES", 5),
        patch("pipeline.ledger.run_ledger._COPIED_AT_ONCE", 4),
        patch("pipeline.ledger.delivering.queue.lanes", partial(lanes, size=PageSize(dues=3))),
    ):
        yield


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
