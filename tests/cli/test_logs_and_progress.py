"""Logs and progress on stderr, without secrets."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from pipeline.cli.logs import log, set_up_logs
from pipeline.cli.progress import Progress
from pipeline.model import Status
from pipeline.write.brakes.run_control import RunControl
from tests.moved_clock import MovedClock


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def logs() -> Iterator[None]:
    """Restore logging after the test."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    for handler in before:
        root.addHandler(handler)
    root.setLevel(level)


@pytest.mark.usefixtures("logs")
def test_json_logs_have_one_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Each log line is one JSON object, for any message; nothing is written to stdout."""
    set_up_logs("json")
    log.warning('a "quoted"\nmessage 好')
    output = capsys.readouterr()
    messages = json.loads(output.err)

    assert (output.out, output.err.count("\n")) == ("", 1)
    assert (messages["level"], messages["logger"]) == ("warning", "backfill")
    assert messages["at"].endswith("+00:00")


@pytest.mark.usefixtures("logs")
@pytest.mark.parametrize("form", ["console", "json"])
def test_no_log_line_has_a_secret(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Secrets of the config are masked in all logs, also in those of libraries."""
    set_up_logs(form, ["s3cret", ""])
    log.info("proxy %s of %s", "http://u:s3cret@proxy", "s3cret")
    logging.getLogger("other.library").error("s3cret")
    stderr = capsys.readouterr().err

    assert "s3cret" not in stderr
    assert stderr.count("***") == 3


@pytest.mark.usefixtures("logs")
def test_connection_details_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """The HTTP library's messages about connections are not logged."""
    set_up_logs("console")
    logging.getLogger("urllib3.connectionpool").warning("Connection pool is full")

    assert capsys.readouterr().err == ""


def progress_of(clock: MovedClock, stream: io.StringIO, *, shown: bool = True) -> tuple[Progress, RunControl]:
    progress, control = Progress(clock, shown=shown, stream=stream), RunControl(clock)
    progress.follow(control)
    return progress, control


def test_a_terminal_shows_one_line_that_is_redrawn() -> None:
    """On a terminal, the counts are redrawn in place, up to 5 times per second, and cleared at the end."""
    clock, stream = MovedClock(), Terminal()
    progress, control = progress_of(clock, stream)
    progress.staged(1000)
    clock.move(0.1)
    progress.staged(2000)
    clock.move(0.1)
    progress.tick()
    control.count(Status.SUCCEEDED, 3)
    control.count(Status.REJECTED)
    clock.move(0.2)
    progress.tick()
    progress.end()

    assert stream.getvalue().split("\r\x1b[K") == [
        "", "read 1000 rows", "sending: starting", "sending: 3 succeeded, 1 rejected", "",
    ]  # fmt: skip


def test_without_a_terminal_a_line_comes_every_10_seconds(caplog: pytest.LogCaptureFixture) -> None:
    """Without a terminal, a short run logs no progress, and a long one a line every 10 seconds."""
    clock, stream = MovedClock(), io.StringIO()
    progress, control = progress_of(clock, stream)
    control.count(Status.SUCCEEDED, 3)
    with caplog.at_level(logging.INFO, "backfill"):
        for _ in range(50):
            progress.tick()
            clock.move(0.5)
        progress.end()

    assert [record.getMessage() for record in caplog.records] == ["sending: 3 succeeded"] * 2
    assert stream.getvalue() == ""


def test_no_progress_shows_nothing() -> None:
    """With `shown` false, nothing is written."""
    clock, stream = MovedClock(), Terminal()
    progress, _ = progress_of(clock, stream, shown=False)
    progress.staged(1)
    progress.tick()
    progress.end()

    assert stream.getvalue() == ""
