"""Messages, metrics and lineage of runs that a program starts: the same as those of the command."""

import signal
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

import orjson
import pandas as pd
import pytest

from pipeline.errors import SettingsError, SourceError
from pipeline.library import RunInterrupted, RunProgress, rerun, resume, run
from tests.notify.loopback import WebServer, web_server


@pytest.fixture
def server() -> Iterator[WebServer]:
    """A web server that accepts all."""
    with web_server() as running:
        yield running


@pytest.fixture
def noticed(config: Path, server: WebServer) -> Path:
    """The config, whose every run is reported to the web server."""
    url = config.parent / "keys" / "team_url"
    url.write_text(f"{server.url}/events", encoding="utf-8")
    url.chmod(0o600)
    receiver = '[notify.team]\ntype = "webhook"\nurl_file = "keys/team_url"\nwhen = "always"\n'
    config.write_text(config.read_text(encoding="utf-8") + receiver, encoding="utf-8")
    return config


def ends(server: WebServer) -> list[tuple[str, str | None, int, int | None]]:
    """Return event, run, exit code and the one before, of each message."""
    bodies = [orjson.loads(received.body) for received in server.requests]
    return [(each["event"], each["run_id"], each["exit_code"], each["exit_code_before"]) for each in bodies]


def test_each_run_is_reported(noticed: Path, orders: Path, frame: pd.DataFrame, server: WebServer) -> None:
    """Of files, of a table, and of a resume, with the exit code of the run before; a rerun without rows is no run."""
    first = run(noticed, "orders", orders, max_invalid=0, environ={})
    resume(noticed, max_invalid="100%", environ={})
    rerun(noticed, environ={})
    table = run(noticed, "orders", frame, environ={})

    assert ends(server) == [
        ("failed", first.run_id, 4, 0),
        ("failed", first.run_id, 3, 4),
        ("recovered", table.run_id, 0, 3),
    ]


def test_an_interrupted_run_is_reported_before_its_exception(
    noticed: Path, frame: pd.DataFrame, server: WebServer
) -> None:
    """RunInterrupted leaves the call after the message about exit code 5."""

    def interrupt(progress: RunProgress) -> None:
        if progress.phase == "staging" and progress.rows:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(RunInterrupted) as caught:
        run(noticed, "orders", frame, progress=interrupt, environ={})

    assert ends(server) == [("failed", caught.value.result.run_id, 5, 0)]


def test_an_error_is_reported(noticed: Path, tmp_path: Path, server: WebServer) -> None:
    """A missing export is a message without a run; a wrong config or argument is none."""
    with pytest.raises(SourceError):
        run(noticed, "orders", tmp_path / "none.csv", environ={})
    with pytest.raises(SettingsError):
        run(noticed, "no_such_job", environ={})

    assert ends(server) == [("failed", None, 2, None)]


def test_lineage_has_the_begin_and_the_end(config: Path, frame: pd.DataFrame, server: WebServer) -> None:
    """OpenLineage gets START and COMPLETE of the run."""
    telemetry = f'[telemetry]\nopenlineage_url = "{server.url}"\n'
    config.write_text(config.read_text(encoding="utf-8") + telemetry, encoding="utf-8")

    run(config, "orders", frame, environ={})

    events = sorted((orjson.loads(received.body) for received in server.requests), key=itemgetter("eventTime"))
    assert [(each["eventType"], each["job"]["name"]) for each in events] == [
        ("START", "orders"),
        ("COMPLETE", "orders"),
    ]


def test_metrics_are_written_at_the_end_of_a_run(config: Path, orders: Path, tmp_path: Path) -> None:
    """`run` and `resume` replace the file; a rerun without rows leaves it."""
    metrics = tmp_path / "orders.prom"

    stopped = run(config, "orders", orders, max_invalid=0, metrics_file=metrics, environ={})
    of_run = metrics.read_text(encoding="utf-8")
    resume(config, stopped.run_id, max_invalid=1, metrics_file=str(metrics), environ={})
    of_resume = metrics.read_text(encoding="utf-8")
    rerun(config, metrics_file=metrics, environ={})

    assert 'backfill_exit_code{job="orders"} 4.0' in of_run
    assert 'backfill_exit_code{job="orders"} 3.0' in of_resume
    assert metrics.read_text(encoding="utf-8") == of_resume


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        pytest.param("backfill.toml", "backfill.toml is the config and is not overwritten", id="config"),
        pytest.param("orders.csv", "orders.csv is an input of this run and is not overwritten", id="input"),
    ],
)
def test_metrics_replace_no_file_of_the_user(config: Path, orders: Path, name: str, refusal: str) -> None:
    """Nothing is sent, and the file is as it was."""
    before = (config.parent / name).read_bytes()

    with pytest.raises(SettingsError, match=refusal):
        run(config, "orders", orders, metrics_file=config.parent / name, environ={})

    assert (config.parent / name).read_bytes() == before
    assert not (config.parent / "reports").exists()
