"""The chain of a run as a tree."""

from collections import Counter

from pipeline.cli.past_runs.run_tree import tree_lines
from pipeline.ledger.records import RunRecord, RunState
from pipeline.model import Api, Export, Status


def run(run_id: str, parent: str | None = None, **options: object) -> RunRecord:
    return RunRecord(
        run_no=1, run_id=run_id, job="orders", export=Export.ORDERS, api=Api.CUMULATION, account="zhima",
        account_no=1, parent=parent, options=options, limit_per_s=5.0, started_at="", state=RunState.COMPLETED,
    )  # fmt: skip


def counts(one: RunRecord) -> Counter[Status]:
    return Counter({Status.SUCCEEDED: 7, Status.SKIPPED: 1, Status.UNKNOWN: 2 if one.run_id == "A" else 0})


def test_each_run_stands_below_its_parent() -> None:
    """Reruns and fixes are drawn below the run that they continue; the shown run is marked."""
    second = run("B", "A", only=["unknown"])
    family = [run("A", resumed=2), second, run("C", "B", only=[]), run("D", "A"), run("E", "pruned", only=[])]

    lines = list(tree_lines(family, second, counts, lambda one: one.run_id.lower()))

    assert lines == [
        "a  run completed: 10 rows, 2 left, resumes: 2",
        "├─ b  rerun completed: 8 rows, 0 left *",
        "│  └─ c  rerun completed: 8 rows, 0 left",
        "├─ d  fix completed: 8 rows, 0 left",
        "└─ e  rerun completed: 8 rows, 0 left",
    ]
