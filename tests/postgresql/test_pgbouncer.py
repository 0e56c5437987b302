"""PgBouncer in transaction mode: each transaction may be on another connection of the server."""

import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from pipeline.clock import SystemClock
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.port import Server
from pipeline.model import Export, Status
from tests.ledger_runs.job_runs import ALIVE, JobRuns
from tests.ledger_runs.staged_rows import balance, order
from tests.postgresql.server import PostgresServer, free_port, program, unprivileged

START_SECONDS = 30.0
CONFIG = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 4
server_reset_query =
ignore_startup_parameters = extra_float_digits
unix_socket_dir =
"""


@contextmanager
def pooled(server: PostgresServer, url: str, folder: Path) -> Iterator[str]:
    """Run PgBouncer before a server; return the URL of a database through it."""
    port = free_port()
    config = folder / "pgbouncer.ini"
    text = CONFIG.format(server=server.port, port=port, folder=folder).replace(
        "* = host", f"{url.rpartition('/')[2]} = user=postgres host"
    )
    config.write_text(text, encoding="utf-8")
    (folder / "users").write_text('"postgres" ""\n', encoding="utf-8")
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        for path in (folder, config, folder / "users"):
            os.chown(path, user.pw_uid, user.pw_gid)
    process = subprocess.Popen(
        [*unprivileged(), program("pgbouncer"), "-q", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    through = f"postgresql://postgres@127.0.0.1:{port}/{url.rpartition('/')[2]}"
    try:
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(through, connect_timeout=5).close()
            except psycopg.OperationalError:
                assert time.monotonic() < until
                assert process.poll() is None
            else:
                break
        yield through
    finally:
        process.kill()
        process.wait()


def test_a_run_needs_nothing_that_a_pool_does_not_keep(postgres: PostgresServer, server: Server) -> None:
    """Two jobs at once, with refunds above their payments and balances, end as without a pool."""
    folder = postgres.folder / "pool"
    folder.mkdir()
    with pooled(postgres, server.url, folder) as through:
        ledger = Ledger(Server(through, server.scratch), SystemClock(), ALIVE)
        orders = JobRuns(lambda owner=ALIVE: ledger)
        points = JobRuns(lambda owner=ALIVE: ledger, Export.POINTS, job="points")
        first, second = orders.begin(), points.begin()
        orders.stage(first, [order("R", refund_of="A"), order("A"), order("B")])
        points.stage(second, [balance("X", 1), balance("Y", 2)])
        records = [points.deliver(second, {}), orders.deliver(first, {})]
        reported = [[o.status for o in ledger.outcomes(record)] for record in records]
        ledger.quotas().change("points", lambda _: (b"x", None))
        ledger.close()

    assert reported == [[Status.SUCCEEDED] * 2, [Status.SUCCEEDED] * 3]
    assert orders.keys_sent() == ["A", "R", "B"]
