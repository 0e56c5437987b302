"""Whoever reads what a command says may go away: run, report and exit code are those they would have been."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.simulator import InjectedFault, Kind
from tests.acceptance.night import Night, end_of, order, wait_until

FULL = Path("/dev/full")


def redirected(how: str) -> Sequence[str]:
    """Return what starts the command with its output led elsewhere, as a shell does it."""
    return ("sh", "-c", f'exec "$@" {how}', "sh")


def export_slow_night(night: Night) -> None:
    """Write thirty orders that take about two seconds to send."""
    night.configure({"jobs.orders": {"concurrency": 2}})
    night.export("orders.csv", [order(number) for number in range(30)])
    night.simulator.set_faults([InjectedFault(Kind.SLOW, seconds=0.1)])


@pytest.mark.parametrize(
    ("words", "faults", "exit_code"),
    [
        pytest.param(["run", "orders", "--json"], [], 3, id="a run with rows left"),
        pytest.param(["run", "orders"], [InjectedFault(Kind.STATUS, status=403)], 4, id="a run that stopped itself"),
        pytest.param(["plan", "orders"], [], 3, id="a plan with invalid rows"),
        pytest.param(["runs"], [], 0, id="past runs"),
    ],
)
def test_a_lost_reader_of_stdout_leaves_the_exit_code(
    words: list[str], faults: list[InjectedFault], exit_code: int, night: Night
) -> None:
    """Where nobody reads the summary any more, the exit code is still that of the run or the plan."""
    night.export("orders.csv", [order(1), order(2, trade_amount="x")])
    night.simulator.set_faults(faults)

    process = night.start(*words)
    assert process.stdout is not None
    process.stdout.close()
    ended = end_of(process)

    assert ended.exit_code == exit_code
    assert "backfill:" not in ended.stderr
    assert "Exception" not in ended.stderr


def test_a_lost_reader_of_stderr_leaves_the_exit_code(night: Night) -> None:
    """A usage error that nobody reads is still one."""
    process = night.start("run", "nojob")
    assert process.stderr is not None
    process.stderr.close()

    assert end_of(process).exit_code == 2


def test_a_signal_stops_a_run_whose_log_nobody_reads(night: Night) -> None:
    """SIGTERM after the reader of stderr has gone drains the run, with its report and exit code 5."""
    export_slow_night(night)

    process = night.start("run", "orders")
    wait_until(lambda: len(night.requests()) >= 4)
    assert process.stderr is not None
    process.stderr.close()
    process.send_signal(signal.SIGTERM)
    ended = end_of(process)

    assert (ended.exit_code, night.summary()["state"]) == (5, "interrupted")
    assert "stopped by SIGTERM" in ended.stdout


def test_a_terminal_that_is_closed_ends_no_run(night: Night) -> None:
    """Progress that has no terminal any more is dropped, and the run goes on to its end."""
    export_slow_night(night)
    ours, theirs = os.openpty()

    process = night.start("run", "orders", stderr=theirs)
    os.close(theirs)
    wait_until(lambda: len(night.requests()) >= 4)
    os.close(ours)
    ended = end_of(process)

    assert (ended.exit_code, night.fates()) == (0, ["succeeded SUCCESS"] * 30)
    assert night.summary()["run_id"] in ended.stdout


@pytest.mark.parametrize("how", ["2>&-", ">&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_output_that_nobody_wants_or_can_take_ends_no_run(how: str, night: Night) -> None:
    """Without stdout, without stderr, without any, or where the log's disk is full, the run is the same."""
    night.export("orders.csv", [order(1), order(2, trade_amount="x")])

    ended = night.command("run", "orders", wrapper=redirected(how))

    assert (ended.exit_code, night.fates()) == (3, ["succeeded SUCCESS", "invalid field_invalid"])
    assert "error" not in ended.stderr


@pytest.mark.skipif(not FULL.exists(), reason="the system has no disk that is always full")
@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        pytest.param(["run", "orders"], 3, id="the run stands, and so does its exit code"),
        pytest.param(["run", "orders", "--json"], 3, id="as JSON"),
        pytest.param(["plan", "orders"], 1, id="a plan is nothing but its output"),
        pytest.param(["runs", "--json"], 1, id="so is a list"),
    ],
)
def test_a_full_disk_under_stdout_is_told(words: list[str], exit_code: int, night: Night) -> None:
    """Where stdout can't be written the cause is told on stderr; what was delivered and reported stands."""
    night.export("orders.csv", [order(1), order(2, trade_amount="x")])

    ended = night.command(*words, wrapper=redirected(">/dev/full"))

    assert ended.exit_code == exit_code
    assert "the output could not be written to its end: No space left on device" in ended.stderr
    assert "internal error" not in ended.stderr
    assert "Exception" not in ended.stderr


def test_a_name_that_stdout_has_no_letters_for_is_escaped(night: Night) -> None:
    """A stdout that knows ASCII alone gets the report's place with escapes, not an error."""
    night.export("orders.csv", [order(1)])

    ended = night.command("run", "orders", "--report", "报告", environ={"PYTHONIOENCODING": "ascii"})

    assert ended.exit_code == 0
    assert "\\u62a5\\u544a" in ended.stdout
