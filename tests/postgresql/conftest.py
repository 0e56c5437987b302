"""Ledgers on the server."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.lease import LeaseOwner
from pipeline.ledger.store.port import Server
from pipeline.model import Export
from tests.ledger_runs.job_runs import ALIVE, ME, JobRuns, NewJobRuns, Opens
from tests.moved_clock import MovedClock
from tests.postgresql import fixtures
from tests.postgresql.server import PostgresServer, running

postgres = fixtures.postgres


@pytest.fixture
def server(postgres: PostgresServer, tmp_path: Path) -> Iterator[Server]:
    """An empty database."""
    url = postgres.database()
    yield Server(url, tmp_path)
    postgres.drop(url)


@pytest.fixture(scope="module")
def doomed() -> Iterator[PostgresServer]:
    """A server that may be killed."""
    with running() as server:
        yield server


@pytest.fixture
def opens(server: Server) -> Iterator[Opens]:
    """Open the ledger, as a process of this host."""
    opened: list[Ledger] = []

    def open_again(owner: LeaseOwner = ALIVE) -> Ledger:
        opened.append(Ledger(server, SystemClock(), owner))
        return opened[-1]

    yield open_again
    for ledger in opened:
        ledger.close()


@pytest.fixture
def new_job(opens: Opens) -> NewJobRuns:
    """Make the runs of a job, for an export."""
    ids = count()

    def made(
        export: Export = Export.ORDERS, *, account: str = "zhima", owner: str = ME, job: str = "orders"
    ) -> JobRuns:
        return JobRuns(opens=opens, export=export, account=account, owner=owner, job=job, clock=MovedClock(), ids=ids)

    return made
