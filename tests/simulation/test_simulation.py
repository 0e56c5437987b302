"""The promises of delivery, held against a thousand histories of faults, crashes and restarts."""

import pytest

from tests.simulation.play import play

_SEEDS, _BATCH = 1000, 25


@pytest.mark.parametrize("first", range(0, _SEEDS, _BATCH))
def test_every_promise_holds_in_every_history(first: int) -> None:
    """Whatever goes wrong, in whatever order, no history contradicts a promise; see checker.py for the promises."""
    for seed in range(first, first + _BATCH):
        play(seed)


def test_a_seed_plays_the_same_history_again() -> None:
    """A seed fixes all: the same requests leave at the same moments, with the same fate."""
    first, second = (play(seed) for seed in (11, 11))

    assert first.journal == second.journal
    assert first.journal.entries
