"""Fixtures: the simulator and new workspaces."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from pipeline.simulator import Simulator
from tests.kills.exports import Export
from tests.kills.workspace import Workspace


class NewWorkspace(Protocol):
    """Makes a workspace in a folder of its own."""

    def __call__(self, export: Export, *, concurrency: int = 4, rate: int = 2000) -> Workspace: ...


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Serve the three APIs without faults."""
    with Simulator() as running:
        yield running


@pytest.fixture
def new_workspace(tmp_path: Path, simulator: Simulator) -> Iterator[NewWorkspace]:
    """Make workspaces, one after another, and end their processes."""
    made: list[Workspace] = []

    def make(export: Export, *, concurrency: int = 4, rate: int = 2000) -> Workspace:
        folder = tmp_path / str(len(made))
        made.append(Workspace(folder, simulator, export, concurrency=concurrency, rate=rate))
        return made[-1]

    yield make
    for one in made:
        one.close()
