"""The four rules of a ledger on a server, each in a race that breaks without it."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event

import psycopg
import pytest

from pipeline.clock import SystemClock
from pipeline.errors import LedgerError
from pipeline.ledger.delivering import deliveries
from pipeline.ledger.rules.admission import Admission, Blocked, Go
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.store import lease
from pipeline.ledger.store.lease import Lease
from pipeline.ledger.store.loss_detection import generations
from pipeline.ledger.store.loss_detection.marks import Marks
from pipeline.ledger.store.port import Connection, Server
from pipeline.ledger.store.postgresql.connection import PostgresConnection
from pipeline.ledger.store.postgresql.database import PostgresDatabase
from pipeline.model import Export
from tests.ledger_runs.job_runs import ALIVE, NewJobRuns, Opens, first_due
from tests.ledger_runs.staged_rows import order

# A transaction may be idle for a quarter of it: far more than a statement takes.
LEASE_SECONDS = 2.0
# How long the server may take to show that a transaction waits.
LONGEST_SECONDS = 20.0


def until_one_waits(url: str) -> None:
    """Wait until a transaction on the server waits for a lock."""
    with psycopg.connect(url, autocommit=True) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        until = time.monotonic() + LONGEST_SECONDS
        while connection.execute(query).fetchall() == [(0,)]:
            assert time.monotonic() < until, "no transaction waits"


def taken(server: Server, job: str) -> Lease:
    """Take a job as another run does whose owner sees that the old one is dead; by rule A alone."""
    connection = PostgresConnection(server.url, SystemClock())
    connection.begin("SELECT 1")
    found = lease.acquire(connection, job, "OTHER", ALIVE, datetime.now(UTC), lambda _: True)
    connection.execute("COMMIT")
    connection.close()
    return found


class Held:
    """A transaction of a run that is held inside, after it has written."""

    def __init__(self) -> None:
        self.is_inside, self.may_end = Event(), Event()

    def __call__(self, connection: Connection) -> str:
        connection.execute("UPDATE runs SET reason = 'late' WHERE run_id = (SELECT min(run_id) FROM runs)")
        self.is_inside.set()
        assert self.may_end.wait(60)
        connection.execute("SELECT 1")
        return "written"


def test_a_takeover_waits_for_the_transaction_of_the_run_that_has_the_job(server: Server, new_job: NewJobRuns) -> None:
    """Rule A: the old run's transaction is complete before another run has the job; its next one is refused."""
    run, held = new_job().begin(), Held()
    with ThreadPoolExecutor(2) as threads:
        old = threads.submit(run._transactions.run, held)
        assert held.is_inside.wait(60)
        new = threads.submit(taken, server, "orders")
        until_one_waits(server.url)
        is_early = new.done()
        held.may_end.set()
        found = (is_early, old.result(60), new.result(60).fence)

    assert found == (False, "written", 2)
    with pytest.raises(LedgerError, match="job orders was taken over by another run"):
        run._commit(lambda c: c.execute("SELECT 1"))


def test_two_jobs_of_an_account_do_not_send_the_same_key(new_job: NewJobRuns, server: Server) -> None:
    """Rule B: of two jobs that admit one key at once, one may send it, and the other finds that it does."""
    runs = [new_job(job=name) for name in ("one", "two")]
    begun = [(jobs, jobs.begin()) for jobs in runs]
    for jobs, run in begun:
        jobs.stage(run, [order("A")])
    (_, one), (_, two) = begun
    may_end, is_inside = Event(), Event()

    def admit(run: RunLedger, *, holds: bool) -> Admission | None:
        due = first_due(run)

        def write(connection: Connection) -> list[Admission | None]:
            found = deliveries.record(
                connection, run.run, [(due, None)],
                generation=generations.current(connection), is_gone=lambda _: False, now=0,
            )  # fmt: skip
            if holds:
                is_inside.set()
                assert may_end.wait(60)
            return found

        return run._transactions.run(write)[0]

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(admit, one, holds=True)
        assert is_inside.wait(60)
        second = threads.submit(admit, two, holds=False)
        until_one_waits(server.url)
        may_end.set()
        admitted = [first.result(60), second.result(60)]

    assert isinstance(admitted[0], Go)
    assert isinstance(admitted[1], Blocked)
    assert admitted[1].code == "sent_by_another_job"


def test_a_run_that_is_frozen_in_a_transaction_does_not_block_a_takeover(server: Server, new_job: NewJobRuns) -> None:
    """Rule C: the server ends a transaction that is idle too long; what was written in it is gone."""
    run, held = new_job().begin(), Held()
    frozen = PostgresDatabase(server, SystemClock(), Marks([]), lease_seconds=LEASE_SECONDS)
    transactions = frozen.transactions(run._lease, run.run.account_no)
    with ThreadPoolExecutor(1) as threads:
        old = threads.submit(transactions.run, held)
        assert held.is_inside.wait(60)
        fence = taken(server, "orders").fence
        held.may_end.set()
        with pytest.raises(LedgerError, match="job orders was taken over by another run"):
            old.result(60)
    reason = frozen.read(lambda c: c.execute("SELECT reason FROM runs").fetchall())
    frozen.close()

    assert (fence, reason) == (2, [(None,)])


def test_no_plan_outlives_its_statement(server: Server, new_job: NewJobRuns, opens: Opens) -> None:
    """Rule D: no statement is prepared, however often it runs; and each one of a transaction is planned anew."""
    run = new_job(Export.ORDERS).begin()
    prepared = "SELECT count(*) FROM pg_prepared_statements"
    for _ in range(20):
        run._commit(lambda c: c.execute("SELECT state FROM deliveries WHERE identity = ?", ("A",)).fetchall())
    found = run._commit(lambda c: (c.execute(prepared).fetchone(), c.execute("SHOW plan_cache_mode").fetchone()))

    assert found == ((0,), ("force_custom_plan",))
    assert opens()._file.reader.execute(prepared).fetchone() == (0,)
