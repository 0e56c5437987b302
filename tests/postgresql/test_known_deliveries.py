"""Lookups of many deliveries on a server."""

from contextlib import closing

from pipeline.clock import SystemClock
from pipeline.ledger.rules.known_deliveries import known_deliveries_among
from pipeline.ledger.store.port import Server
from pipeline.ledger.store.postgresql.connection import PostgresConnection
from tests.ledger_runs.job_runs import NewJobRuns

# Lines of which the first sixth is of another account, as a server plans for large tables.
LINES, OF_ANOTHER = 120_000, 20_000
_FILL = f"""
INSERT INTO deliveries (account_no, api, identity, digest, state, due_no)
SELECT CASE WHEN n < {OF_ANOTHER} THEN 0 ELSE {{account_no}} END, 'alipay.cumulation', 'K' || lpad(n::text, 9, '0'),
    decode(md5(n::text), 'hex'), 'succeeded', n
FROM generate_series(0, {LINES - 1}) AS n;
"""
_SCANS = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'deliveries'"


def test_scattered_keys_are_looked_up_without_reading_the_table(new_job: NewJobRuns, server: Server) -> None:
    """Keys all over the ledger are found by the index alone: the cost is that of the keys, not of the ledger."""
    run = new_job().begin().run
    keys = [f"K{n:09d}" for n in range(OF_ANOTHER, LINES, 1_000)]
    with closing(PostgresConnection(server.url, SystemClock())) as connection:
        connection.script(_FILL.format(account_no=run.account_no))
        connection.script("VACUUM ANALYZE deliveries")
        connection.execute("BEGIN")
        known = known_deliveries_among(connection, run, keys)
        scans = connection.execute(_SCANS).fetchone()

    assert (sorted(known.delivered), scans) == (keys, (0,))
