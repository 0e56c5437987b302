"""A player for each test: simulated platforms, and a folder with keys and a new ledger."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cases.player import Player, RecordingSimulator


@pytest.fixture
def player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Player]:
    """A player with its own folder, whose config sends to a recording simulator."""
    monkeypatch.delenv("BACKFILL_CONFIG", raising=False)
    handlers = logging.getLogger().handlers[:]
    with RecordingSimulator() as simulator:
        yield Player(tmp_path, simulator, capsys)
    logging.getLogger().handlers[:] = handlers
