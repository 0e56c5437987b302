"""Workspaces whose ledger is on a server, with several processes that send."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import fixtures
from tests.postgresql.server import PostgresServer
from tests.senders.scene import Scene, scene_on

postgres = fixtures.postgres


@pytest.fixture
def scene(tmp_path: Path, postgres: PostgresServer) -> Iterator[Scene]:
    """Return a folder with a config, an empty ledger on the server, and the platforms."""
    with scene_on(postgres, tmp_path) as one:
        yield one
