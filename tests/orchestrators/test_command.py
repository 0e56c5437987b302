"""The command as a process: words, logs, result, signals, and which run a retry resumes."""

import signal
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipeline.orchestrators.command import BackfillCommand, CommandResult, TaskState
from tests.orchestrators.conftest import Night
from tests.orchestrators.fake_command import WAITS_FOR_A_SIGNAL, FakeCommand, summary

MakeFake = Callable[..., FakeCommand]
RUN = ["run", "orders", "--format", "csv", "--json"]
INTERRUPTED = summary(5, "interrupted", succeeded=1, unsent=2)


def result_of(exit_code: int, printed: Mapping[str, Any]) -> CommandResult:
    return CommandResult(exit_code, printed, "backfill: the reason", "csv")


def ignore(line: str) -> None:
    """Drop a log line."""


@pytest.mark.parametrize(
    ("exit_code", "codes", "state"),
    [
        (0, {}, TaskState.SUCCEEDED),
        (1, {}, TaskState.RETRY),
        (2, {}, TaskState.FAILED),
        (3, {"field_missing": 1}, TaskState.FAILED),
        (4, {"stopped": 1}, TaskState.FAILED),
        (5, {"interrupted": 1}, TaskState.RETRY),
        (5, {"deadline": 1}, TaskState.FAILED),
        (6, {}, TaskState.RETRY),
        (127, {}, TaskState.FAILED),
        (-signal.SIGKILL, {}, TaskState.RETRY),
    ],
)
def test_an_exit_code_says_what_a_scheduler_does(exit_code: int, codes: Mapping[str, int], state: TaskState) -> None:
    """Only an end that may be another one next time is retried."""
    assert result_of(exit_code, {"codes": codes}).state(accept_rows_left=False) is state


@pytest.mark.parametrize(("exit_code", "state"), [(3, TaskState.SUCCEEDED), (4, TaskState.FAILED)])
def test_rows_left_may_be_accepted(exit_code: int, state: TaskState) -> None:
    """`accept_rows_left` makes exit code 3 a success, and no other one."""
    assert result_of(exit_code, {}).state(accept_rows_left=True) is state


def test_a_result_has_counts_and_paths_and_no_input(fake: MakeFake) -> None:
    """The value for later tasks has these fields only: a URI of an input may hold credentials."""
    command = BackfillCommand(
        "orders", outcome_format="parquet", program=fake(run=[(0, summary(0, succeeded=3))]).program
    )

    assert command.run(ignore).value() == {
        "exit_code": 0,
        "run_id": "01K0000000000000000000000A",
        "job": "orders",
        "date": "2025-11-20",
        "state": "completed",
        "rows": 3,
        "left": 0,
        "counts": {"succeeded": 3},
        "report": "/data/reports/01K0000000000000000000000A",
        "outcome": "/data/reports/01K0000000000000000000000A/outcome.parquet",
    }


def test_a_command_without_a_summary_has_its_last_log_line(fake: MakeFake) -> None:
    """After a usage error, say, the result has the exit code and no run; its text has the reason."""
    result = BackfillCommand("orders", program=fake(run=[(2, None)]).program).run(ignore)

    assert {name: value for name, value in result.value().items() if value is not None} == {"exit_code": 2}
    assert str(result) == "exit code 2: a session of its own: True"


def test_a_program_that_does_not_exist_is_named() -> None:
    """A wrong path is no reason to try again, and the text says what to correct."""
    result = BackfillCommand("orders", program="/nowhere/backfill").run(ignore)

    assert result.state(accept_rows_left=True) is TaskState.FAILED
    assert str(result) == ("exit code 127: /nowhere/backfill is no program; name the path of `backfill` as `program`")


def test_a_result_says_what_is_left() -> None:
    """The text of a result has exit code, run, counts that are not 0, and the report."""
    text = str(result_of(3, summary(3, succeeded=2, invalid=1, unknown=0)))

    assert text == (
        "exit code 3, run 01K0000000000000000000000A: 2 succeeded, 1 invalid;"
        " report: /data/reports/01K0000000000000000000000A"
    )


def test_each_log_line_is_passed_on(fake: MakeFake) -> None:
    """Lines of stderr arrive one by one; the command has a session of its own."""
    lines: list[str] = []

    BackfillCommand("orders", program=fake(run=[(0, summary(0))]).program).run(lines.append)

    assert lines == ["log of run", "a session of its own: True"]


def test_the_fields_become_the_command_line(fake: MakeFake) -> None:
    """Each field is an argument or option of `backfill run`."""
    command = fake(run=[(0, summary(0))])

    BackfillCommand(
        job="orders",
        inputs=["a.csv", "b c.csv"],
        date="2025-11-20",
        config="night.toml",
        until="06:30",
        outcome_format="jsonl",
        options=["--max-invalid", "5%"],
        program=command.program,
    ).run(ignore)

    (words,) = command.calls()
    assert words == [
        *("run", "--config", "night.toml", "orders", "a.csv", "b c.csv", "--date", "2025-11-20", "--until", "06:30"),
        *("--format", "jsonl", "--max-invalid", "5%", "--json"),
    ]


@pytest.mark.parametrize("state", ["interrupted", "killed"])
@pytest.mark.parametrize("date", ["2025-11-20", None])
def test_a_retry_resumes_the_interrupted_run(fake: MakeFake, state: str, date: str | None) -> None:
    """The job's last run of the same date is resumed if it was interrupted or killed."""
    runs = [
        {"run_id": "01K0000000000000000000000C", "job": "points", "state": "interrupted", "parent": None},
        {"run_id": "01K0000000000000000000000B", "job": "orders", "state": "interrupted", "parent": "another run"},
        {"run_id": "01K0000000000000000000000A", "job": "orders", "state": state, "parent": None},
    ]
    command = fake(runs=[(0, runs)], show=[(0, INTERRUPTED)], resume=[(0, summary(0, succeeded=3))])

    result = BackfillCommand("orders", date=date, program=command.program).run(ignore, is_retry=True)

    assert result.exit_code == 0
    assert command.calls()[1:] == [
        ["show", "01K0000000000000000000000A", "--json"],
        ["resume", "01K0000000000000000000000A", "--format", "csv", "--json"],
    ]


@pytest.mark.parametrize(
    ("answers", "fields", "words"),
    [
        pytest.param({"runs": [(0, [{**INTERRUPTED, "state": "completed", "parent": None}])]}, {}, RUN, id="completed"),
        pytest.param({"runs": [(0, [{**INTERRUPTED, "state": "stopped", "parent": None}])]}, {}, RUN, id="stopped"),
        pytest.param({"runs": [(0, [])]}, {}, RUN, id="no run"),
        pytest.param({"runs": [(2, None)]}, {}, RUN, id="no config"),
        pytest.param(
            {"runs": [(0, [{**INTERRUPTED, "parent": None}])], "show": [(0, INTERRUPTED)]},
            {"date": "2025-11-21"},
            ["run", "orders", "--date", "2025-11-21", *RUN[2:]],
            id="another date",
        ),
        pytest.param({}, {"inputs": ["a.csv"]}, ["run", "orders", "a.csv", *RUN[2:]], id="inputs of its own"),
    ],
)
def test_any_other_retry_runs_the_job_again(
    fake: MakeFake, answers: dict[str, Any], fields: dict[str, Any], words: list[str]
) -> None:
    """A run that is not the same one, or that `resume` does not continue, is started anew."""
    command = fake(run=[(0, summary(0, succeeded=3))], **answers)

    BackfillCommand("orders", program=command.program, **fields).run(ignore, is_retry=True)

    assert command.calls()[-1] == words


def test_an_exception_lets_the_command_end_first(fake: MakeFake) -> None:
    """A timeout or interrupt sends SIGTERM, waits until the command has ended, and is raised."""
    lines: list[str] = []

    def interrupt(line: str) -> None:
        lines.append(line)
        if line == "sending":
            raise TimeoutError("too long")

    with pytest.raises(TimeoutError, match="too long"):
        BackfillCommand("orders", program=fake(run=[WAITS_FOR_A_SIGNAL]).program).run(interrupt)

    assert lines == ["sending", "draining"]


def test_stop_lets_the_command_end(fake: MakeFake) -> None:
    """`stop` sends SIGTERM once; the command then ends with its own exit code."""
    command = BackfillCommand("orders", program=fake(run=[WAITS_FOR_A_SIGNAL]).program)

    result = command.run(lambda line: command.stop() if line == "sending" else None)

    assert (result.exit_code, result.last_line) == (5, "draining")


def test_a_stop_before_the_start_counts(fake: MakeFake) -> None:
    """A command that is stopped while it looks for a run to resume ends at once."""
    command = BackfillCommand("orders", program=fake(run=[WAITS_FOR_A_SIGNAL]).program)
    command.stop()

    assert command.run(ignore).exit_code in (5, -signal.SIGTERM)


@pytest.mark.slow
def test_a_retry_continues_the_real_command(night: Night) -> None:
    """A run that a signal interrupted is continued by the next try; both are one run."""
    first = BackfillCommand("orders", config=night.config, program=night.program)

    stopped = first.run(lambda line: first.stop() if "of job orders" in line else None)
    ended = BackfillCommand("orders", config=night.config, program=night.program).run(ignore, is_retry=True)

    assert (stopped.exit_code, stopped.state(accept_rows_left=False)) == (5, TaskState.RETRY)
    assert ended.value() == {**stopped.value(), "exit_code": 3, "state": "completed", "left": 1} | {
        "counts": {"succeeded": 11, "skipped": 1, "invalid": 1, "rejected": 0, "unknown": 0, "blocked": 0, "unsent": 0}
    }


@pytest.mark.slow
def test_the_real_command_says_that_the_deadline_ended_it(night: Night) -> None:
    """After a deadline the rows left have the code by which no retry is made."""
    past = (datetime.now(ZoneInfo("Asia/Shanghai")) - timedelta(minutes=2)).strftime("%H:%M")

    result = BackfillCommand("orders", until=past, config=night.config, program=night.program).run(ignore)

    assert (result.exit_code, result.summary["codes"]["deadline"]) == (5, 11)
    assert result.state(accept_rows_left=True) is TaskState.FAILED
