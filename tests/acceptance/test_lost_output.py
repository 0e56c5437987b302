"""Lost output: if nobody reads stdout or stderr, run, report and exit code stay the same."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import Workspace, end_of, order, wait_until

FULL = Path("/dev/full")


def redirected(how: str) -> Sequence[str]:
    """Return a shell wrapper that redirects the command's output."""
    return ("sh", "-c", f'exec "$@" {how}', "sh")


def export_slow_night(workspace: Workspace) -> None:
    """Write 30 orders that take about 2 seconds to send."""
    workspace.configure({"jobs.orders": {"concurrency": 2}})
    workspace.export("orders.csv", [order(number) for number in range(30)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.SLOW, seconds=0.1)])


@pytest.mark.parametrize(
    ("words", "faults", "exit_code"),
    [
        pytest.param(["run", "orders", "--json"], [], 3, id="a run with rows left"),
        pytest.param(
            ["run", "orders"], [InjectedFault(FaultKind.STATUS, status=403)], 4, id="a run that stopped itself"
        ),
        pytest.param(["plan", "orders"], [], 3, id="a plan with invalid rows"),
        pytest.param(["runs"], [], 0, id="past runs"),
    ],
)
def test_a_lost_reader_of_stdout_leaves_the_exit_code(
    words: list[str], faults: list[InjectedFault], exit_code: int, workspace: Workspace
) -> None:
    """If the reader of the summary is gone, the exit code is still that of the run or the plan."""
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])
    workspace.simulator.set_faults(faults)

    process = workspace.start(*words)
    assert process.stdout is not None
    process.stdout.close()
    ended = end_of(process)

    assert ended.exit_code == exit_code
    assert "backfill:" not in ended.stderr
    assert "Exception" not in ended.stderr


def test_a_lost_reader_of_stderr_leaves_the_exit_code(workspace: Workspace) -> None:
    """A usage error without a reader still exits with 2."""
    process = workspace.start("run", "nojob")
    assert process.stderr is not None
    process.stderr.close()

    assert end_of(process).exit_code == 2


def test_a_signal_stops_a_run_whose_log_nobody_reads(workspace: Workspace) -> None:
    """SIGTERM after the reader of stderr is gone drains the run, with report and exit code 5."""
    export_slow_night(workspace)

    process = workspace.start("run", "orders")
    wait_until(lambda: len(workspace.requests()) >= 4)
    assert process.stderr is not None
    process.stderr.close()
    process.send_signal(signal.SIGTERM)
    ended = end_of(process)

    assert (ended.exit_code, workspace.summary()["state"]) == (5, "interrupted")
    assert "stopped by SIGTERM" in ended.stdout


def test_a_closed_terminal_does_not_end_the_run(workspace: Workspace) -> None:
    """Progress for a closed terminal is dropped, and the run continues to its end."""
    export_slow_night(workspace)
    ours, theirs = os.openpty()

    process = workspace.start("run", "orders", stderr=theirs, environ={"TERM": "xterm"})
    os.close(theirs)
    wait_until(lambda: len(workspace.requests()) >= 4)
    os.close(ours)
    ended = end_of(process)

    assert (ended.exit_code, workspace.results()) == (0, ["succeeded SUCCESS"] * 30)
    assert workspace.summary()["run_id"] in ended.stdout


@pytest.mark.parametrize("how", ["2>&-", ">&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_missing_or_full_outputs_do_not_end_the_run(how: str, workspace: Workspace) -> None:
    """Without stdout, without stderr, without both, or on a full disk, the run is the same."""
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])

    ended = workspace.command("run", "orders", wrapper=redirected(how))

    assert (ended.exit_code, workspace.results()) == (3, ["succeeded SUCCESS", "invalid field_invalid"])
    assert "error" not in ended.stderr


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        pytest.param(["run", "orders"], 3, id="the run stands, and so does its exit code"),
        pytest.param(["run", "orders", "--json"], 3, id="as JSON"),
        pytest.param(["plan", "orders"], 1, id="a plan is nothing but its output"),
        pytest.param(["runs", "--json"], 1, id="so is a list"),
    ],
)
def test_a_full_disk_under_stdout_is_reported(words: list[str], exit_code: int, workspace: Workspace) -> None:
    """If stdout can't be written, stderr names the cause; deliveries and reports are kept."""
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])

    ended = workspace.command(*words, wrapper=redirected(">/dev/full"))

    assert ended.exit_code == exit_code
    assert "the output is incomplete: No space left on device" in ended.stderr
    assert "internal error" not in ended.stderr
    assert "Exception" not in ended.stderr


def test_a_name_that_stdout_can_not_encode_is_escaped(workspace: Workspace) -> None:
    """An ASCII stdout gets the report's path with escapes instead of an error."""
    workspace.export("orders.csv", [order(1)])

    ended = workspace.command("run", "orders", "--report", "报告", environ={"PYTHONIOENCODING": "ascii"})

    assert ended.exit_code == 0
    assert "\\u62a5\\u544a" in ended.stdout
