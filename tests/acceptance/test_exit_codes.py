"""Every exit code, with the command in a process of its own."""

import json
import signal
from collections.abc import Callable

import pytest

from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import Workspace, end_of, order, wait_until

IN_NO_FOLDER = ("sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh")
# An argument that is not UTF-8, in Python's form.
LATIN = b"r\xff".decode(errors="surrogateescape")


def test_exit_0_when_every_row_is_done(workspace: Workspace) -> None:
    """A run whose rows all succeeded or were skipped exits with 0."""
    workspace.export("orders.csv", [order(1), order(1), order(2)])

    ended = workspace.command("run", "orders")

    assert (ended.exit_code, workspace.results(), workspace.summary()["state"]) == (
        0,
        ["succeeded SUCCESS", "skipped duplicate_row", "succeeded SUCCESS"],
        "completed",
    )


def test_exit_1_when_the_disk_is_full_and_nothing_is_lost(workspace: Workspace) -> None:
    """A ledger that can't grow stops the run and names the cause; with free space, resume sends the rest."""
    workspace.configure({"jobs.orders": {"concurrency": 1}})
    workspace.export("orders.csv", [order(number) for number in range(120)])
    limited = ("sh", "-c", 'ulimit -f 1600; exec "$@"', "sh")

    ended = workspace.command("run", "orders", "--no-progress", wrapper=limited)
    sent = len(workspace.requests())
    resumed = workspace.command("resume", "last")

    assert (ended.exit_code, ended.stdout, 0 < sent < 120) == (1, "", True)
    assert "resume the run" in ended.stderr
    assert (resumed.exit_code, sorted(workspace.simulator.journal.applied_keys())) == (
        0,
        sorted(f"A{n}" for n in range(120)),
    )


def test_exit_1_when_the_ledger_is_damaged(workspace: Workspace) -> None:
    """A damaged ledger is reported, and nothing is sent."""
    workspace.export("orders.csv", [order(1)])
    workspace.command("run", "orders")
    ledger = workspace.folder / "state" / "backfill.db"
    ledger.write_bytes(ledger.read_bytes()[:4096] + b"\xff" * (ledger.stat().st_size - 4096))

    ended = workspace.command("run", "orders")

    assert (ended.exit_code, ended.stdout, len(workspace.requests())) == (1, "", 1)
    assert "the file is damaged; restore it from a backup" in ended.stderr


def nothing(_: Workspace) -> None:
    """Change nothing."""


def unknown_key(workspace: Workspace) -> None:
    workspace.configure({"jobs.orders": {"rte": 5}})


def no_private_key(workspace: Workspace) -> None:
    (workspace.folder / "keys" / "app_private_key.pem").unlink()


def no_input(workspace: Workspace) -> None:
    (workspace.folder / "orders.csv").unlink()


@pytest.mark.parametrize(
    ("prepare", "words", "messages"),
    [
        pytest.param(nothing, ["run"], "required: JOB", id="no job"),
        pytest.param(nothing, ["send", "orders"], "invalid choice: 'send'", id="unknown command"),
        pytest.param(nothing, ["run", "orders", "--fast"], "unrecognized arguments: --fast", id="unknown option"),
        pytest.param(nothing, ["run", "ordres"], "no job has the name ordres; did you mean orders?", id="unknown job"),
        pytest.param(nothing, ["run", "orders", "--config", "no.toml"], "no config file at", id="no config"),
        pytest.param(unknown_key, ["run", "orders"], "[jobs.orders] rte: unknown key; did you mean rate?", id="config"),
        pytest.param(no_private_key, ["run", "orders"], "[accounts.zhima] private_key_file", id="key"),
        pytest.param(no_input, ["run", "orders"], "no file matches 'orders.csv'", id="input"),
        pytest.param(nothing, ["resume", "last"], "RUN 'last'", id="no run to resume"),
        pytest.param(nothing, ["show", "last"], "has no runs yet", id="no run to show"),
        pytest.param(nothing, ["simulate", "--port", "65536"], "port 65536 is not between", id="no port"),
        pytest.param(
            nothing, ["simulate", "--port", "0", "--keys", "orders.csv"], "--keys orders.csv: Not a directory",
            id="a file for the simulator's keys",
        ),
    ],
)  # fmt: skip
def test_exit_2_when_usage_config_key_or_input_is_wrong(
    prepare: Callable[[Workspace], None], words: list[str], messages: str, workspace: Workspace
) -> None:
    """The fault is printed on stderr; nothing is sent and no report is written."""
    workspace.export("orders.csv", [order(1)])
    prepare(workspace)

    ended = workspace.command(*words)

    assert (ended.exit_code, ended.stdout, workspace.requests(), workspace.reports()) == (2, "", [], [])
    assert messages in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("named", ["backfill.toml", "absolutely"])
@pytest.mark.parametrize("command", [["run", "orders"], ["plan", "orders"]], ids=" ".join)
def test_exit_2_when_the_working_directory_was_removed(command: list[str], named: str, workspace: Workspace) -> None:
    """A missing working directory is reported, and nothing is sent."""
    workspace.export("orders.csv", [order(1)])
    config = str(workspace.folder / "backfill.toml") if named == "absolutely" else named

    ended = workspace.command(*command, "--config", config, wrapper=IN_NO_FOLDER)

    assert (ended.exit_code, ended.stdout, workspace.requests()) == (2, "", [])
    assert "can't use the working directory (No such file or directory)" in ended.stderr


def test_past_runs_need_no_working_directory(workspace: Workspace) -> None:
    """With an absolute config path, `runs` works in a removed directory; with a relative one it names the cause."""
    ended = workspace.command("runs", "--config", str(workspace.folder / "backfill.toml"), wrapper=IN_NO_FOLDER)
    lost = workspace.command("runs", wrapper=IN_NO_FOLDER)

    assert (ended.exit_code, ended.stdout, lost.exit_code) == (0, "no runs yet\n", 2)
    assert "can't use the working directory" in lost.stderr


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        pytest.param(["show", LATIN], "RUN 'r\\udcff' is no run in this ledger", id="show"),
        pytest.param(["resume", LATIN], "RUN 'r\\udcff' is no run in this ledger", id="resume"),
        pytest.param(["rerun", "last", "--code", LATIN], "'r\\udcff' is not a code of an outcome", id="a code"),
        pytest.param(["run", LATIN], 'no job has the name "r\\udcff"', id="a job"),
        pytest.param(["run", "orders", LATIN], "no file matches 'r\\udcff'", id="an input"),
        pytest.param(["runs", "--config", LATIN], "r\\udcff: no config file", id="the config"),
        pytest.param(["simulate", "--port", LATIN], "invalid int value: 'r\\udcff'", id="the simulator's port"),
    ],
)
def test_exit_2_when_an_argument_is_not_utf_8(words: list[str], messages: str, workspace: Workspace) -> None:
    """An argument in another encoding is refused and shown with escapes."""
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")

    ended = workspace.command(*words)

    assert (ended.exit_code, ended.stdout, len(workspace.requests())) == (2, "", 1)
    assert messages in ended.stderr


def test_exit_3_when_the_run_finished_and_rows_are_left(workspace: Workspace) -> None:
    """A finished run with a row that is invalid, rejected or unknown exits with 3."""
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])

    ended = workspace.command("run", "orders")

    assert (ended.exit_code, workspace.results(), workspace.summary()["state"]) == (
        3,
        ["succeeded SUCCESS", "invalid field_invalid"],
        "completed",
    )


def test_exit_4_when_the_run_stops_itself(workspace: Workspace) -> None:
    """A run whose caller is refused exits with 4, with the reason and the next step."""
    workspace.export("orders.csv", [order(1), order(2)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.STATUS, status=403)])

    ended = workspace.command("run", "orders")

    assert (ended.exit_code, workspace.results(), workspace.summary()["state"]) == (
        4,
        ["unsent stopped"] * 2,
        "stopped",
    )
    assert "Alipay denies the account permission" in ended.stdout
    assert f"backfill resume {workspace.short_id(workspace.summary()['run_id'])}\n" in ended.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_exit_5_after_a_signal_and_resume_continues(number: signal.Signals, workspace: Workspace) -> None:
    """After a signal, requests in flight finish; the rest is unsent, and resume sends each row once."""
    workspace.configure({"jobs.orders": {"concurrency": 2}})
    workspace.export("orders.csv", [order(number) for number in range(60)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.SLOW, seconds=0.05)])

    process = workspace.start("run", "orders", "--no-progress")
    wait_until(lambda: len(workspace.requests()) >= 10)
    process.send_signal(number)
    ended = end_of(process)
    results = workspace.results()
    workspace.simulator.set_faults([])
    resumed = workspace.command("resume", "last")

    succeeded = results.count("succeeded SUCCESS")
    assert (ended.exit_code, 10 <= succeeded < 60) == (5, True)
    assert results.count("unsent interrupted") == 60 - succeeded
    assert f"{number.name}: waiting for requests in flight" in ended.stderr
    assert (resumed.exit_code, workspace.results()) == (0, ["succeeded SUCCESS"] * 60)
    assert sorted(workspace.simulator.journal.applied_keys()) == sorted(f"A{n}" for n in range(60))
    assert len(workspace.requests()) == 60


def test_a_signal_is_logged_in_the_log_format(workspace: Workspace) -> None:
    """With --log-format json, the message after SIGTERM is a JSON object on a line of its own."""
    workspace.configure({"jobs.orders": {"concurrency": 2}})
    workspace.export("orders.csv", [order(number) for number in range(30)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.SLOW, seconds=0.1)])

    process = workspace.start("run", "orders", "--log-format", "json")
    wait_until(lambda: len(workspace.requests()) >= 4)
    process.send_signal(signal.SIGTERM)
    ended = end_of(process)

    messages = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (ended.exit_code, [(line["level"], line["message"]) for line in messages]) == (
        5,
        [
            ("info", f"run {workspace.summary()['run_id']} of job orders"),
            ("warning", "SIGTERM: waiting for requests in flight; send it again to end at once"),
        ],
    )
