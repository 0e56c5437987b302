"""Fixtures of the acceptance tests, and the ledger of a workspace in a file and on a server."""

from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import simulator, workspace
from tests.acceptance.workspace import Workspace
from tests.postgresql import fixtures
from tests.postgresql.server import PostgresServer

__all__ = ["postgres", "simulator", "workspace"]

postgres = fixtures.postgres


@pytest.fixture(params=["file", "server"])
def each_ledger(request: pytest.FixtureRequest, workspace: Workspace) -> Iterator[None]:
    """Play a test twice: with the ledger in a file, and on a server."""
    if request.param == "file":
        yield
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    workspace.ledger_url = server.database()
    workspace.configure()
    yield
    server.drop(workspace.ledger_url)
