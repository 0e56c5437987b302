"""The plan of a run: the result of staging without sending."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
import pytest

from pipeline.ledger.dry_run import DryRun
from pipeline.ledger.ledger import Ledger
from pipeline.model import Api, Export, Payload, digest
from pipeline.run.plan import Plan, plan_of
from tests.ledger_runs.job_runs import DEAD, REFUSED, JobRuns
from tests.ledger_runs.staged_rows import StagedRow, balance, invalid, order, task
from tests.moved_clock import MovedClock


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return the real ledger."""
    ledger = Ledger(tmp_path / "backfill.db", MovedClock(), DEAD)
    yield ledger
    ledger.close()


def planned(
    ledger: Ledger, rows: Sequence[StagedRow], export: Export = Export.ORDERS, *, show_ids: bool = False
) -> Plan:
    """Return the plan of a run over these rows, with the real ledger."""
    job_runs = JobRuns(lambda owner=DEAD: ledger, export)
    with DryRun(ledger.path, job_runs.new(), job_runs.owner, ledger.path.parent, clock=MovedClock()) as dry_run:
        job_runs.stage(dry_run, rows)
        return plan_of(dry_run.result, 5.0, show_ids=show_ids)


def test_a_plan_counts_what_a_run_would_do(ledger: Ledger) -> None:
    """A plan counts rows by result, requests and lanes, and has the first problems."""
    made = planned(ledger, [order("A"), order("A"), order("B"), invalid("C"), invalid("D"), order("E", user="v")])

    assert (made.rows, made.counts, made.codes) == (
        6, {"to_send": 3, "skipped": 1, "invalid": 2}, {"field_missing": 2, "duplicate_row": 1},
    )  # fmt: skip
    assert (made.to_send, made.lanes, made.seconds) == (3, 2, 0.6)
    assert [(problem.source_row, problem.code) for problem in made.problems] == [
        (4, "field_missing"),
        (5, "field_missing"),
    ]


def test_a_task_counts_as_often_as_it_is_sent(ledger: Ledger) -> None:
    """A row with several deliveries counts as many requests."""
    made = planned(ledger, [task("A", 3), task("B")], Export.TASKS)

    assert (made.rows, made.counts["to_send"], made.to_send) == (2, 2, 4)


@pytest.mark.parametrize(
    ("delivered", "planned_now"),
    [
        pytest.param(task("A", 1), task("A", 2), id="once-then-twice"),
        pytest.param(task("A", 2), task("A", 1), id="twice-then-once"),
    ],
)
def test_a_plan_finds_conflicts_of_times(ledger: Ledger, delivered: StagedRow, planned_now: StagedRow) -> None:
    """A task that was delivered with another form of `times` is a conflict, in a plan as in a run."""
    JobRuns(lambda owner=DEAD: ledger, Export.TASKS).run(delivered)

    assert planned(ledger, [planned_now], Export.TASKS).codes == {"key_conflict": 1}


def test_a_plan_reads_the_ledger_and_changes_nothing(ledger: Ledger) -> None:
    """A plan takes the real ledger's deliveries into account and does not change it."""
    orders = JobRuns(lambda owner=DEAD: ledger)
    orders.run(order("A"), order("B"), answers={"B": REFUSED})
    before = list(ledger.recent(9))

    made = planned(ledger, [order("A"), order("A", "2"), order("B", "2"), order("C")])

    assert made.counts == {"to_send": 2, "skipped": 1, "invalid": 1}
    assert made.codes == {"already_succeeded": 1, "key_conflict": 1}
    assert list(ledger.recent(9)) == before
    assert orders.reported_rows(orders.run(order("C")))[0][0] == "C"


def test_a_plan_skips_balances_that_were_sent(ledger: Ledger) -> None:
    """A plan skips the balances that a run would skip."""
    JobRuns(lambda owner=DEAD: ledger, Export.POINTS).run(balance("X", 5), balance("Y", 1))

    made = planned(ledger, [balance("X", 5), balance("X", 4), balance("X", 5), balance("Y", 2)], Export.POINTS)

    assert made.counts == {"to_send": 1, "skipped": 3, "invalid": 0}
    assert made.codes == {"superseded": 2, "unchanged": 1}


def test_samples_show_no_user(ledger: Ledger) -> None:
    """Samples are the first payloads, without values that identify the user."""
    body = {"out_biz_no": "A", "user_id": "2088000000000001", "agreement_no": "20230000000000000001", "biz_time": "now"}
    payload = Payload(Api.CUMULATION, "A", "A", orjson.dumps(body), digest("u"), agreement="1")
    rows = [StagedRow(0, (), (payload,), "A"), *(order(key) for key in "BCD")]

    made = planned(ledger, rows)

    assert made.samples[0] == (
        '{"out_biz_no":"A","user_id":"<16 characters>","agreement_no":"<20 characters>","biz_time":"now"}'
    )
    assert len(made.samples) == 4


def test_samples_show_ids_with_show_ids(ledger: Ledger) -> None:
    """With `show_ids`, samples are the exact bodies."""
    body = orjson.dumps({"out_biz_no": "D20251120000000001", "user_id": "2088000000000001"})
    rows = [StagedRow(0, (), (Payload(Api.CUMULATION, "A", "A", body, digest("u"), agreement="1"),), "A")]

    assert planned(ledger, rows, show_ids=True).samples == [body.decode()]
