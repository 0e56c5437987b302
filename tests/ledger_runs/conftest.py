"""Ledgers under test, and jobs that run over them."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from pipeline.ledger.batch_sizes import DEFAULT_SIZES, BatchSizes
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.database import Connect
from pipeline.ledger.store.lease import LeaseOwner
from pipeline.ledger.store.port import Server
from pipeline.model import Export
from tests.ledger_runs.job_runs import DEAD, ME, JobRuns, NewJobRuns, NewLedger, Opens, OpensWith, fast_connect
from tests.moved_clock import MovedClock
from tests.postgresql import fixtures
from tests.postgresql.server import PostgresServer

postgres = fixtures.postgres


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def new_ledger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewLedger:
    """Make an empty ledger that processes with this clock can open any number of times, in a file or on a server."""
    folder = tmp_path_factory.mktemp("ledgers")
    return on_server(request.getfixturevalue("postgres"), folder) if request.param == "postgresql" else in_files(folder)


def in_files(folder: Path) -> NewLedger:
    numbers = count()
    Ledger(folder / "empty.db", MovedClock(), DEAD).close()
    empty = (folder / "empty.db").read_bytes()

    @contextmanager
    def made(clock: MovedClock) -> Iterator[OpensWith]:
        path = folder / f"{next(numbers)}.db"
        path.write_bytes(empty)
        with opening(path, clock) as opens:
            yield opens
        path.unlink()

    return made


def on_server(server: PostgresServer, folder: Path) -> NewLedger:
    empty = server.database()
    Ledger(Server(empty, folder), MovedClock(), DEAD).close()

    @contextmanager
    def made(clock: MovedClock) -> Iterator[OpensWith]:
        url = server.database(template=empty.rpartition("/")[2])
        try:
            with opening(Server(url, folder), clock) as opens:
                yield opens
        finally:
            server.drop(url)

    return made


@contextmanager
def opening(place: Path | Server, clock: MovedClock) -> Iterator[OpensWith]:
    opened: list[Ledger] = []

    def open_again(
        owner: LeaseOwner = DEAD, *, connect: Connect = fast_connect, sizes: BatchSizes = DEFAULT_SIZES
    ) -> Ledger:
        opened.append(Ledger(place, clock, owner, connect=connect, sizes=sizes))
        return opened[-1]

    try:
        yield open_again
    finally:
        for ledger in opened:
            ledger.close()


@pytest.fixture
def clock() -> MovedClock:
    """The clock of all processes."""
    return MovedClock()


@pytest.fixture
def opens(new_ledger: NewLedger, clock: MovedClock) -> Iterator[OpensWith]:
    """Open the ledger of the test, any number of times."""
    with new_ledger(clock) as opens:
        yield opens


@pytest.fixture
def new_job(opens: Opens, clock: MovedClock) -> NewJobRuns:
    """Make the runs of a job, for an export."""
    ids = count()

    def made(
        export: Export = Export.ORDERS, *, account: str = "zhima", owner: str = ME, job: str = "orders"
    ) -> JobRuns:
        return JobRuns(opens=opens, export=export, account=account, owner=owner, job=job, clock=clock, ids=ids)

    return made
