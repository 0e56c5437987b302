"""What became of a transaction whose server went away, at any moment of it."""

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event, Lock
from typing import Any

import psycopg
import pytest

from pipeline.clock import SystemClock
from pipeline.errors import LedgerError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Phase, RunState
from pipeline.ledger.store.loss_detection.marks import Marks
from pipeline.ledger.store.port import Connection, Server
from pipeline.ledger.store.postgresql.database import PostgresDatabase
from pipeline.ledger.store.postgresql.transactions import PostgresTransactions
from pipeline.model import Status
from tests.ledger_runs.job_runs import ALIVE, DONE, JobRuns, NewJobRuns, Opens, conclude
from tests.ledger_runs.staged_rows import order
from tests.postgresql.server import PostgresServer

NOTE = "UPDATE runs SET throttled = throttled + 1"
NOTED = "SELECT throttled FROM runs"


class Failing:
    """A connection of psycopg that loses its server once, before or after a statement."""

    def __init__(self, connection: "psycopg.Connection[tuple[object, ...]]", at: str, *, is_done: bool) -> None:
        self._connection, self._at, self._is_done = connection, at, is_done

    def execute(self, query: Any, parameters: Any = ()) -> object:
        text = (query.decode() if isinstance(query, bytes) else str(query)).lstrip()
        if not text.startswith(self._at):
            return self._connection.execute(query, parameters)
        if self._is_done:
            self._connection.execute(query, parameters)
        self._connection.close()
        raise psycopg.OperationalError("the connection was lost")

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


def fails_once(ledger: Ledger, at: str, *, is_done: bool) -> None:
    """Let the connection that writes lose its server once."""
    writer = ledger._file.writer
    writer._connection = Failing(writer._connection, at, is_done=is_done)  # type: ignore[attr-defined]


@pytest.mark.parametrize("is_done", [False, True], ids=["before it", "after it"])
@pytest.mark.parametrize("at", ["BEGIN", "UPDATE jobs", "UPDATE runs", "COMMIT"])
def test_a_transaction_counts_once_wherever_the_connection_is_lost(
    server: Server, new_job: NewJobRuns, at: str, is_done: bool
) -> None:
    """It is run again unless it was committed, and its result is the same."""
    run = new_job().begin()
    database = PostgresDatabase(server, SystemClock(), Marks([]))
    writer = database.writer
    writer._connection = Failing(writer._connection, at, is_done=is_done)  # type: ignore[assignment]

    def write(connection: Connection) -> str:
        connection.execute(NOTE)
        return "written"

    result = database.transactions(run._lease, run.run.account_no).run(write)
    noted = database.read(lambda c: c.execute(NOTED).fetchall())
    database.close()

    assert (result, noted) == ("written", [(1,)])


def test_the_loss_of_a_commit_is_no_commit_once_another_run_has_the_job(server: Server, new_job: NewJobRuns) -> None:
    """A run whose commit was lost, and whose job was taken, learns that; it does not go on."""
    orders = new_job()
    run = orders.begin()
    database = PostgresDatabase(server, SystemClock(), Marks([]))
    writer = database.writer
    writer._connection = Failing(writer._connection, "COMMIT", is_done=False)  # type: ignore[assignment]
    reconnect = writer.reconnect

    def taken_meanwhile() -> None:
        reconnect()
        writer.execute("UPDATE jobs SET fence = fence + 1, commits = commits + 9")

    writer.reconnect = taken_meanwhile  # type: ignore[method-assign]
    with pytest.raises(LedgerError, match="job orders was taken over by another run"):
        database.transactions(run._lease, run.run.account_no).run(lambda c: c.execute(NOTE))
    database.close()


def test_a_ledger_that_has_lost_commits_is_not_used_further(server: Server, new_job: NewJobRuns) -> None:
    """The job's count went back under a run: the database was restored, or a standby took over that was behind."""
    run = new_job().begin()
    for _ in range(3):
        run._commit(lambda c: c.execute(NOTE))
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("UPDATE jobs SET commits = commits - 1")
    with pytest.raises(LedgerError, match="the ledger has lost commits of this run"):
        run._commit(lambda c: c.execute(NOTE))


def test_a_process_that_freezes_within_a_copy_loses_its_locks(server: Server, new_job: NewJobRuns) -> None:
    """A transaction that waits too long for a lock ends the session that waits for its frozen process, and goes on."""
    run = new_job().begin()
    database = PostgresDatabase(server, SystemClock(), Marks([]))
    waiting = PostgresTransactions(
        database.writer, run._lease, run.run.account_no, turn=Lock(), idle_seconds=0.1, lock_seconds=0.2
    )
    with closing(psycopg.connect(server.url)) as frozen:
        frozen.execute("SET idle_in_transaction_session_timeout = 100")
        frozen.execute("SELECT 1 FROM jobs FOR UPDATE")
        with pytest.raises(psycopg.errors.AdminShutdown), frozen.cursor().copy("COPY rows FROM STDIN"):
            waiting.run(lambda c: c.execute(NOTE))
    noted = database.read(lambda c: c.execute(NOTED).fetchall())
    database.close()

    assert noted == [(1,)]


@pytest.mark.parametrize("is_done", [False, True], ids=["before it", "after it"])
@pytest.mark.parametrize("at", ["BEGIN", "INSERT INTO jobs", "INSERT INTO runs", "COMMIT"])
def test_a_run_begins_once_wherever_the_connection_is_lost(opens: Opens, at: str, is_done: bool) -> None:
    """A new run has no lease that counts its transactions; its job's line shows whether it was committed."""
    ledger = opens()
    fails_once(ledger, at, is_done=is_done)
    orders = JobRuns(lambda owner=ALIVE: ledger)
    run = orders.begin()
    found = ledger._file.read(lambda c: c.execute("SELECT run_id, fence FROM jobs").fetchall())

    assert found == [(run.run.run_id, 1)]
    assert [record.run_id for record in ledger.recent()] == [run.run.run_id]


@pytest.mark.parametrize("is_done", [False, True], ids=["before it", "after it"])
@pytest.mark.parametrize("at", ["INSERT INTO jobs", "UPDATE runs", "COMMIT"])
def test_a_run_is_resumed_once_wherever_the_connection_is_lost(
    new_job: NewJobRuns, opens: Opens, at: str, is_done: bool
) -> None:
    """A resume that was committed is not taken for that of another process."""
    orders = new_job()
    run = orders.begin()
    orders.stage(run, [order("A")])
    conclude(run, RunState.INTERRUPTED)
    run.release()
    ledger = opens()
    fails_once(ledger, at, is_done=is_done)
    resumed = ledger.resume(ledger.find(run.run.run_id), orders.owner)
    found = ledger._file.read(lambda c: c.execute("SELECT fence FROM jobs").fetchall())

    assert (found, resumed.run.phase) == ([(2,)], Phase.DELIVERING)


def test_a_run_goes_on_after_the_server_crashed(doomed: PostgresServer, tmp_path: Path) -> None:
    """Each outcome that was acknowledged is there, each row is sent once, and the run ends as if nothing had been."""
    server, crashes, rows = Server(doomed.database(), tmp_path), 3, 60
    ledger = Ledger(server, SystemClock(), ALIVE)
    orders = JobRuns(lambda owner=ALIVE: ledger)
    run = orders.begin()
    orders.stage(run, [order(f"A{n}") for n in range(rows)])
    crashes_now = [Event() for _ in range(crashes)]

    def restart() -> None:
        for now in crashes_now:
            assert now.wait(60)
            doomed.kill(signal.SIGQUIT)
            doomed.start()

    with ThreadPoolExecutor(1) as threads:
        restarts = threads.submit(restart)
        for n, due in enumerate(due for lane in run.lanes() for due in lane):
            if n % (rows // crashes) == 5:
                crashes_now[n // (rows // crashes)].set()
            orders.carry(run, due, DONE)
        restarts.result(120)
    record = conclude(run, RunState.COMPLETED)
    reported = [o.status for o in ledger.outcomes(record)]
    ledger.close()

    assert reported == [Status.SUCCEEDED] * rows
    assert sorted(orders.keys_sent()) == sorted(f"A{n}" for n in range(rows))
