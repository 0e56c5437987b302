"""A night for each test, as those of the acceptance tests: a folder, a config, and simulated platforms."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.simulator import Simulator
from tests.acceptance.night import Night


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Serve the three APIs without faults."""
    with Simulator() as running:
        yield running


@pytest.fixture
def night(
    tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Night]:
    """Work in a folder of its own, whose config sends to the simulator."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKFILL_CONFIG", raising=False)
    handlers = logging.getLogger().handlers[:]
    one = Night(tmp_path, simulator, capsys)
    yield one
    one.close()
    logging.getLogger().handlers[:] = handlers
