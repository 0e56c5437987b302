"""The promises of delivery, checked over histories whose ledger is on a server."""

import pytest

from tests.postgresql import fixtures
from tests.postgresql.server import PostgresServer
from tests.simulation.play import play
from tests.simulation.served_ledger import ServedLedgers

postgres = fixtures.postgres

_SEEDS, _BATCH = 20, 5


@pytest.fixture(scope="session")
def ledgers(postgres: PostgresServer) -> ServedLedgers:
    """Make ledgers on the server."""
    return ServedLedgers(postgres)


@pytest.mark.parametrize("first", range(0, _SEEDS, _BATCH))
def test_every_promise_holds_with_a_ledger_on_a_server(ledgers: ServedLedgers, first: int) -> None:
    """No history contradicts a promise, also if the database is restored or replaced."""
    for seed in range(first, first + _BATCH):
        play(seed, new_state=ledgers)
