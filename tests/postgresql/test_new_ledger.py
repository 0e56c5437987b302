"""A ledger that several processes open while it does not exist yet."""

from contextlib import closing

from pipeline.clock import SystemClock
from pipeline.ledger.store.port import Server
from pipeline.ledger.store.postgresql.connection import PostgresConnection
from pipeline.ledger.store.postgresql.database import version_of
from pipeline.ledger.store.postgresql.schema import VERSION, VERSION_TABLE


def test_tables_of_another_process_are_seen_in_a_transaction(server: Server) -> None:
    """A process that found no ledger, and then waited for its turn to make one, sees what the other has made."""
    with (
        closing(PostgresConnection(server.url, SystemClock())) as waiting,
        closing(PostgresConnection(server.url, SystemClock())) as other,
    ):
        before = version_of(waiting)
        waiting.begin("SELECT 1")
        other.script(f"{VERSION_TABLE}; INSERT INTO ledger_version VALUES ({VERSION})")

        assert (before, version_of(waiting)) == (0, VERSION)
