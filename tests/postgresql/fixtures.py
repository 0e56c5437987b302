"""The server as a fixture, for conftest files to import."""

from collections.abc import Iterator

import pytest

from tests.postgresql.server import PostgresServer, running


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for all tests of this process."""
    with running() as server:
        yield server
