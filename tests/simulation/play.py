"""Playing one seed from its start to the verdict of the checker."""

from tests.simulation.checker import check
from tests.simulation.history import Evidence, History, memory_folder, remove


def play(seed: int) -> Evidence:
    """Play the history of a seed and check it; raise with the seed in the text when a promise is broken."""
    folder = memory_folder()
    try:
        evidence = History(seed, folder).play()
        check(evidence)
    except Exception as exc:
        exc.add_note(f"seed {seed}: python -m tests.simulation --start {seed} --seeds 1 plays it again")
        raise
    else:
        return evidence
    finally:
        remove(folder)
