"""Slices of a run: each is staged once, whatever process dies or is held up, and nothing of the server is executed."""

import pickle
from collections.abc import Callable, Iterator

import psycopg
import pytest

from pipeline.clock import SystemClock
from pipeline.errors import LedgerError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import InputRecord
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.slices.slice_ledger import SliceLedger
from pipeline.ledger.slices.table import NewSlice
from pipeline.ledger.store.lease import LeaseOwner
from pipeline.ledger.store.port import Server
from pipeline.map import retarget
from tests.ledger_runs.job_runs import ALIVE, GONE, ME, JobRuns, NewJobRuns
from tests.ledger_runs.staged_rows import mapped_of, order

DEAD = LeaseOwner(ALIVE.host, ALIVE.boot, GONE, "1", ALIVE.namespace)
TWO = [NewSlice(1, 1, {"n": 1}), NewSlice(2, 1, {"n": 2})]


@pytest.fixture
def jobs(new_job: NewJobRuns) -> JobRuns:
    return new_job()


@pytest.fixture
def begun(jobs: JobRuns) -> RunLedger:
    """A run whose input is cut into two slices."""
    run = jobs.begin()
    run.add_input(InputRecord(1, "orders.csv", "orders.csv", ("key", "content"), 0, ""))
    run.cut(TWO)
    return run


@pytest.fixture
def host(server: Server, begun: RunLedger) -> Iterator[Callable[..., SliceLedger]]:
    """Take a slice as another process does, for some seconds."""
    opened: list[Ledger] = []

    def take(slice_no: int, *, seconds: float = 30.0, owner: LeaseOwner = ALIVE) -> SliceLedger:
        opened.append(Ledger(server, SystemClock(), owner, lease_seconds=seconds))
        held = opened[-1].take_slice(opened[-1].find("last"), slice_no, retarget)
        assert held is not None
        return held

    yield take
    for ledger in opened:
        ledger.close()


def stage(held: SliceLedger, *keys: str, ends: bool = True) -> None:
    held.stage(mapped_of([order(key) for key in keys], held.run.api))
    if ends:
        held.finish("utf-8", "00")


def decided(jobs: JobRuns, run: RunLedger) -> list[tuple[int, str, str]]:
    """Decide on the rows of all slices; return row, key and code of each."""
    assert run.stage_again(run.slices()) == 0
    run.gather(run.slices())
    run.start_delivering(jobs.rekey)
    return [(o.source_row, o.request_key, o.code) for o in jobs.opens().outcomes(run.run)]


TAKEN = "slice 1 of run ORDERS-0000 was taken over"


def test_a_process_that_was_held_up_finishes_nothing(
    jobs: JobRuns, begun: RunLedger, host: Callable[..., SliceLedger]
) -> None:
    """Once another process has its slice, a process can neither go on nor finish: the blocks of the other count."""
    late = host(1, seconds=0)
    stage(late, "X", ends=False)
    stage(host(1), "A", "B")
    stage(host(2), "B", "C")

    with pytest.raises(LedgerError, match=TAKEN):
        late.finish("utf-8", "00")
    with pytest.raises(LedgerError, match=TAKEN):
        late.heartbeat()
    assert decided(jobs, begun) == [
        (1, "A", "interrupted"), (2, "B", "interrupted"), (3, "B", "duplicate_row"), (4, "C", "interrupted"),
    ]  # fmt: skip


def test_the_slices_of_a_former_driver_count_for_nothing(
    jobs: JobRuns, begun: RunLedger, host: Callable[..., SliceLedger]
) -> None:
    """After a resume the inputs are cut anew; who had a slice before can't finish it."""
    old = host(1)
    begun.release()
    run = jobs.opens().resume(jobs.opens().find("last"), ME)
    run.unstage()
    run.add_input(InputRecord(1, "orders.csv", "orders.csv", ("key", "content"), 0, ""))
    run.cut(TWO)
    stage(host(1), "A")
    stage(host(2), "B")

    with pytest.raises(LedgerError, match=TAKEN):
        stage(old, "X")
    assert [key for _, key, _ in decided(jobs, run)] == ["A", "B"]


def test_the_slice_of_a_dead_process_is_free_at_once(begun: RunLedger, host: Callable[..., SliceLedger]) -> None:
    """The lease of a process that is seen to have ended is not waited for; that of another one is."""
    host(1, owner=DEAD)
    host(2)
    begun.free_slices_of_dead()

    assert host(1).taken.fence & 0xFF == 2
    with pytest.raises(AssertionError):
        host(2)


def test_blocks_that_a_crash_of_the_server_took_are_staged_again(
    server: Server, jobs: JobRuns, begun: RunLedger, host: Callable[..., SliceLedger]
) -> None:
    """Blocks are not logged; a slice without its blocks is open again."""
    stage(host(1), "A")
    stage(host(2), "B")
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("TRUNCATE blocks")
    again = begun.stage_again(begun.slices())
    stage(host(1), "A")
    stage(host(2), "B")

    assert again == 2
    assert [key for _, key, _ in decided(jobs, begun)] == ["A", "B"]


class Code:
    """An object whose reading as a pickle would raise."""

    def __reduce__(self) -> tuple[object, ...]:
        return exec, ("raise AssertionError('code of the database ran')",)


@pytest.mark.parametrize("data", [pickle.dumps(Code()), b"", b"\0" * 9, b"\xff" * 40])
def test_a_block_is_data_and_never_code(
    server: Server, jobs: JobRuns, begun: RunLedger, host: Callable[..., SliceLedger], data: bytes
) -> None:
    """Bytes that nobody wrote as a block are refused; nothing is due."""
    stage(host(1), "A")
    stage(host(2), "B")
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("UPDATE blocks SET chunk = %s WHERE slice_no = 2", [data])

    with pytest.raises(LedgerError, match="the data is damaged"):
        decided(jobs, begun)
