"""Short ids, chains and counts of runs, as `runs` and `show` print them."""

from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from pipeline.ledger.history.run_counts import DONE
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import NewRun, RunRecord, RunState
from pipeline.model import Api, Export, Status
from pipeline.write.answers.verdict import Verdict
from tests.ledger_runs.job_runs import LOST, ME, REFUSED, THROTTLED, JobRuns, NewJobRuns, Opens, conclude
from tests.ledger_runs.staged_rows import balance, invalid, order, state, task

ANSWERS: Mapping[str, Verdict] = {"B": LOST, "C": REFUSED, "D": THROTTLED, "T-2": LOST}


def of_orders(new_job: NewJobRuns) -> RunRecord:
    rows = [order("A"), order("A"), order("B"), order("C"), order("D"), invalid("E"), order("R", refund_of="C")]
    return new_job().run(*rows, answers=ANSWERS)


def of_known_orders(new_job: NewJobRuns) -> RunRecord:
    orders = new_job()
    orders.run(order("A"), order("B"), answers=ANSWERS)
    return orders.run(order("A"), order("A", "2"), order("F"))


def of_tasks(new_job: NewJobRuns) -> RunRecord:
    return new_job(Export.TASKS).run(task("T", 3), task("U", 2), task("V"), answers=ANSWERS)


def of_balances(new_job: NewJobRuns) -> RunRecord:
    points = new_job(Export.POINTS)
    points.run(balance("a", 1), balance("b", 2))
    return points.run(balance("a", 1), balance("b", 1), balance("b", 3), balance("c", 1))


def of_states(new_job: NewJobRuns) -> RunRecord:
    return new_job(Export.STATES).run(state("A", "BUY"), state("A", "BUY"), state("A", "USED"))


def cut_off(new_job: NewJobRuns) -> RunRecord:
    return new_job().run(order("A"), order("F"), order("G"), most=1)


def killed(new_job: NewJobRuns) -> RunRecord:
    orders = new_job()
    run = orders.begin()
    orders.stage(run, [order("A"), order("F"), invalid()])
    first = next(iter(next(run.lanes())))
    orders.intend(run, first)
    return run.run


def ended_while_staging(new_job: NewJobRuns) -> RunRecord:
    orders = new_job()
    run = orders.begin()
    orders.stage(run, [order("A"), order("F"), invalid()], decide=False)
    return conclude(run, RunState.INTERRUPTED)


def rerun(new_job: NewJobRuns) -> RunRecord:
    orders = new_job()
    return orders.rerun(of_orders(new_job))


@pytest.mark.parametrize(
    "make",
    [of_orders, of_known_orders, of_tasks, of_balances, of_states, cut_off, killed, ended_while_staging, rerun],
)
def test_rows_are_counted_as_their_outcomes_are(
    make: Callable[[NewJobRuns], RunRecord], new_job: NewJobRuns, opens: Opens
) -> None:
    """Rows in all, by status and left are those of all outcomes, for runs of each kind and however they ended."""
    ledger, made = opens(), make(new_job)
    run = ledger.find(made.run_id)

    expected = Counter(outcome.status for outcome in ledger.outcomes(run))

    assert expected
    assert (+ledger.counts(run), ledger.rows(run)) == (expected, expected.total())
    assert ledger.left(run) == Counter({status: rows for status, rows in expected.items() if status not in DONE})


def begun(ledger: Ledger, run_id: str, job: str) -> RunRecord:
    new = NewRun(run_id, job, Export.ORDERS, Api.CUMULATION, "zhima", 5.0, "2026-03-01T12:00:00.000Z")
    return ledger.begin(new, ME).run


def test_a_short_id_is_a_unique_prefix(opens: Opens) -> None:
    """It has 8 characters, or as many as it takes to be the prefix of no other run; `find` accepts it."""
    ledger = opens()
    ids = [
        "01M8MHVKZ0HYC2TF5C7GZCJHDV",
        "01M8MHVKZ0J0000000000000XX",
        "01M8MHVKZ1J0000000000000XX",
        "01M8MHVM" + "0" * 18,
    ]
    runs = [begun(ledger, run_id, f"job{n}") for n, run_id in enumerate(ids)]

    short = [ledger.short_id(run) for run in runs]

    assert short == ["01M8MHVKZ0H", "01M8MHVKZ0J", "01M8MHVKZ1", "01M8MHVM"]
    assert [ledger.find(prefix).run_id for prefix in short] == ids


def test_a_family_begins_with_its_first_run(new_job: NewJobRuns, opens: Opens) -> None:
    """From any run of a chain the same runs are found, oldest first."""
    orders: JobRuns = new_job()
    first = orders.run(order("A"), order("B"), order("C"), answers={"B": LOST, "C": LOST})
    second = orders.rerun(first, {"C": LOST})
    third = orders.rerun(second)
    other = orders.run(order("X"))
    ledger = opens()

    found = [[each.run_id for each in ledger.family(run)] for run in (first, second, third, other)]

    chain = [first.run_id, second.run_id, third.run_id]
    assert found == [chain, chain, chain, [other.run_id]]


def test_what_a_rerun_has_done_is_left_in_no_run_of_its_family(new_job: NewJobRuns, opens: Opens) -> None:
    """The first run keeps the rows that no rerun has finished, by their status in it."""
    orders: JobRuns = new_job()
    first = orders.run(order("A"), order("B"), order("C"), order("D"), answers={"B": LOST, "C": LOST, "D": REFUSED})
    ledger = opens()
    before = ledger.left(first)
    second = orders.rerun(first, {"C": LOST})
    between = [ledger.left(run) for run in (first, second)]
    third = orders.rerun(second)

    assert before == {Status.UNKNOWN: 2, Status.REJECTED: 1}
    assert between == [{Status.UNKNOWN: 1, Status.REJECTED: 1}, {Status.UNKNOWN: 1}]
    assert [ledger.left(run) for run in (first, second, third)] == [{Status.REJECTED: 1}, {}, {}]
    assert [ledger.rows(run) for run in (first, second, third)] == [4, 2, 1]
