"""Workspaces whose ledger is on a server, with several processes that send."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.simulator import Simulator
from tests.postgresql import fixtures
from tests.postgresql.server import PostgresServer
from tests.senders.scene import Scene

postgres = fixtures.postgres


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Serve the APIs without faults."""
    with Simulator() as running:
        yield running


@pytest.fixture
def scene(tmp_path: Path, simulator: Simulator, postgres: PostgresServer) -> Iterator[Scene]:
    """Return a folder with a config, an empty ledger on the server, and the platforms."""
    url = postgres.database()
    one = Scene(tmp_path, simulator, url)
    yield one
    one.close()
    postgres.drop(url)
