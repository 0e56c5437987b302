"""Prune deletes old runs. Deliveries and confirmed balances and states stay known."""

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import pytest

from pipeline.ledger.history.prune import Kept, Pruned, PruneFile
from pipeline.ledger.history.prune import prune as prune_file
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunState
from pipeline.ledger.store.port import Connection
from pipeline.model import Export, Status
from pipeline.write.answers.verdict import Verdict
from tests.ledger_runs.job_runs import (
    ALIVE,
    CONFLICT,
    DEAD,
    DELIVERED,
    DONE,
    LOST,
    REFUSED,
    THROTTLED,
    UNCHANGED,
    NewJobRuns,
    Opens,
    conclude,
    in_a_file,
)
from tests.ledger_runs.staged_rows import StagedRow, balance, invalid, order, state, task
from tests.moved_clock import NOON, MovedClock

T = TypeVar("T")

LATER = NOON + timedelta(days=1)
OF_A_RUN = ("runs", "inputs", "rows", "packs", "dues", "origins", "pruned_runs")


def prune(opens: Opens, *, deliveries: bool = False) -> Pruned:
    return opens().prune(runs_before=LATER, deliveries_before=LATER if deliveries else None)


def names(pruned: Pruned) -> tuple[list[str], list[tuple[str, Kept]]]:
    return [run.run_id for run in pruned.runs], [(run.run_id, reason) for run, reason in pruned.kept]


def lines(ledger: Ledger) -> dict[str, int]:
    """Return the number of lines of all runs, by table."""
    reader = ledger._file.reader
    return {t: reader.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in OF_A_RUN}


@pytest.mark.parametrize(
    ("export", "rows"),
    [
        pytest.param(Export.ORDERS, [order("A"), order("B"), order("A")], id="orders"),
        pytest.param(Export.TASKS, [task("A", 3)], id="tasks"),
        pytest.param(Export.POINTS, [balance("1", 5), balance("2", 7)], id="points"),
        pytest.param(Export.STATES, [state("A", "BUY"), state("A", "END")], id="states"),
    ],
)
def test_a_pruned_run_is_gone_and_its_deliveries_are_known(
    export: Export, rows: list[StagedRow], opens: Opens, new_job: NewJobRuns
) -> None:
    """All lines of an old run are deleted. Its rows come again, and none is sent."""
    job = new_job(export)
    first, last = job.run(*rows, invalid("X")), job.run()
    only_last = {table: int(table in ("runs", "inputs")) for table in OF_A_RUN}
    job.keys_sent()

    pruned = prune(opens)
    left = lines(opens())
    reported = job.reported_rows(job.run(*rows))

    assert names(pruned) == ([first.run_id], [(last.run_id, Kept.LAST_OF_JOB)])
    assert left == only_last
    assert ({status for _, status, _ in reported}, job.keys_sent()) == ({Status.SKIPPED}, [])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(LOST, Kept.ROWS_LEFT, id="unknown"),
        pytest.param(THROTTLED, Kept.ROWS_LEFT, id="unsent"),
        pytest.param(REFUSED, None, id="rejected"),
        pytest.param(DONE, None, id="succeeded"),
    ],
)
def test_a_run_with_rows_left_is_kept(answer: Verdict, reason: Kept | None, opens: Opens, new_job: NewJobRuns) -> None:
    """A run is kept as long as a rerun would send one of its rows. Rejected rows do not keep it."""
    orders = new_job()
    first = orders.run(order("A"), order("B"), answers={"A": answer})
    orders.run()

    pruned = prune(opens)

    assert dict(names(pruned)[1]).get(first.run_id) == reason


def test_a_run_and_its_rerun_are_deleted_together(opens: Opens, new_job: NewJobRuns) -> None:
    """A run and its rerun are deleted once neither has rows left."""
    orders = new_job()
    first = orders.run(order("A"), order("B", refund_of="A"), answers={"A": LOST})
    half = orders.rerun(first, {"A": LOST})
    kept = names(prune(opens))
    whole = orders.rerun(first)
    last = orders.run()

    assert kept == ([], [(first.run_id, Kept.ROWS_LEFT), (half.run_id, Kept.ROWS_LEFT)])
    assert names(prune(opens)) == (
        [first.run_id, half.run_id, whole.run_id],
        [(last.run_id, Kept.LAST_OF_JOB)],
    )


def test_a_run_stays_with_its_rerun(opens: Opens, new_job: NewJobRuns) -> None:
    """A run whose rerun is kept is kept as well: `left` of both needs both."""
    orders = new_job()
    first = orders.run(order("A"), answers={"A": LOST})
    rerun = orders.rerun(first)

    assert names(prune(opens)) == ([], [(first.run_id, Kept.FAMILY), (rerun.run_id, Kept.LAST_OF_JOB)])


def test_live_and_killed_runs_are_kept(opens: Opens, new_job: NewJobRuns) -> None:
    """A live run is kept, and so is one that can be resumed."""
    killed, running = new_job(), new_job(job="refunds")
    dead = killed.begin()
    killed.stage(dead, [order("A")])
    live = running.begin(opens(ALIVE))

    assert names(prune(opens)) == ([], [(dead.run.run_id, Kept.UNFINISHED), (live.run.run_id, Kept.RUNNING)])


def test_a_recent_run_is_neither_deleted_nor_listed(opens: Opens, new_job: NewJobRuns) -> None:
    """A run that ended after the given time is not an old run."""
    orders = new_job()
    orders.run(order("A"))
    orders.run()

    assert names(opens().prune(runs_before=NOON)) == ([], [])


def test_a_superseded_balance_does_not_keep_its_run(opens: Opens, new_job: NewJobRuns) -> None:
    """A run that did not reach all cards is deleted after another run has sent newer balances."""
    points = new_job(Export.POINTS)
    short = points.run(balance("1", 5), balance("2", 5), most=1)
    kept = names(prune(opens))
    points.run(balance("1", 6), balance("2", 6))
    points.run()

    assert kept == ([], [(short.run_id, Kept.ROWS_LEFT)])
    assert short.run_id in names(prune(opens))[0]


def test_a_balance_that_comes_back_gets_a_new_key_after_a_prune(opens: Opens, new_job: NewJobRuns) -> None:
    """The platform would answer the old key from memory, so the key stays known without its run."""
    points = new_job(Export.POINTS)
    for balance_now in (5, 6):
        points.run(balance("1", balance_now))
    points.run()
    prune(opens, deliveries=True)
    points.keys_sent()

    points.run(balance("1", 5))

    assert points.keys_sent() == ["1=5@-2"]


@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 3)])
def test_a_task_is_known_in_both_forms_after_a_prune(
    before: int, after: int, opens: Opens, new_job: NewJobRuns
) -> None:
    """Completions do not count twice, also if the run that counted them was deleted."""
    tasks = new_job(Export.TASKS)
    tasks.run(task("A", before))
    tasks.run()
    prune(opens)
    # It reuses the due numbers of the pruned run.
    tasks.run(task("B"))

    reported = tasks.reported_rows(tasks.run(task("A", after)))

    assert reported == [("A", *CONFLICT)]


@in_a_file
def test_a_killed_prune_is_finished_by_the_next_one(opens: Opens, new_job: NewJobRuns, clock: MovedClock) -> None:
    """A killed prune leaves each run whole or gone, nothing is sent again, and the next prune does the rest."""
    orders = new_job()
    orders.run(order("A"), invalid("X"), order("A"))
    orders.run()
    path = opens().path
    deaths = 0

    while deaths < 20:
        commits = deaths

        class Doomed(sqlite3.Connection):
            def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
                nonlocal commits
                if sql == "COMMIT":
                    if not commits:
                        raise RuntimeError("killed")
                    commits -= 1
                return super().execute(sql, parameters)  # type: ignore[arg-type] # passed on unchanged

        def opened(path: object, *, durable: bool = True) -> sqlite3.Connection:
            return sqlite3.connect(str(path), isolation_level=None, check_same_thread=False, factory=Doomed)

        try:
            Ledger(path, clock, DEAD, connect=opened).prune(runs_before=LATER)
        except RuntimeError:
            deaths += 1
            found = lines(opens())
            assert (found["runs"] == 2) == (found["pruned_runs"] == 0 and found["inputs"] == 2)
            assert orders.reported_rows(orders.run(order("A"))) == [("A", *DELIVERED)]
        else:
            break

    # The first commits are those of opening the file.
    assert deaths > 4
    prune(opens)
    assert lines(opens())["pruned_runs"] == 0
    assert lines(opens())["dues"] == 0


@pytest.mark.parametrize(
    ("export", "rows", "sent_again"),
    [
        pytest.param(Export.ORDERS, [order("A")], ["A"], id="an order"),
        pytest.param(Export.TASKS, [task("A", 2)], ["A-1", "A-2"], id="a task"),
        pytest.param(Export.POINTS, [balance("1", 5)], [], id="the balance of a card"),
        pytest.param(Export.STATES, [state("A", "BUY")], [], id="the state of an object"),
    ],
)
def test_old_deliveries_are_deleted_with_that_option(
    export: Export, rows: list[StagedRow], sent_again: list[str], opens: Opens, new_job: NewJobRuns
) -> None:
    """A row that comes again is sent again under the same key. Balances and states stay confirmed."""
    job = new_job(export)
    job.run(*rows)
    job.run()
    job.keys_sent()

    pruned = prune(opens, deliveries=True)
    job.run(*rows)

    assert (pruned.deliveries, job.keys_sent()) == (len(sent_again), sent_again)


def test_only_older_states_of_an_object_are_deleted(opens: Opens, new_job: NewJobRuns) -> None:
    """The newest state of an object and the one before stay known."""
    states = new_job(Export.STATES)
    states.run(*(state("A", code) for code in ("BUY", "USE", "END")))
    states.run()

    assert prune(opens, deliveries=True).deliveries == 1
    assert states.reported_rows(states.run(state("A", "END"))) == [("A", *UNCHANGED)]


def test_deliveries_in_use_are_kept(opens: Opens, new_job: NewJobRuns) -> None:
    """An intent without outcome is kept, a delivery of a kept run, and a recent one."""
    orders = new_job()
    first = orders.begin()
    orders.stage(first, [order("A"), order("B")])
    (due_of_a, *_) = (due for lane in first.lanes() for due in lane)
    orders.intend(first, due_of_a)
    orders.run(order("C"))

    assert prune(opens, deliveries=True).deliveries == 0
    assert opens().prune(runs_before=LATER, deliveries_before=NOON).deliveries == 0


def test_the_age_of_a_delivery_of_an_older_ledger_is_that_of_its_run(opens: Opens, new_job: NewJobRuns) -> None:
    """A delivery without a time gets the time of its run when the run is deleted."""
    orders = new_job()
    orders.run(order("A"))
    orders.run()
    connection = opens()._file.writer
    connection.execute("UPDATE deliveries SET intended_at = NULL")
    pruned = prune(opens)

    found = connection.execute("SELECT identity, intended_at FROM deliveries").fetchall()
    assert (len(pruned.runs), found) == (1, [("A", int(NOON.timestamp()))])


def test_a_run_with_a_new_rerun_is_kept(new_job: NewJobRuns, opens: Opens) -> None:
    """The runs are checked again in the transaction that deletes them."""
    orders = new_job()
    first = orders.run(order("A"))
    orders.run()
    ledger = opens()
    transactions = ledger._file.transactions()

    def read(ask: Callable[[Connection], T]) -> T:
        return transactions.run(ask)

    def commit(write: Callable[[Connection], T]) -> T:
        conclude(orders.begin(parent=first.run_id), RunState.COMPLETED)
        return transactions.run(write)

    file = PruneFile(read=read, commit=commit, live_runs=lambda _: (), lines=9)
    pruned = prune_file(file, runs_before=LATER, deliveries_before=None)

    assert first.run_id not in names(pruned)[0]
    assert opens().find(first.run_id) == first
