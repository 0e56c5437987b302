"""Workspaces whose runs are sent on a Ray cluster of two nodes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.nodes import RayNodes, two_nodes
from tests.postgresql import fixtures
from tests.postgresql.server import PostgresServer
from tests.senders.scene import Scene, scene_on

postgres = fixtures.postgres


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    """Two nodes for all tests of a module."""
    with two_nodes() as running:
        yield running


@pytest.fixture
def scene(tmp_path: Path, postgres: PostgresServer) -> Iterator[Scene]:
    """Return a folder with a config, an empty ledger on the server, and the platforms."""
    with scene_on(postgres, tmp_path, "tests.cluster.child") as one:
        yield one
