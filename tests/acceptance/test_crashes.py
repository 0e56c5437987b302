"""Whatever dies in between: each row has one outcome, and nothing is applied twice. One run of a job at a time."""

import json
import signal
import socket

from pipeline.simulator import Decision, InjectedFault, Kind, When
from tests.acceptance.night import Night, balance, end_of, first_line, order, task, wait_until

SLOW = InjectedFault(Kind.SLOW, seconds=0.05)
# A PID namespace of its own, under the same host name.
IN_A_CONTAINER = ("unshare", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child")


def kill_after(requests: int, night: Night, *words: str) -> None:
    """Kill a command outright once so many requests have reached the platform."""
    process = night.start(*words)
    wait_until(lambda: len(night.requests()) >= requests or process.poll() is not None)
    process.kill()
    end_of(process)


def export_long_reading(night: Night) -> None:
    """Write an export that takes long to read and not to send; its invalid rows do not stop the run."""
    night.configure({"jobs.orders": {"max_invalid": "100%"}})
    night.export("orders.csv", [*(order(number, trade_amount="x") for number in range(2, 4002)), order(1)])


def test_a_run_killed_three_times_applies_each_row_once(night: Night) -> None:
    """After SIGKILL and resume, again and again, each row has one outcome, and only what was in flight went twice."""
    night.configure({"jobs.orders": {"concurrency": 4}})
    night.export("orders.csv", [order(number) for number in range(60)])
    night.simulator.set_faults([SLOW])

    kill_after(10, night, "run", "orders")
    kill_after(25, night, "resume", "last")
    kill_after(40, night, "resume", "last")
    night.simulator.set_faults([])
    ended = night.backfill("resume", "last")

    journal = night.simulator.journal
    assert (ended.exit_code, night.fates()) == (0, ["succeeded SUCCESS"] * 60)
    assert sorted(journal.applied_keys()) == sorted(f"A{number}" for number in range(60))
    assert journal.decided(Decision.CONFLICT) == ()
    # In flight at each kill were four at most, and as many may have been answered a moment before.
    assert len(journal.entries) <= 60 + 3 * 8


def test_a_killed_run_of_tasks_counts_each_completion_once(night: Night) -> None:
    """A row that stands for several deliveries goes on with those that are left."""
    night.export("tasks.csv", [task(number, times="6") for number in range(6)])
    night.simulator.set_faults([SLOW])

    kill_after(12, night, "run", "tasks")
    night.simulator.set_faults([])
    ended = night.backfill("resume", "last")

    keys = [f"K{number}-{part}" for number in range(6) for part in range(1, 7)]
    assert (ended.exit_code, night.fates()) == (0, ["succeeded SUCCESS"] * 6)
    assert sorted(night.simulator.journal.applied_keys()) == sorted(keys)


def test_a_run_killed_while_it_reads_begins_anew(night: Night) -> None:
    """A run that died before its first request reads its inputs again, and sends all of them."""
    export_long_reading(night)

    process = night.start("run", "orders")
    first_line(process)
    process.kill()
    end_of(process)
    sent = night.requests()
    ended = night.backfill("resume", "last")

    assert (ended.exit_code, sent, night.requests()) == (3, [], ["A1"])
    assert (len(night.outcomes()), night.summary()["counts"]["invalid"]) == (4001, 4000)


def test_a_signal_while_it_reads_ends_the_run_without_a_request(night: Night) -> None:
    """SIGTERM in the first act ends with exit 5, and resume reads and sends everything."""
    export_long_reading(night)

    process = night.start("run", "orders")
    first_line(process)
    process.send_signal(signal.SIGTERM)
    ended = end_of(process)
    sent, summary = night.requests(), night.summary()
    resumed = night.backfill("resume", "last")

    assert (ended.exit_code, sent) == (5, [])
    assert sum(source["rows"] for source in summary["inputs"]) == summary["rows"] == sum(summary["counts"].values())
    assert (resumed.exit_code, night.requests(), len(night.outcomes())) == (3, ["A1"], 4001)


def test_a_second_run_of_a_job_is_refused_and_names_the_holder(night: Night) -> None:
    """While a run holds its job another run, rerun or resume of that job ends with exit 6; other jobs go on."""
    night.configure({"jobs.orders": {"max_attempts": 6}})
    night.export("orders.csv", [order(number) for number in range(6)])
    night.export("tasks.csv", [task(1)])
    # The run waits, and probes, until the test lets the platform come back.
    night.simulator.set_faults([InjectedFault(Kind.STATUS, status=503, key="A*")])

    process = night.start("run", "orders")
    run_id = first_line(process).split("run ")[1].split()[0]
    wait_until(lambda: len(night.requests()) >= 1)
    refused = [night.backfill(*words) for words in (["run", "orders"], ["resume", "last"], ["rerun", "last"])]
    listed = json.loads(night.backfill("runs", "--json").stdout)
    other = night.backfill("run", "tasks")
    night.simulator.set_faults([])
    ended = end_of(process)

    assert [one.exit_code for one in refused] == [6, 6, 6]
    assert all(f"job orders is held by run {run_id} (process {process.pid} on" in one.stderr for one in refused)
    assert [(one["run_id"], one["state"]) for one in listed] == [(run_id, "running")]
    assert (other.exit_code, ended.exit_code, len(night.simulator.journal.applied_keys())) == (0, 0, 7)


def test_a_run_in_another_container_is_not_taken_over(night: Night) -> None:
    """Two containers with one host name and one volume: the second can't see the first one's process, and exits 6."""
    night.export("points.csv", [balance(card, card) for card in range(1, 41)])

    first = night.start("run", "points", "--no-progress", wrapper=IN_A_CONTAINER)
    run_id = first_line(first).split("run ")[1].split()[0]
    wait_until(lambda: len(night.requests()) >= 3)
    refused = night.command("run", "points", wrapper=IN_A_CONTAINER)
    before_the_end = len(night.requests())
    ended = end_of(first)

    assert (refused.exit_code, refused.stdout) == (6, "")
    assert f"job points is held by run {run_id} (process 1 on {socket.gethostname()})" in refused.stderr
    assert "It can't be seen from here: if it is dead, the job is free at " in refused.stderr
    assert before_the_end < 40
    assert (ended.exit_code, night.fates()) == (0, ["succeeded SUCCESS"] * 40)
    assert (len(night.requests()), len(set(night.requests())), len(night.reports())) == (40, 40, 1)


def test_a_killed_holder_does_not_block(night: Night) -> None:
    """Right after SIGKILL the job is free for a new run; what was delivered stays delivered."""
    night.configure({"jobs.orders": {"concurrency": 1}})
    night.export("orders.csv", [order(number) for number in range(10)])
    night.simulator.set_faults([InjectedFault(Kind.SLOW, seconds=0.2)])

    kill_after(4, night, "run", "orders")
    night.simulator.set_faults([])
    (listed,) = json.loads(night.backfill("runs", "--json").stdout)
    ended = night.backfill("run", "orders")

    assert (listed["state"], ended.exit_code) == ("killed", 0)
    assert sorted(night.simulator.journal.applied_keys()) == sorted(f"A{number}" for number in range(10))


def test_a_killed_run_can_be_shown_and_reported(night: Night) -> None:
    """A run that nobody concluded has an outcome for each row: what was in flight is unknown, the rest unsent."""
    night.configure({"jobs.orders": {"concurrency": 2}})
    night.export("orders.csv", [order(number) for number in range(50)])
    night.simulator.set_faults([SLOW])
    kill_after(6, night, "run", "orders")

    shown = night.backfill("show", "last")
    reported = night.backfill("report", "last")

    counts = night.summary()["counts"]
    assert (shown.exit_code, reported.exit_code, sum(counts.values()), len(night.outcomes())) == (0, 0, 50, 50)
    assert "killed" in shown.stdout
    assert counts["succeeded"] >= 1
    assert 1 <= counts["unknown"] <= 4
    assert set(night.fates()) <= {"succeeded SUCCESS", "unknown interrupted", "unsent interrupted"}


def test_a_second_signal_ends_the_process_at_once(night: Night) -> None:
    """Whoever cannot wait for what is in flight presses twice; resume settles what was left in doubt."""
    night.configure({"jobs.orders": {"concurrency": 2}})
    night.export("orders.csv", [order(number) for number in range(6)])
    night.simulator.set_faults([InjectedFault(Kind.SLOW, seconds=8, when=When.AFTER_APPLYING)])

    process = night.start("run", "orders", "--no-progress")
    wait_until(lambda: len(night.requests()) >= 1)
    process.send_signal(signal.SIGINT)
    wait_until(lambda: "once more to end at once" in first_line(process))
    process.send_signal(signal.SIGINT)
    ended = end_of(process)
    night.simulator.set_faults([])
    resumed = night.backfill("resume", "last")

    assert (ended.exit_code, resumed.exit_code) == (5, 0)
    assert sorted(night.simulator.journal.applied_keys()) == sorted(f"A{number}" for number in range(6))
