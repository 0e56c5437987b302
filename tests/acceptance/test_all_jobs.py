"""`run --all`: every job of the config, one after another."""

import json
import signal

import pytest

from pipeline.simulator import FaultKind, InjectedFault, When
from tests.acceptance.workspace import Workspace, balance, end_of, order, state, task, wait_until


@pytest.fixture
def four(workspace: Workspace) -> Workspace:
    """Return a workspace with an export for each of its 4 jobs."""
    workspace.export("orders.csv", [order(1)])
    workspace.export("tasks.csv", [task(1)])
    workspace.export("states.csv", [state(1)])
    workspace.export("points.csv", [balance(1, 100)])
    return workspace


def test_every_job_runs_and_has_its_summary(four: Workspace) -> None:
    """Jobs run in the order of the config; --json prints one object a line."""
    ended = four.backfill("run", "--all", "--json")

    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (ended.exit_code, [(one["job"], one["exit_code"], one["rows"]) for one in found]) == (
        0, [("orders", 0, 1), ("tasks", 0, 1), ("states", 0, 1), ("points", 0, 1)],
    )  # fmt: skip
    assert len(four.requests()) == len(four.reports()) == 4


def test_a_job_with_a_fault_does_not_stop_the_others(four: Workspace) -> None:
    """A job without its export exits with 2, the others run; the worst exit code is that of the command."""
    (four.folder / "orders.csv").unlink()
    four.export("states.csv", [state(1, biz_data="x"), state(2)])

    ended, as_json = four.backfill("run", "--all"), four.backfill("run", "--all", "--json")

    assert (ended.exit_code, ended.stdout.splitlines()[-1]) == (
        2, "all jobs: exit code 2 (orders 2, tasks 0, states 3, points 0)",
    )  # fmt: skip
    assert "job orders: no file matches 'orders.csv'" in ended.stderr
    first = json.loads(as_json.stdout.splitlines()[0])
    assert (first["run_id"], first["job"], first["exit_code"], "no file matches" in first["reason"]) == (
        None, "orders", 2, True,
    )  # fmt: skip


def test_a_signal_stops_all_jobs(four: Workspace) -> None:
    """SIGINT drains the job that runs; the others are not begun, and the command exits with 5."""
    four.simulator.set_faults([InjectedFault(FaultKind.SLOW, seconds=1, key="A1", when=When.AFTER_APPLYING)])
    process = four.start("run", "--all")
    wait_until(lambda: bool(four.requests()))

    process.send_signal(signal.SIGINT)

    ended = end_of(process)
    assert (ended.exit_code, len(four.reports())) == (5, 1)
    assert ended.stdout.endswith("all jobs: exit code 5 (orders 0, tasks 5, states 5, points 5)\n")
    assert "these jobs were not run: tasks, states, points" in ended.stderr


def test_words_of_one_run_are_refused(workspace: Workspace) -> None:
    """What can hold for one run only does not go with --all."""
    words = {"--resync": "--resync", "--report there": "--report", "--plan plan.json": "--plan", "orders": "JOB"}

    said = {each: workspace.refused(*each.split(), "--all") for each in words}

    assert [each for each, word in words.items() if f"--all can't be used with {word}" not in said[each]] == []
