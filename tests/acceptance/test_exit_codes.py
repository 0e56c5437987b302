"""Every exit code, of the real command in a process of its own."""

import json
import signal
from collections.abc import Callable

import pytest

from pipeline.simulator import InjectedFault, Kind
from tests.acceptance.night import Night, end_of, order, wait_until

IN_NO_FOLDER = ("sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh")
# A word of bytes that are no UTF-8, as Python has it.
LATIN = b"r\xff".decode(errors="surrogateescape")


def test_exit_0_when_every_row_is_done(night: Night) -> None:
    """A run whose rows all succeeded or were skipped with cause exits with 0."""
    night.export("orders.csv", [order(1), order(1), order(2)])

    ended = night.command("run", "orders")

    assert (ended.exit_code, night.fates(), night.summary()["state"]) == (
        0,
        ["succeeded SUCCESS", "skipped duplicate_row", "succeeded SUCCESS"],
        "completed",
    )


def test_exit_1_when_the_disk_is_full_and_nothing_is_forgotten(night: Night) -> None:
    """A ledger that can't grow stops the sending and names the cause; with room again, resume sends what is left."""
    night.configure({"jobs.orders": {"concurrency": 1}})
    night.export("orders.csv", [order(number) for number in range(120)])
    limited = ("sh", "-c", 'ulimit -f 1600; exec "$@"', "sh")

    ended = night.command("run", "orders", "--no-progress", wrapper=limited)
    sent = len(night.requests())
    resumed = night.command("resume", "last")

    assert (ended.exit_code, ended.stdout, 0 < sent < 120) == (1, "", True)
    assert "resume the run" in ended.stderr
    assert (resumed.exit_code, sorted(night.simulator.journal.applied_keys())) == (
        0,
        sorted(f"A{n}" for n in range(120)),
    )


def test_exit_1_when_the_ledger_is_damaged(night: Night) -> None:
    """A damaged ledger is told as one, and nothing is sent."""
    night.export("orders.csv", [order(1)])
    night.command("run", "orders")
    ledger = night.folder / "state" / "backfill.db"
    ledger.write_bytes(ledger.read_bytes()[:4096] + b"\xff" * (ledger.stat().st_size - 4096))

    ended = night.command("run", "orders")

    assert (ended.exit_code, ended.stdout, len(night.requests())) == (1, "", 1)
    assert "the file is damaged; restore it from a backup" in ended.stderr


def nothing(_: Night) -> None:
    """Leave the night as it is."""


def unknown_key(night: Night) -> None:
    night.configure({"jobs.orders": {"rte": 5}})


def no_private_key(night: Night) -> None:
    (night.folder / "keys" / "app_private_key.pem").unlink()


def no_input(night: Night) -> None:
    (night.folder / "orders.csv").unlink()


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
        pytest.param(nothing, ["show", "last"], "there are no runs yet", id="no run to show"),
        pytest.param(nothing, ["simulate", "--port", "65536"], "port 65536 can't be", id="no port"),
        pytest.param(
            nothing, ["simulate", "--port", "0", "--keys", "orders.csv"], "--keys orders.csv: Not a directory",
            id="a file for the simulator's keys",
        ),
    ],
)  # fmt: skip
def test_exit_2_when_usage_config_key_or_input_is_at_fault(
    prepare: Callable[[Night], None], words: list[str], messages: str, night: Night
) -> None:
    """The fault is told on stderr, and nothing is sent or reported."""
    night.export("orders.csv", [order(1)])
    prepare(night)

    ended = night.command(*words)

    assert (ended.exit_code, ended.stdout, night.requests(), night.reports()) == (2, "", [], [])
    assert messages in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("named", ["backfill.toml", "absolutely"])
@pytest.mark.parametrize("command", [["run", "orders"], ["plan", "orders"]], ids=" ".join)
def test_exit_2_when_the_working_directory_was_removed(command: list[str], named: str, night: Night) -> None:
    """Where relative paths start from nowhere, that is told, and nothing is sent."""
    night.export("orders.csv", [order(1)])
    config = str(night.folder / "backfill.toml") if named == "absolutely" else named

    ended = night.command(*command, "--config", config, wrapper=IN_NO_FOLDER)

    assert (ended.exit_code, ended.stdout, night.requests()) == (2, "", [])
    assert "the working directory can't be used (No such file or directory)" in ended.stderr


def test_past_runs_need_no_working_directory(night: Night) -> None:
    """With an absolute path to the config, `runs` works from a removed directory, too; without, it says why not."""
    ended = night.command("runs", "--config", str(night.folder / "backfill.toml"), wrapper=IN_NO_FOLDER)
    lost = night.command("runs", wrapper=IN_NO_FOLDER)

    assert (ended.exit_code, ended.stdout, lost.exit_code) == (0, "no runs yet\n", 2)
    assert "the working directory can't be used" in lost.stderr


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        pytest.param(["show", LATIN], "RUN 'r\\udcff' is no run in this ledger", id="show"),
        pytest.param(["resume", LATIN], "RUN 'r\\udcff' is no run in this ledger", id="resume"),
        pytest.param(["rerun", "last", "--code", LATIN], "'r\\udcff' is no code that an outcome", id="a code"),
        pytest.param(["run", LATIN], 'no job has the name "r\\udcff"', id="a job"),
        pytest.param(["run", "orders", LATIN], "no file matches 'r\\udcff'", id="an input"),
        pytest.param(["runs", "--config", LATIN], "r\\udcff: no config file", id="the config"),
        pytest.param(["simulate", "--port", LATIN], "invalid int value: 'r\\udcff'", id="the simulator's port"),
    ],
)
def test_exit_2_when_a_word_is_no_utf_8(words: list[str], messages: str, night: Night) -> None:
    """A word in another encoding names nothing here; it is told with escapes."""
    night.export("orders.csv", [order(1)])
    night.backfill("run", "orders")

    ended = night.command(*words)

    assert (ended.exit_code, ended.stdout, len(night.requests())) == (2, "", 1)
    assert messages in ended.stderr


def test_exit_3_when_the_run_finished_and_rows_are_left(night: Night) -> None:
    """A finished run with a row that is invalid, rejected or unknown exits with 3."""
    night.export("orders.csv", [order(1), order(2, trade_amount="x")])

    ended = night.command("run", "orders")

    assert (ended.exit_code, night.fates(), night.summary()["state"]) == (
        3,
        ["succeeded SUCCESS", "invalid field_invalid"],
        "completed",
    )


def test_exit_4_when_the_run_stops_itself(night: Night) -> None:
    """A run whose caller is refused exits with 4, and says why and how to go on."""
    night.export("orders.csv", [order(1), order(2)])
    night.simulator.set_faults([InjectedFault(Kind.STATUS, status=403)])

    ended = night.command("run", "orders")

    assert (ended.exit_code, night.fates(), night.summary()["state"]) == (4, ["unsent stopped"] * 2, "stopped")
    assert "Alipay denies the account permission" in ended.stdout
    assert f"backfill resume {night.summary()['run_id']}" in ended.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_exit_5_when_stopped_from_outside_and_resume_goes_on(number: signal.Signals, night: Night) -> None:
    """A signal lets what is in flight finish; the rest is unsent, and resume sends it, each row once."""
    night.configure({"jobs.orders": {"concurrency": 2}})
    night.export("orders.csv", [order(number) for number in range(60)])
    night.simulator.set_faults([InjectedFault(Kind.SLOW, seconds=0.05)])

    process = night.start("run", "orders", "--no-progress")
    wait_until(lambda: len(night.requests()) >= 10)
    process.send_signal(number)
    ended = end_of(process)
    fates = night.fates()
    night.simulator.set_faults([])
    resumed = night.command("resume", "last")

    succeeded = fates.count("succeeded SUCCESS")
    assert (ended.exit_code, 10 <= succeeded < 60) == (5, True)
    assert fates.count("unsent interrupted") == 60 - succeeded
    assert f"{number.name}: finishing what is in flight" in ended.stderr
    assert (resumed.exit_code, night.fates()) == (0, ["succeeded SUCCESS"] * 60)
    assert sorted(night.simulator.journal.applied_keys()) == sorted(f"A{n}" for n in range(60))
    assert len(night.requests()) == 60


def test_a_signal_is_answered_in_the_form_of_the_logs(night: Night) -> None:
    """With --log-format json what SIGTERM sets off is told as an object on a line of its own, like all else."""
    night.configure({"jobs.orders": {"concurrency": 2}})
    night.export("orders.csv", [order(number) for number in range(30)])
    night.simulator.set_faults([InjectedFault(Kind.SLOW, seconds=0.1)])

    process = night.start("run", "orders", "--log-format", "json")
    wait_until(lambda: len(night.requests()) >= 4)
    process.send_signal(signal.SIGTERM)
    ended = end_of(process)

    messages = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (ended.exit_code, [(line["level"], line["message"]) for line in messages]) == (
        5,
        [
            ("info", f"run {night.summary()['run_id']} of job orders"),
            ("warning", "SIGTERM: finishing what is in flight; once more to end at once"),
        ],
    )
