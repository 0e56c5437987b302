"""Several senders of one run: who has a partition, and what a sender may do that has lost it."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from threading import Event

import pytest

from pipeline.clock import SystemClock
from pipeline.errors import LedgerError, RunHeld
from pipeline.ledger.delivering.sender_ledger import SenderLedger
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Due, RunEnding, RunState, SenderNews, Settlement, SharedState
from pipeline.ledger.rules.admission import Go
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.store.lease import LeaseOwner
from pipeline.ledger.store.loss_detection.marks import Marks
from pipeline.ledger.store.port import Connection, Server
from pipeline.ledger.store.postgresql.connection import PostgresConnection
from pipeline.ledger.store.postgresql.database import PostgresDatabase
from pipeline.ledger.store.sender_lease import end_dead_senders
from pipeline.model import LaneOrder, Status
from tests.ledger_runs.job_runs import ALIVE, DONE, ME, JobRuns, ended
from tests.ledger_runs.staged_rows import StagedRow, order
from tests.postgresql.test_rules import until_one_waits

FAR = replace(ALIVE, host="far")
ROWS = [order(f"A{n}", user=f"u{n}") for n in range(40)]


@dataclass
class Known:
    """What a sender of a test adds and learns."""

    is_proven: bool = True
    ending: RunEnding | None = None
    states: list[SharedState | None] = field(default_factory=list)

    def news(self, counts: Mapping[str, int]) -> SenderNews:
        return SenderNews(counts, is_proven=self.is_proven, ending=self.ending)

    def learn(self, state: SharedState | None) -> None:
        self.states.append(state)


@dataclass
class Hosts:
    """Ledgers of several processes over one server; leases last `seconds`."""

    server: Server
    seconds: float = 30.0
    opened: list[Ledger] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=count)

    def open(self, owner: LeaseOwner = FAR) -> Ledger:
        self.opened.append(Ledger(self.server, SystemClock(), owner, lease_seconds=self.seconds))
        return self.opened[-1]

    def offered(self, rows: list[StagedRow] = ROWS, *, is_proven: bool = True) -> RunLedger:
        """Begin a run whose dues are offered."""
        jobs = self.jobs()
        run = jobs.begin()
        jobs.stage(run, rows)
        run.offer(LaneOrder.SOURCE, None, {}, None)
        if is_proven:
            run.exchange(SenderNews(is_proven=True))
        return run

    def jobs(self) -> JobRuns:
        return JobRuns(lambda owner=FAR: self.open(owner), ids=self.ids)

    def join(self, run: RunLedger, known: Known | None = None, *, leads: bool = False) -> SenderLedger | None:
        return self.open().join(run.run, known or Known(), leads=leads)

    def joined(self, run: RunLedger, known: Known | None = None) -> SenderLedger:
        found = self.join(run, known)
        assert found is not None
        return found


@pytest.fixture
def hosts(server: Server) -> Iterator[Hosts]:
    """Processes of other hosts: none of them can be seen to be dead."""
    several = Hosts(server)
    yield several
    for ledger in several.opened:
        ledger.close()


def first(sender: SenderLedger) -> Due:
    """Take the first partition that is free; return its first due."""
    return next(iter(next(sender.lanes())))


def send(sender: SenderLedger, due: Due) -> None:
    (admission,) = sender.intend([due])
    sender.settle(due, ended(admission, DONE))


def test_senders_take_partitions_in_the_order_of_the_queue(hosts: Hosts) -> None:
    """Each due is of one sender; a partition that is done is gone, and a sender without work joins no more."""
    run = hosts.offered()
    one, two = hosts.joined(run), hosts.joined(run)
    mine, theirs = one.lanes(), two.lanes()
    heads = [next(iter(next(lanes))).row_no for lanes in (mine, theirs)]
    taken = [due for lanes in (mine, theirs) for lane in lanes for due in lane]
    for due in taken[:15]:
        send(one, due)
    one.heartbeat()
    left = run.look(Known())

    assert heads == [1, 17]
    assert sorted(due.row_no for due in taken) == [n for n in range(1, 41) if n not in heads]
    assert (left.count, left.has_free) == (3, False)
    assert hosts.join(run) is None


def test_a_sender_joins_once_the_platform_accepts_the_caller(hosts: Hosts) -> None:
    """Before that only the process that leads may send; and nobody joins a run that ends, or that nobody leads."""
    run = hosts.offered(is_proven=False)
    early = hosts.join(run)
    leads = hosts.join(run, Known(is_proven=False), leads=True)
    run.exchange(SenderNews(is_proven=True))
    late = hosts.join(run)
    run.exchange(SenderNews(ending=RunEnding("deadline", "it is late")))
    ending = hosts.join(run)
    run.release()

    assert [each is None for each in (early, leads, late, ending)] == [True, False, False, True]
    assert hosts.open().runs_to_join() == []


def test_all_senders_learn_what_one_adds(hosts: Hosts) -> None:
    """Counts and the first ending reach the others with their next exchange."""
    run = hosts.offered()
    known = Known()
    one, two = hosts.joined(run), hosts.joined(run, known)
    send(one, first(one))
    one.heartbeat()
    run.exchange(SenderNews({"attempts": 3}, ending=RunEnding("deadline", "it is late")))
    run.exchange(SenderNews(ending=RunEnding("interrupted", "later")))
    two.exchange()
    (state,) = known.states

    assert state is not None
    assert (state.is_led, state.ending) == (True, RunEnding("deadline", "it is late"))
    assert {name: count for name, count in state.counts.items() if count} == {"succeeded": 1, "attempts": 3}


class Held:
    """A transaction of a sender that is held inside, after it has written."""

    def __init__(self) -> None:
        self.is_inside, self.may_end = Event(), Event()

    def __call__(self, connection: Connection) -> str:
        connection.execute("UPDATE runs SET reason = 'late'")
        self.is_inside.set()
        assert self.may_end.wait(60)
        connection.execute("SELECT 1")
        return "written"


def taken_over(server: Server, run: RunLedger) -> int:
    """Take the partitions of all senders, whose leases count as ended; by rule A alone. Return how many are left."""
    connection = PostgresConnection(server.url, SystemClock())
    connection.begin("SELECT 1")
    left = end_dead_senders(connection, run.run.run_no, SystemClock().now(), lambda _: True)
    connection.execute("COMMIT")
    connection.close()
    return left


def test_a_takeover_waits_for_the_transaction_of_the_sender(hosts: Hosts, server: Server) -> None:
    """Rule A: the sender's transaction is complete before its partitions are free; its next one is refused."""
    run = hosts.offered()
    sender, held = hosts.joined(run), Held()
    with ThreadPoolExecutor(2) as threads:
        old = threads.submit(sender._transactions.run, held)
        assert held.is_inside.wait(60)
        new = threads.submit(taken_over, server, run)
        until_one_waits(server.url)
        is_early = new.done()
        held.may_end.set()
        found = (is_early, old.result(60), new.result(60))

    assert found == (False, "written", 0)
    with pytest.raises(LedgerError, match="this sender was held up for longer than its lease"):
        sender._commit(lambda c: c.execute("SELECT 1"))


def test_a_sender_that_is_frozen_in_a_transaction_does_not_block_a_takeover(hosts: Hosts, server: Server) -> None:
    """Rule C: the server ends its transaction; what was written in it is gone, and the sender is refused."""
    run = hosts.offered()
    sender, held = hosts.joined(run), Held()
    frozen = PostgresDatabase(server, SystemClock(), Marks([]), lease_seconds=2.0)
    transactions = frozen.transactions(sender._lease, run.run.account_no)
    with ThreadPoolExecutor(1) as threads:
        old = threads.submit(transactions.run, held)
        assert held.is_inside.wait(60)
        left = taken_over(server, run)
        held.may_end.set()
        with pytest.raises(LedgerError, match="this sender was held up"):
            old.result(60)
    reason = frozen.read(lambda c: c.execute("SELECT reason FROM runs").fetchall())
    frozen.close()

    assert (left, reason) == (0, [(None,)])


def test_a_sender_that_is_frozen_in_a_transaction_costs_no_other_one_its_lease(server: Server) -> None:
    """Two others wait until the server has ended the transaction. Then both go on: no lease of theirs has ended."""
    hosts, held = Hosts(server, seconds=6.0), Held()
    run = hosts.offered()
    frozen, one, two = (hosts.joined(run) for _ in range(3))
    with ThreadPoolExecutor(1) as threads:
        old = threads.submit(frozen._transactions.run, held)
        assert held.is_inside.wait(60)
        # Who takes a partition ends senders whose lease has ended.
        found = [first(sender).row_no for sender in (one, two)]
        held.may_end.set()
        late = old.result(60)
    for sender in (one, two):
        sender.heartbeat()
    for ledger in hosts.opened:
        ledger.close()

    assert (len(set(found)), late) == (2, "written")


def test_the_intents_of_a_dead_sender_are_in_doubt_for_the_next_one(hosts: Hosts, server: Server) -> None:
    """The next sender gets the same bytes under the same key, with doubt; the old one's late outcome is refused."""
    run = hosts.offered()
    dead, alive = hosts.joined(run), hosts.joined(run)
    due = first(dead)
    dead.intend([due])
    taken_over(server, run)
    late = Settlement(Status.SUCCEEDED, "SUCCESS", attempts=1)
    dead.settle(due, late)
    with pytest.raises(LedgerError, match="this sender was held up"):
        dead.heartbeat()
    rejoined = hosts.joined(run)
    again = first(rejoined)
    (admission,) = rejoined.intend([again])

    assert (again.row_no, again.request_key, again.body) == (due.row_no, due.request_key, due.body)
    assert isinstance(admission, Go)
    assert admission.doubt
    with pytest.raises(LedgerError):
        alive._commit(lambda c: c.execute("SELECT 1"))


@pytest.mark.parametrize("first_back", ["a sender that takes", "a sender that renews", "the leading process"])
def test_what_held_up_all_ends_no_lease(hosts: Hosts, first_back: str) -> None:
    """A process whose own lease has ended, as all have after an outage of the server, extends those of all others."""
    run = hosts.offered()
    one, two = hosts.joined(run), hosts.joined(run)
    _end_leases(run, "senders")
    match first_back:
        case "a sender that takes":
            first(one)
        case "a sender that renews":
            one._commit(lambda c: one._lease.renew(c, one._file.now(c)))
        case _:
            _end_leases(run, "jobs")
    left = run.look(Known())
    dues = [first(sender) for sender in (two, one)]
    for sender in (one, two):
        sender.heartbeat()

    assert left.count == 3
    assert len({due.row_no for due in dues}) == 2


def test_a_lease_that_ended_alone_is_taken(hosts: Hosts) -> None:
    """A process whose own lease goes on ends those of others, and extends none."""
    run = hosts.offered()
    dead, alive = hosts.joined(run), hosts.joined(run)
    due = first(dead)
    _end_leases(run, f"senders WHERE sender_no = {dead._sender.sender_no}")
    alive._commit(lambda c: alive._lease.renew(c, alive._file.now(c)))
    taken = first(alive)

    assert taken.row_no == due.row_no
    with pytest.raises(LedgerError, match="this sender was held up"):
        dead._commit(lambda c: c.execute("SELECT 1"))


def _end_leases(run: RunLedger, *lines: str) -> None:
    """End leases: all of a table, or those for which a condition holds."""
    for each in lines:
        table, _, condition = each.partition(" ")
        run._file.writer.execute(f"UPDATE {table} SET expires_at = '2000-01-01T00:00:00+00:00' {condition}")


def test_a_due_that_was_cut_short_is_due_for_the_next_sender(hosts: Hosts) -> None:
    """A sender that leaves gives its partitions back; what it did not end is sent by another one of the run."""
    run = hosts.offered([order("A"), order("B")])
    leaving = hosts.joined(run)
    a, b = (due for lane in leaving.lanes() for due in lane)
    leaving.intend([a, b])
    leaving.settle(a, Settlement(Status.SUCCEEDED, "SUCCESS", attempts=1))
    leaving.settle(b, Settlement(Status.UNSENT, "interrupted", attempts=1, is_open=True))
    leaving.leave()
    following = hosts.joined(run)
    rest = [due for lane in following.lanes() for due in lane]
    for due in rest:
        send(following, due)
    following.heartbeat()

    assert [due.request_key for due in rest] == [b.request_key]
    assert run.look(Known()).count == 0
    assert following._file.read(lambda c: c.execute("SELECT attempts FROM dues ORDER BY due_no").fetchall()) == [
        (1,), (1 + ended(Go(doubt=False), DONE).attempts,)
    ]  # fmt: skip


def test_a_new_run_waits_for_the_senders_of_the_old_one(hosts: Hosts) -> None:
    """The job of a process that died is free for another run only when no sender can be alive."""
    run = hosts.offered()
    sender = hosts.joined(run)
    run.release()
    with pytest.raises(RunHeld, match=f"job orders is held by run {run.run.run_id} .* on far"):
        hosts.jobs().begin()
    is_live = hosts.open().is_live(run.run)
    sender.leave()

    assert is_live
    assert hosts.jobs().begin().run.run_no == 2


def test_a_resume_waits_until_the_senders_have_left(hosts: Hosts) -> None:
    """Live senders get the word to leave; the lease of a dead one ends; then all open dues are offered anew."""
    hosts.seconds = 1.0
    run = hosts.offered()
    known = Known()
    dead, alive = hosts.joined(run), hosts.joined(run, known)
    first(dead), first(alive)
    run.release()
    with ThreadPoolExecutor(1) as threads:
        resumed = threads.submit(hosts.open().resume, hosts.open().find("last"), ME)
        while not resumed.done() and not (known.states and known.states[-1] and known.states[-1].ending):
            alive.exchange()
            alive.keep_job()
        alive.leave()
        again = resumed.result(60)
    again.offer(LaneOrder.SOURCE, None, {}, None)

    last = known.states[-1]
    assert last is not None
    assert last.ending == RunEnding("interrupted", "another process continues the run")
    assert again.count_unreached() == len(ROWS)
    assert again.look(Known()).count == 3
    assert again._file.read(lambda c: c.execute("SELECT * FROM senders").fetchall()) == []


def test_a_run_leaves_nothing_behind_for_senders(hosts: Hosts) -> None:
    """Once a run is concluded, no partition, sender or state of it is left."""
    run = hosts.offered()
    sender = hosts.joined(run)
    first(sender)
    run.conclude(
        state=RunState.INTERRUPTED,
        reason="cut off",
        finished_at="2026-03-01T12:00:09.000Z",
        open_as=("interrupted", "cut off"),
        progress={"throttled": 0, "elapsed_s": 9.0, "sending_s": 8.0},
    )
    left = run._file.read(
        lambda c: c.execute(
            "SELECT (SELECT count(*) FROM partitions), (SELECT count(*) FROM senders), "
            "(SELECT count(*) FROM run_states)"
        ).fetchall()
    )

    assert left == [(0, 0, 0)]
