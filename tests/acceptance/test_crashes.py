"""Crashes: each row has one outcome, and nothing is applied twice. Only one run of a job at a time."""

import json
import signal
import socket
from pathlib import Path

from pipeline.simulator import Decision, FaultKind, InjectedFault, When
from tests.acceptance.workspace import Workspace, end_of, first_line, order, read_csv, task, wait_until

SLOW = InjectedFault(FaultKind.SLOW, seconds=0.05)
# A PID namespace of its own, under the same host name.
IN_A_CONTAINER = ("unshare", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child")
# The case that is played here: its steps need two containers.
TWO_CONTAINERS = Path(__file__).parents[1] / "cases" / "two-containers-one-host-name"


def kill_after(requests: int, workspace: Workspace, *words: str) -> None:
    """Kill a command with SIGKILL after a number of requests reached the platform."""
    process = workspace.start(*words)
    wait_until(lambda: len(workspace.requests()) >= requests or process.poll() is not None)
    process.kill()
    end_of(process)


def export_long_reading(workspace: Workspace) -> None:
    """Write an export that takes long to read but not to send; its invalid rows do not stop the run."""
    workspace.configure({"jobs.orders": {"max_invalid": "100%"}})
    workspace.export("orders.csv", [*(order(number, trade_amount="x") for number in range(2, 4002)), order(1)])


def test_a_run_killed_three_times_applies_each_row_once(workspace: Workspace) -> None:
    """After 3 times SIGKILL and resume, each row has one outcome, and only requests in flight were repeated."""
    workspace.configure({"jobs.orders": {"concurrency": 4}})
    workspace.export("orders.csv", [order(number) for number in range(60)])
    workspace.simulator.set_faults([SLOW])

    kill_after(10, workspace, "run", "orders")
    kill_after(25, workspace, "resume", "last")
    kill_after(40, workspace, "resume", "last")
    workspace.simulator.set_faults([])
    ended = workspace.backfill("resume", "last")

    journal = workspace.simulator.journal
    assert (ended.exit_code, workspace.results()) == (0, ["succeeded SUCCESS"] * 60)
    assert sorted(journal.applied_keys()) == sorted(f"A{number}" for number in range(60))
    assert journal.decided(Decision.CONFLICT) == ()
    # At each kill up to 4 requests were in flight, and up to 4 were answered a moment before.
    assert len(journal.entries) <= 60 + 3 * 8


def test_a_killed_run_of_tasks_counts_each_completion_once(workspace: Workspace) -> None:
    """A row with several deliveries continues with those that are left."""
    workspace.export("tasks.csv", [task(number, times="6") for number in range(6)])
    workspace.simulator.set_faults([SLOW])

    kill_after(12, workspace, "run", "tasks")
    workspace.simulator.set_faults([])
    ended = workspace.backfill("resume", "last")

    keys = [f"K{number}-{part}" for number in range(6) for part in range(1, 7)]
    assert (ended.exit_code, workspace.results()) == (0, ["succeeded SUCCESS"] * 6)
    assert sorted(workspace.simulator.journal.applied_keys()) == sorted(keys)


def test_a_run_killed_while_it_reads_starts_again(workspace: Workspace) -> None:
    """A run killed before its first request reads its inputs again and sends all rows."""
    export_long_reading(workspace)

    process = workspace.start("run", "orders")
    first_line(process)
    process.kill()
    end_of(process)
    sent = workspace.requests()
    ended = workspace.backfill("resume", "last")

    assert (ended.exit_code, sent, workspace.requests()) == (3, [], ["A1"])
    assert (len(workspace.outcomes()), workspace.summary()["counts"]["invalid"]) == (4001, 4000)


def test_a_signal_while_it_reads_ends_the_run_without_a_request(workspace: Workspace) -> None:
    """SIGTERM during staging ends with exit 5, and resume reads and sends all rows."""
    export_long_reading(workspace)

    process = workspace.start("run", "orders")
    first_line(process)
    process.send_signal(signal.SIGTERM)
    ended = end_of(process)
    sent, summary = workspace.requests(), workspace.summary()
    resumed = workspace.backfill("resume", "last")

    assert (ended.exit_code, sent) == (5, [])
    assert sum(source["rows"] for source in summary["inputs"]) == summary["rows"] == sum(summary["counts"].values())
    assert (resumed.exit_code, workspace.requests(), len(workspace.outcomes())) == (3, ["A1"], 4001)


def test_a_second_run_of_a_job_is_refused_and_names_the_first(workspace: Workspace) -> None:
    """While a run is active, another run, rerun or resume of its job exits with 6; other jobs run."""
    workspace.configure({"jobs.orders": {"max_attempts": 6}})
    workspace.export("orders.csv", [order(number) for number in range(6)])
    workspace.export("tasks.csv", [task(1)])
    # The run waits and probes until the test restores the platform.
    workspace.simulator.set_faults([InjectedFault(FaultKind.STATUS, status=503, key="A*")])

    process = workspace.start("run", "orders")
    run_id = first_line(process).split("run ")[1].split()[0]
    wait_until(lambda: len(workspace.requests()) >= 1)
    refused = [workspace.backfill(*words) for words in (["run", "orders"], ["resume", "last"], ["rerun", "last"])]
    listed = json.loads(workspace.backfill("runs", "--json").stdout)
    other = workspace.backfill("run", "tasks")
    workspace.simulator.set_faults([])
    ended = end_of(process)

    assert [one.exit_code for one in refused] == [6, 6, 6]
    assert all(f"job orders is held by run {run_id} (process {process.pid} on" in one.stderr for one in refused)
    assert [(one["run_id"], one["state"]) for one in listed] == [(run_id, "running")]
    assert (other.exit_code, ended.exit_code, len(workspace.simulator.journal.applied_keys())) == (0, 0, 7)


def test_a_run_in_another_container_is_not_taken_over(workspace: Workspace) -> None:
    """In a second container with the same host name and volume, the first process is invisible: exit 6."""
    workspace.export("points.csv", read_csv(TWO_CONTAINERS / "points.csv"))

    first = workspace.start("run", "points", "--no-progress", wrapper=IN_A_CONTAINER)
    run_id = first_line(first).split("run ")[1].split()[0]
    wait_until(lambda: len(workspace.requests()) >= 3)
    refused = workspace.command("run", "points", wrapper=IN_A_CONTAINER)
    before_the_end = len(workspace.requests())
    ended = end_of(first)

    assert (refused.exit_code, refused.stdout) == (6, "")
    assert f"job points is held by run {run_id} (process 1 on {socket.gethostname()})" in refused.stderr
    assert "It can't be seen from here: if it is dead, the job is free at " in refused.stderr
    assert before_the_end < 40
    assert (ended.exit_code, workspace.results()) == (0, ["succeeded SUCCESS"] * 40)
    assert (len(workspace.requests()), len(set(workspace.requests())), len(workspace.reports())) == (40, 40, 1)


def test_a_killed_run_does_not_block_its_job(workspace: Workspace) -> None:
    """Right after SIGKILL, the job is free for a new run; delivered rows stay delivered."""
    workspace.configure({"jobs.orders": {"concurrency": 1}})
    workspace.export("orders.csv", [order(number) for number in range(10)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.SLOW, seconds=0.2)])

    kill_after(4, workspace, "run", "orders")
    workspace.simulator.set_faults([])
    (listed,) = json.loads(workspace.backfill("runs", "--json").stdout)
    ended = workspace.backfill("run", "orders")

    assert (listed["state"], ended.exit_code) == ("killed", 0)
    assert sorted(workspace.simulator.journal.applied_keys()) == sorted(f"A{number}" for number in range(10))


def test_a_killed_run_can_be_shown_and_reported(workspace: Workspace) -> None:
    """A killed run has an outcome for each row: requests in flight are unknown, the rest unsent."""
    workspace.configure({"jobs.orders": {"concurrency": 2}})
    workspace.export("orders.csv", [order(number) for number in range(50)])
    workspace.simulator.set_faults([SLOW])
    kill_after(6, workspace, "run", "orders")

    shown = workspace.backfill("show", "last")
    reported = workspace.backfill("report", "last")

    counts = workspace.summary()["counts"]
    assert (shown.exit_code, reported.exit_code, sum(counts.values()), len(workspace.outcomes())) == (0, 0, 50, 50)
    assert "killed" in shown.stdout
    assert counts["succeeded"] >= 1
    assert 1 <= counts["unknown"] <= 4
    assert set(workspace.results()) <= {"succeeded SUCCESS", "unknown interrupted", "unsent interrupted"}


def test_a_second_signal_ends_the_process_at_once(workspace: Workspace) -> None:
    """A second signal does not wait for requests in flight; resume settles the rows in doubt."""
    workspace.configure({"jobs.orders": {"concurrency": 2}})
    workspace.export("orders.csv", [order(number) for number in range(6)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.SLOW, seconds=8, when=When.AFTER_APPLYING)])

    process = workspace.start("run", "orders", "--no-progress")
    wait_until(lambda: len(workspace.requests()) >= 1)
    process.send_signal(signal.SIGINT)
    wait_until(lambda: "again to end at once" in first_line(process))
    process.send_signal(signal.SIGINT)
    ended = end_of(process)
    workspace.simulator.set_faults([])
    resumed = workspace.backfill("resume", "last")

    assert (ended.exit_code, resumed.exit_code) == (5, 0)
    assert sorted(workspace.simulator.journal.applied_keys()) == sorted(f"A{number}" for number in range(6))
