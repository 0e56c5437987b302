"""A platform for each test, and scenes that play before it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from pipeline.simulator import Simulator
from tests.kills.exports import Export
from tests.kills.scene import Scene


class MakeScene(Protocol):
    """Makes a scene in a folder of its own."""

    def __call__(self, export: Export, *, concurrency: int = 4, rate: int = 2000) -> Scene: ...


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Serve the three APIs without faults."""
    with Simulator() as running:
        yield running


@pytest.fixture
def scene(tmp_path: Path, simulator: Simulator) -> Iterator[MakeScene]:
    """Make scenes, one after another, and end what they leave running."""
    made: list[Scene] = []

    def make(export: Export, *, concurrency: int = 4, rate: int = 2000) -> Scene:
        folder = tmp_path / str(len(made))
        made.append(Scene(folder, simulator, export, concurrency=concurrency, rate=rate))
        return made[-1]

    yield make
    for one in made:
        one.close()
