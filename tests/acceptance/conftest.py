"""Fixtures: simulated platforms and a workspace whose config sends to them."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.simulator import Simulator
from tests.acceptance.workspace import Workspace


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Serve the three APIs without faults."""
    with Simulator() as running:
        yield running


@pytest.fixture
def workspace(
    tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Workspace]:
    """Return a workspace in a folder of its own; its config sends to the simulator."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKFILL_CONFIG", raising=False)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    handlers = logging.getLogger().handlers[:]
    one = Workspace(tmp_path, simulator, capsys)
    yield one
    one.close()
    logging.getLogger().handlers[:] = handlers
