"""Notices about the runs of a command: what is sent when, and that nothing of it fails or delays a run."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from pipeline.clock import SystemClock
from pipeline.errors import LedgerError, RunHeld, SettingsError, SourceError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.lease import this_process
from pipeline.notify.notices import Notices
from pipeline.report import ReportFiles
from pipeline.settings import Config, Receiver, ReceiverType, Telemetry, When
from tests.notify.ends import RUN_ID, STEP, SUMMARY, mail_server, robot, run_record
from tests.notify.loopback import WebServer, smtp_server, web_server

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    opened = Ledger(tmp_path / "ledger.db", SystemClock(), this_process())
    yield opened
    opened.close()


@pytest.fixture
def server() -> Iterator[WebServer]:
    """A web server that accepts all."""
    with web_server() as running:
        yield running


def config_of(folder: Path, *receivers: Receiver, telemetry: Telemetry | None = None) -> Config:
    return Config(
        path=folder / "backfill.toml",
        ledger_path=folder / "ledger.db",
        accounts={},
        jobs={},
        receivers=receivers,
        telemetry=telemetry or Telemetry(),
    )


def notices_of(config: Config, warnings: list[str], **changes: object) -> Notices:
    return Notices(config, SystemClock(), warnings.append, **changes)  # type: ignore[arg-type] # options of a test


def files(folder: Path, exit_code: int = 3) -> ReportFiles:
    return ReportFiles(folder, None, replace(SUMMARY, exit_code=exit_code), (STEP,))


def test_all_receivers_get_their_message(tmp_path: Path, ledger: Ledger, server: WebServer) -> None:
    """A robot, a web server and a mail server, each at the end of a run."""
    warnings = list[str]()
    with smtp_server() as mails:
        receivers: list[Receiver] = [
            robot(ReceiverType.FEISHU, f"{server.url}/hook", secret="TEST"),
            robot(ReceiverType.WEBHOOK, f"{server.url}/events"),
            mail_server(mails.port),
        ]
        with notices_of(config_of(tmp_path, *receivers), warnings) as notices:
            notices.expect("orders", ledger)
            notices.begun(run_record())
            notices.ended(files(tmp_path), ledger)

    bodies = {received.path: orjson.loads(received.body) for received in server.requests}
    assert bodies["/hook"]["content"]["text"].startswith("backfill: job orders needs attention (exit code 3)\n")
    assert (bodies["/events"]["run_id"], bodies["/events"]["exit_code_before"]) == (RUN_ID, 0)
    assert [mail["Subject"] for mail in mails.mails] == ["backfill: job orders needs attention (exit code 3)"]
    assert warnings == []


def test_a_receiver_that_fails_is_a_warning(tmp_path: Path, ledger: Ledger) -> None:
    """The warning names receiver, host and cause, and never the URL."""
    warnings = list[str]()
    with web_server([(200, b'{"errcode":310000,"errmsg":"sign not match"}')]) as server:
        receiver = robot(ReceiverType.DINGTALK, f"{server.url}/send?access_token={TOKEN}")
        with notices_of(config_of(tmp_path, receiver), warnings) as notices:
            notices.expect("orders", ledger)
            notices.ended(files(tmp_path), ledger)

    place = server.url.removeprefix("http://")
    assert warnings == [f"[notify.team]: {place} refused it: code 310000: sign not match; the run is not affected"]


def test_a_receiver_that_hangs_delays_no_longer_than_the_limit(
    tmp_path: Path, ledger: Ledger, server: WebServer
) -> None:
    """It is named after the limit, and the other receivers have their messages."""
    warnings = list[str]()
    server.answering.clear()
    with smtp_server() as mails:
        receivers: list[Receiver] = [robot(ReceiverType.WECOM, server.url), mail_server(mails.port)]
        with notices_of(config_of(tmp_path, *receivers), warnings, seconds=1.0) as notices:
            notices.expect("orders", ledger)
            notices.ended(files(tmp_path), ledger)

    assert warnings == ["[notify.team]: no end after 1 s; the run is not affected"]
    assert len(mails.mails) == 1


@pytest.mark.parametrize(
    ("error", "exit_code", "text"),
    [
        pytest.param(SourceError("no file matches exports/*.csv"), 2, "no file matches exports/*.csv", id="input"),
        pytest.param(SettingsError(["one", f"two {TOKEN}"]), 2, "one\ntwo ***", id="a secret is masked"),
        pytest.param(LedgerError("disk full", users_fault=False), 1, "disk full", id="ledger"),
        pytest.param(ValueError("2088000000000001"), 1, "internal error (ValueError)", id="a bug: without its text"),
    ],
)
def test_an_error_of_the_command_is_a_message(
    tmp_path: Path, server: WebServer, error: Exception, exit_code: int, text: str
) -> None:
    """Also before there is a run; the error goes on."""
    receiver = robot(ReceiverType.WEBHOOK, f"{server.url}/{TOKEN}", secret=TOKEN)
    with pytest.raises(type(error)), notices_of(config_of(tmp_path, receiver), [], job="orders"):
        raise error

    (event,) = [orjson.loads(received.body) for received in server.requests]
    title = f"backfill: job orders needs attention (exit code {exit_code})"
    assert (event["exit_code"], event["run_id"], event["text"]) == (exit_code, None, f"{title}\n{text}")


@pytest.mark.parametrize("error", [RunHeld("run X is active"), KeyboardInterrupt()])
def test_a_command_that_did_nothing_is_no_notice(tmp_path: Path, server: WebServer, error: BaseException) -> None:
    """Another run of the job is active, or a person stopped the command before its run."""
    receiver = robot(ReceiverType.WEBHOOK, server.url)
    with pytest.raises(type(error)), notices_of(config_of(tmp_path, receiver), [], job="orders"):
        raise error

    assert server.requests == []


def test_an_error_before_the_job_is_known_is_no_notice(tmp_path: Path, server: WebServer) -> None:
    """For example `rerun` of a run that does not exist."""
    receiver = robot(ReceiverType.WEBHOOK, server.url)
    with pytest.raises(SettingsError), notices_of(config_of(tmp_path, receiver), []):
        raise SettingsError(["RUN 'x' is no run in this ledger"])

    assert server.requests == []


def test_an_error_within_a_run_ends_its_lineage_and_metrics(tmp_path: Path, ledger: Ledger) -> None:
    """START and FAIL, and a file with the exit code."""
    path, warnings = tmp_path / "orders.prom", list[str]()
    with web_server([(200, b"")]) as server:
        config = config_of(tmp_path, telemetry=Telemetry(openlineage_url=server.url))
        with suppress(SourceError), notices_of(config, warnings, metrics_file=path) as notices:
            notices.expect("orders", ledger)
            notices.begun(run_record())
            raise SourceError("orders.csv changed")

    assert [orjson.loads(received.body)["eventType"] for received in server.requests] == ["START", "FAIL"]
    assert 'backfill_exit_code{job="orders"} 2.0\n' in path.read_text(encoding="utf-8")
    assert warnings == []


def test_without_a_run_the_metrics_stay(tmp_path: Path) -> None:
    """The command may have refused to overwrite that very file."""
    path = tmp_path / "orders.csv"
    path.write_text("an export", encoding="utf-8")
    with pytest.raises(SettingsError), notices_of(config_of(tmp_path), [], job="orders", metrics_file=path):
        raise SettingsError([f"--metrics-file {path}: orders.csv is an input of this run and is not overwritten"])

    assert path.read_text(encoding="utf-8") == "an export"


def test_one_file_has_the_metrics_of_all_runs_of_a_command(tmp_path: Path, ledger: Ledger) -> None:
    """The second run keeps the lines of the first."""
    path = tmp_path / "all.prom"
    with notices_of(config_of(tmp_path), [], metrics_file=path) as notices:
        for job in ("orders", "points"):
            notices.expect(job, ledger)
            notices.begun(run_record(job=job))
            notices.ended(replace(files(tmp_path), summary=replace(SUMMARY, job=job)), ledger)

    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("backfill_exit_code")] == [
        'backfill_exit_code{job="orders"} 3.0',
        'backfill_exit_code{job="points"} 3.0',
    ]


def test_telemetry_that_is_down_is_a_warning(tmp_path: Path, ledger: Ledger) -> None:
    """One for each receiver, whatever its libraries raise."""
    warnings = list[str]()
    with web_server([(400, b"")]) as server:
        wrong = Telemetry(otlp_endpoint=server.url, openlineage_url="no url")
        with notices_of(config_of(tmp_path, telemetry=wrong), warnings) as notices:
            notices.expect("orders", ledger)
            notices.begun(run_record())
            notices.entered("writing")
            notices.ended(files(tmp_path), ledger)

    assert sorted(warnings) == [
        "OTLP metrics: the receiver did not take it; the run is not affected",
        "OTLP traces: the receiver did not take it; the run is not affected",
        "OpenLineage: ValueError; the run is not affected",
    ]


def test_a_change_is_measured_against_the_last_run(tmp_path: Path, ledger: Ledger, server: WebServer) -> None:
    """A job without a run counts as fine before, so its first good run is no news."""
    receiver = robot(ReceiverType.WEBHOOK, server.url, when=When.CHANGE)
    with notices_of(config_of(tmp_path, receiver), []) as notices:
        notices.expect("orders", ledger)
        notices.ended(files(tmp_path, 0), ledger)

    assert server.requests == []
