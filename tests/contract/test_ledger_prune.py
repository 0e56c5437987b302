"""Old runs are deleted; what was delivered, and what is confirmed, stays known."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import TypeVar

import pytest

from pipeline.ledger.history.prune import Kept, Pruned, PruneFile
from pipeline.ledger.history.prune import prune as prune_file
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunState
from pipeline.ledger.store.database import connect
from pipeline.ledger.store.transactions import Transactions
from pipeline.model import Export, Status
from pipeline.write.answers.verdict import Verdict
from tests.contract.nights import (
    ALIVE,
    CONFLICT,
    DEAD,
    DELIVERED,
    DONE,
    LOST,
    REFUSED,
    THROTTLED,
    UNCHANGED,
    MakeNights,
    Opens,
    conclude,
)
from tests.contract.staged_rows import StagedRow, balance, invalid, order, state, task
from tests.moved_clock import NOON, MovedClock

T = TypeVar("T")

LATER = NOON + timedelta(days=1)
OF_A_RUN = ("runs", "inputs", "rows", "packs", "dues", "origins", "pruned_runs")


def prune(opens: Opens, *, deliveries: bool = False) -> Pruned:
    return opens().prune(runs_before=LATER, deliveries_before=LATER if deliveries else None)


def names(pruned: Pruned) -> tuple[list[str], list[tuple[str, Kept]]]:
    return [run.run_id for run in pruned.runs], [(run.run_id, reason) for run, reason in pruned.kept]


def lines(ledger: Ledger) -> dict[str, int]:
    """Return how many lines there are of any run, by table."""
    with closing(sqlite3.connect(ledger.path)) as connection:
        return {t: connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in OF_A_RUN}


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
    export: Export, rows: list[StagedRow], opens: Opens, nights: MakeNights
) -> None:
    """All lines of an old run are deleted. Its rows come again, and none of them is sent."""
    job = nights(export)
    first, last = job.night(*rows, invalid("X")), job.night()
    only_last = {table: int(table in ("runs", "inputs")) for table in OF_A_RUN}
    job.keys_sent()

    pruned = prune(opens)
    left = lines(opens())
    reported_rows = job.reported_rows(job.night(*rows))

    assert names(pruned) == ([first.run_id], [(last.run_id, Kept.LAST_OF_JOB)])
    assert left == only_last
    assert ({status for _, status, _ in reported_rows}, job.keys_sent()) == ({Status.SKIPPED}, [])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(LOST, Kept.ROWS_LEFT, id="unknown"),
        pytest.param(THROTTLED, Kept.ROWS_LEFT, id="unsent"),
        pytest.param(REFUSED, None, id="rejected"),
        pytest.param(DONE, None, id="succeeded"),
    ],
)
def test_a_run_with_rows_left_is_kept(answer: Verdict, reason: Kept | None, opens: Opens, nights: MakeNights) -> None:
    """A run is kept as long as a rerun would send one of its rows; who is to fix a row has done so by then."""
    orders = nights()
    first = orders.night(order("A"), order("B"), answers={"A": answer})
    orders.night()

    pruned = prune(opens)

    assert dict(names(pruned)[1]).get(first.run_id) == reason


def test_a_rerun_that_settled_all_lets_both_runs_go(opens: Opens, nights: MakeNights) -> None:
    """A run and its rerun are deleted together, once nothing is left of either."""
    orders = nights()
    first = orders.night(order("A"), order("B", refund_of="A"), answers={"A": LOST})
    half = orders.rerun(first, {"A": LOST})
    kept = names(prune(opens))
    whole = orders.rerun(first)
    last = orders.night()

    assert kept == ([], [(first.run_id, Kept.ROWS_LEFT), (half.run_id, Kept.ROWS_LEFT)])
    assert names(prune(opens)) == (
        [first.run_id, half.run_id, whole.run_id],
        [(last.run_id, Kept.LAST_OF_JOB)],
    )


def test_a_run_stays_with_its_rerun(opens: Opens, nights: MakeNights) -> None:
    """A run of which a rerun is kept is kept as well: `left` of both needs both."""
    orders = nights()
    first = orders.night(order("A"), answers={"A": LOST})
    rerun = orders.rerun(first)

    assert names(prune(opens)) == ([], [(first.run_id, Kept.FAMILY), (rerun.run_id, Kept.LAST_OF_JOB)])


def test_what_runs_or_was_killed_is_kept(opens: Opens, nights: MakeNights) -> None:
    """A run that a process executes, and one that a resume goes on with, are kept."""
    killed, running = nights(), nights(job="refunds")
    dead = killed.begin()
    killed.stage(dead, [order("A")])
    live = running.begin(opens(ALIVE))

    assert names(prune(opens)) == ([], [(dead.run.run_id, Kept.UNFINISHED), (live.run.run_id, Kept.RUNNING)])


def test_a_young_run_is_neither_deleted_nor_named(opens: Opens, nights: MakeNights) -> None:
    """A run that ended later than the moment is no old run."""
    orders = nights()
    orders.night(order("A"))
    orders.night()

    assert names(opens().prune(runs_before=NOON)) == ([], [])


def test_an_overtaken_balance_does_not_keep_its_run(opens: Opens, nights: MakeNights) -> None:
    """A night that was too short for all cards can go once the next night has sent the newer balances."""
    points = nights(Export.POINTS)
    short = points.night(balance("1", 5), balance("2", 5), most=1)
    kept = names(prune(opens))
    points.night(balance("1", 6), balance("2", 6))
    points.night()

    assert kept == ([], [(short.run_id, Kept.ROWS_LEFT)])
    assert short.run_id in names(prune(opens))[0]


def test_a_balance_that_comes_back_gets_a_new_key_after_a_prune(opens: Opens, nights: MakeNights) -> None:
    """The platform would answer the old key from memory: it is known also when its run is gone."""
    points = nights(Export.POINTS)
    for balance_now in (5, 6):
        points.night(balance("1", balance_now))
    points.night()
    prune(opens, deliveries=True)
    points.keys_sent()

    points.night(balance("1", 5))

    assert points.keys_sent() == ["1=5@-2"]


@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 3)])
def test_a_task_is_known_in_both_forms_after_a_prune(before: int, after: int, opens: Opens, nights: MakeNights) -> None:
    """The same completions do not count twice, also when the run that counted them is gone."""
    tasks = nights(Export.TASKS)
    tasks.night(task("A", before))
    tasks.night()
    prune(opens)
    # It takes the numbers that the dues of the pruned run had.
    tasks.night(task("B"))

    reported_rows = tasks.reported_rows(tasks.night(task("A", after)))

    assert reported_rows == [("A", *CONFLICT)]


def test_a_killed_prune_is_finished_by_the_next_one(opens: Opens, nights: MakeNights, clock: MovedClock) -> None:
    """Wherever a prune dies, a run is either whole or gone, nothing is sent again, and the next prune does the rest."""
    orders = nights()
    orders.night(order("A"), invalid("X"), order("A"))
    orders.night()
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
                return super().execute(sql, parameters)  # type: ignore[arg-type] # as it came

        def opened(path: object, *, durable: bool = True) -> sqlite3.Connection:
            return sqlite3.connect(str(path), isolation_level=None, check_same_thread=False, factory=Doomed)

        try:
            Ledger(path, clock, DEAD, connect=opened).prune(runs_before=LATER)
        except RuntimeError:
            deaths += 1
            found = lines(opens())
            assert (found["runs"] == 2) == (found["pruned_runs"] == 0 and found["inputs"] == 2)
            assert orders.reported_rows(orders.night(order("A"))) == [("A", *DELIVERED)]
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
def test_old_deliveries_are_deleted_where_that_is_asked_for(
    export: Export, rows: list[StagedRow], sent_again: list[str], opens: Opens, nights: MakeNights
) -> None:
    """A row that comes again is then sent again, under the same key. What the platform holds stays confirmed."""
    job = nights(export)
    job.night(*rows)
    job.night()
    job.keys_sent()

    pruned = prune(opens, deliveries=True)
    job.night(*rows)

    assert (pruned.deliveries, job.keys_sent()) == (len(sent_again), sent_again)


def test_of_an_object_only_older_states_are_forgotten(opens: Opens, nights: MakeNights) -> None:
    """The newest state of an object stays confirmed; of those before it one may be forgotten."""
    states = nights(Export.STATES)
    states.night(*(state("A", code) for code in ("BUY", "USE", "END")))
    states.night()

    assert prune(opens, deliveries=True).deliveries == 1
    assert states.reported_rows(states.night(state("A", "END"))) == [("A", *UNCHANGED)]


def test_deliveries_that_something_needs_are_kept(opens: Opens, nights: MakeNights) -> None:
    """An intent without outcome stays, a delivery of a run that is kept, and a young one."""
    orders = nights()
    first = orders.begin()
    orders.stage(first, [order("A"), order("B")])
    (due_of_a, *_) = (due for lane in first.lanes() for due in lane)
    orders.intend(first, due_of_a)
    orders.night(order("C"))

    assert prune(opens, deliveries=True).deliveries == 0
    assert opens().prune(runs_before=LATER, deliveries_before=NOON).deliveries == 0


def test_the_age_of_a_delivery_of_an_older_ledger_is_that_of_its_run(opens: Opens, nights: MakeNights) -> None:
    """A delivery that does not say when it was sent gets the time of its run, when that is deleted."""
    orders = nights()
    orders.night(order("A"))
    orders.night()
    with closing(connect(opens().path)) as connection:
        connection.execute("UPDATE deliveries SET intended_at = NULL")
    pruned = prune(opens)

    with closing(connect(opens().path)) as connection:
        found = connection.execute("SELECT identity, intended_at FROM deliveries").fetchall()
    assert (len(pruned.runs), found) == (1, [("A", int(NOON.timestamp()))])


def test_a_run_that_a_rerun_was_begun_of_meanwhile_is_kept(nights: MakeNights, opens: Opens) -> None:
    """The runs are looked at once more in the transaction that deletes them."""
    orders = nights()
    first = orders.night(order("A"))
    orders.night()
    ledger = opens()
    transactions = Transactions(connect(ledger.path))

    def read(ask: Callable[[sqlite3.Connection], T]) -> T:
        return transactions.run(ask)

    def commit(write: Callable[[sqlite3.Connection], T]) -> T:
        conclude(orders.begin(parent=first.run_id), RunState.COMPLETED)
        return transactions.run(write)

    file = PruneFile(read=read, commit=commit, is_live=lambda *_: False)
    pruned = prune_file(file, runs_before=LATER, deliveries_before=None)

    assert first.run_id not in names(pruned)[0]
    assert opens().find(first.run_id) == first
