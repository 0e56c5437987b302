"""`plan --diff`: rows that are new, changed and gone since the last completed run of the job."""

import random
from collections.abc import Mapping, Sequence

import pytest

from pipeline.ledger.dry_run import DryRun
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.staging.changes import Difference, ExampleRow, ExportDifferences
from pipeline.model import Export
from pipeline.write.answers.verdict import Verdict
from tests.ledger_runs.job_runs import DEAD, LOST, REFUSED, JobRuns, Opens
from tests.ledger_runs.staged_rows import StagedRow, balance, invalid, order, state, task
from tests.moved_clock import MovedClock


@pytest.fixture
def ledger(opens: Opens) -> Ledger:
    """The ledger of the test, opened once."""
    return opens()


def differences(ledger: Ledger, rows: Sequence[StagedRow], export: Export = Export.ORDERS) -> ExportDifferences | None:
    """Return how an export of these rows differs from the job's last completed run."""
    job_runs = JobRuns(lambda owner=DEAD: ledger, export)
    folder = ledger._file.scratch
    with DryRun(ledger.place, job_runs.new(), job_runs.owner, folder, clock=MovedClock(), compares=True) as dry_run:
        job_runs.stage(dry_run, rows)
        return dry_run.result.differences


def counts(ledger: Ledger, rows: Sequence[StagedRow], export: Export = Export.ORDERS) -> tuple[int, int, int]:
    """Return the numbers of rows that are new, changed and gone."""
    found = differences(ledger, rows, export)
    assert found is not None
    return found.new.rows, found.changed.rows, found.gone.rows


def test_without_a_completed_run_there_is_nothing_to_compare(ledger: Ledger) -> None:
    """The first plan of a job, and one after an interrupted run only, have no differences."""
    JobRuns(lambda owner=DEAD: ledger).run(order("A"), order("B"), most=1)

    assert differences(ledger, [order("A")]) is None


def test_new_changed_and_gone_rows_are_counted_with_examples(ledger: Ledger) -> None:
    """Each row is compared by its request key; examples have place and masked key."""
    last = JobRuns(lambda owner=DEAD: ledger).run(order("KEY-A"), order("KEY-B"), order("KEY-C"), order("KEY-D"))

    found = differences(ledger, [order("KEY-A"), order("KEY-B", "2"), order("KEY-X"), order("KEY-D")])

    assert found == ExportDifferences(
        run_id=last.run_id,
        short_id="ORDERS-0",
        date=None,
        new=Difference(1, (ExampleRow("orders.csv", 3, "K***X (5 characters)"),)),
        changed=Difference(1, (ExampleRow("orders.csv", 2, "K***B (5 characters)"),)),
        gone=Difference(1, (ExampleRow("orders.csv", 3, "K***C (5 characters)"),)),
    )


ANSWERS: Mapping[str, Verdict] = {"refused": REFUSED, "lost": LOST}


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param(order("A"), order("A"), (0, 0, 0), id="delivered, the same"),
        pytest.param(order("A"), order("A", "2"), (0, 1, 0), id="delivered, other content"),
        pytest.param(order("refused"), order("refused"), (0, 0, 0), id="refused, the same"),
        pytest.param(order("refused"), order("refused", "2"), (0, 1, 0), id="refused, fixed"),
        pytest.param(order("lost"), order("lost"), (0, 0, 0), id="unknown, the same"),
        pytest.param(order("lost"), order("lost", "2"), (0, 1, 0), id="unknown, other content"),
        pytest.param(invalid("A"), invalid("A"), (0, 0, 0), id="invalid as before"),
        pytest.param(invalid("A"), order("A"), (0, 1, 0), id="invalid, fixed"),
        pytest.param(order("A"), invalid("A"), (0, 1, 0), id="newly invalid"),
        pytest.param(invalid(), invalid(), (0, 0, 0), id="without a key"),
        pytest.param(order("A"), order("A", refund_of="B"), (0, 1, 0), id="another kind"),
    ],
)
def test_a_row_of_both_sides(before: StagedRow, now: StagedRow, expected: tuple[int, int, int], ledger: Ledger) -> None:
    """A row has changed if it has other content, or is valid on one side only."""
    JobRuns(lambda owner=DEAD: ledger).run(before, answers=ANSWERS)

    assert counts(ledger, [now]) == expected


def test_rows_that_the_last_run_skipped_are_known(ledger: Ledger) -> None:
    """The last run counts as a whole: rows that it skipped, since an earlier one had delivered them, too."""
    orders = JobRuns(lambda owner=DEAD: ledger)
    orders.run(order("A"), order("B"))
    orders.run(order("A"), order("C"))

    assert counts(ledger, [order("A"), order("B"), order("C", "2")]) == (1, 1, 0)
    assert counts(ledger, [order("A", "2")]) == (0, 1, 1)


def test_reruns_are_no_export(ledger: Ledger) -> None:
    """The run before a rerun is compared: a rerun has some of its rows only."""
    orders = JobRuns(lambda owner=DEAD: ledger)
    first = orders.run(order("A"), order("lost"), answers=ANSWERS)
    orders.rerun(first)

    assert counts(ledger, [order("A"), order("lost")]) == (0, 0, 0)


def test_a_key_counts_once(ledger: Ledger) -> None:
    """Rows that repeat others of their export are not counted again."""
    JobRuns(lambda owner=DEAD: ledger).run(order("A"), order("A"), order("B"), order("B"))

    assert counts(ledger, [order("C"), order("C"), order("C", "2"), order("B"), order("B")]) == (1, 0, 1)


def test_a_task_done_more_often_has_changed(ledger: Ledger) -> None:
    """All deliveries of a row together are its content."""
    JobRuns(lambda owner=DEAD: ledger, Export.TASKS).run(task("A", 2), task("B", 2))

    assert counts(ledger, [task("A", 3), task("B", 2)], Export.TASKS) == (0, 1, 0)


def test_a_new_balance_has_a_new_key(ledger: Ledger) -> None:
    """A key made from the row names its content: another balance is a new row, and the old one is gone."""
    JobRuns(lambda owner=DEAD: ledger, Export.POINTS).run(balance("a", 1), balance("b", 2))

    assert counts(ledger, [balance("a", 1), balance("b", 3)], Export.POINTS) == (1, 0, 1)


def test_a_balance_with_a_key_of_its_own_has_changed(ledger: Ledger) -> None:
    """Keys of the export are compared like those of orders."""
    points = JobRuns(lambda owner=DEAD: ledger, Export.POINTS)
    points.run(balance("a", 1, key="A"), balance("b", 2, key="B"), answers={"B": REFUSED})

    assert counts(ledger, [balance("a", 1, key="A"), balance("b", 3, key="B")], Export.POINTS) == (0, 1, 0)


def test_states_are_compared_by_key(ledger: Ledger) -> None:
    """The same last state is unchanged, another one has changed."""
    JobRuns(lambda owner=DEAD: ledger, Export.STATES).run(state("A", "BUY"), state("B", "BUY"), state("C", "BUY"))

    assert counts(ledger, [state("A", "BUY"), state("B", "USED"), state("D", "BUY")], Export.STATES) == (1, 1, 1)


def test_an_empty_export_has_lost_all_rows(ledger: Ledger) -> None:
    """Without a row all are gone; the first ones in source order are the examples."""
    JobRuns(lambda owner=DEAD: ledger).run(*(order(f"A{number}") for number in range(1, 6)))

    found = differences(ledger, [])

    assert found is not None
    assert (found.gone.rows, [row.row for row in found.gone.examples]) == (5, [1, 2, 3])


def test_many_rows_of_one_key_are_one(ledger: Ledger) -> None:
    """Rows of one key that fill more than a table of memory count as one."""
    JobRuns(lambda owner=DEAD: ledger).run(order("B"))

    assert counts(ledger, [invalid("A")] * 150_000) == (1, 0, 1)


@pytest.mark.parametrize("seed", range(2))
def test_the_comparison_agrees_with_a_plain_one(seed: int, ledger: Ledger) -> None:
    """For exports of unique keys, the numbers are those of a comparison of two dicts."""
    chance = random.Random(seed)
    before = {f"K{number}": chance.choice("12") for number in chance.sample(range(150), 90)}
    now = {f"K{number}": chance.choice("12") for number in chance.sample(range(150), 90)}
    JobRuns(lambda owner=DEAD: ledger).run(*(order(key, content) for key, content in before.items()))

    found = counts(ledger, [order(key, content) for key, content in now.items()])

    changed = sum(before[key] != now[key] for key in before.keys() & now.keys())
    assert found == (len(now.keys() - before.keys()), changed, len(before.keys() - now.keys()))
