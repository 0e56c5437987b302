"""Logs on stderr, without secrets."""

import json
import logging
import re
from argparse import Namespace
from collections.abc import Iterator
from datetime import datetime

import pytest

from pipeline.cli.terminal.logs import log, log_at_once, log_run, set_up_logs

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d"


def options(log_format: str = "console", *, verbose: bool = False, quiet: bool = False) -> Namespace:
    return Namespace(log_format=log_format, verbose=verbose, quiet=quiet)


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """Restore logging after the test."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    log.setLevel(logging.NOTSET)


def test_json_logs_have_one_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is one JSON object with time, run and fields, for any message; nothing is written to stdout."""
    set_up_logs(options("json"))
    log.warning('a "quoted"\nmessage 好')
    log_run("01KX", "orders")
    log.info("sent %d rows", 3, extra={"event": "progress", "succeeded": 3, "seconds_left": None})
    output = capsys.readouterr()
    lines = [json.loads(line) for line in output.err.splitlines()]

    assert output.out == ""
    assert all(datetime.fromisoformat(line.pop("at")).utcoffset() is not None for line in lines)
    assert lines == [
        {"level": "warning", "logger": "backfill", "event": "message", "message": 'a "quoted"\\nmessage 好'},
        {
            "level": "info", "logger": "backfill", "event": "progress", "message": "sent 3 rows", "run_id": "01KX",
            "job": "orders", "succeeded": 3, "seconds_left": None,
        },
    ]  # fmt: skip


def test_console_logs_are_lines_with_a_zone(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for people has time with zone, level and message; with `-v` it has its fields too."""
    set_up_logs(options())
    log.info("sent", extra={"event": "progress", "succeeded": 3})
    log.debug("details")
    set_up_logs(options(verbose=True))
    log_run("01KX", "orders")
    log.debug("sent", extra={"event": "progress", "succeeded": 3})
    first, second = capsys.readouterr().err.splitlines()

    assert re.fullmatch(rf"{TIME} INFO sent", first)
    assert re.fullmatch(rf"{TIME} DEBUG sent \[event=progress run_id=01KX job=orders succeeded=3\]", second)


def test_quiet_logs_are_errors_only(capsys: pytest.CaptureFixture[str]) -> None:
    """With `-q`, errors are logged, and nothing else; that holds for libraries too."""
    set_up_logs(options(quiet=True))
    log.warning("a warning")
    logging.getLogger("other.library").warning("a warning")
    log.error("an error")

    assert re.fullmatch(rf"{TIME} ERROR an error\n", capsys.readouterr().err)


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_log_line_has_a_secret(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Secrets of the config are masked in messages and fields, also in those of libraries."""
    set_up_logs(options(form, verbose=True), ["s3cret", ""])
    log.info("proxy %s of %s", "http://u:s3cret@proxy", "s3cret")
    logging.getLogger("other.library").error("s3cret")
    log.info("field", extra={"proxy": "http://u:s3cret@proxy", "listed": ["s3cret"]})
    stderr = capsys.readouterr().err

    assert "s3cret" not in stderr
    assert stderr.count("***") == 5


def test_connection_details_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """The HTTP library's messages about connections are not logged."""
    set_up_logs(options(verbose=True))
    logging.getLogger("urllib3.connectionpool").warning("Connection pool is full")

    assert capsys.readouterr().err == ""


def test_a_signal_is_logged_in_the_form_of_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    """A line from a signal handler is JSON if the log is JSON."""
    set_up_logs(options("json"))
    log_run("01KX", "orders")
    log_at_once("SIGINT: waiting", "json")
    log_at_once("SIGINT: waiting", "console")
    line, *others = capfd.readouterr().err.splitlines()

    assert {name: value for name, value in json.loads(line).items() if name != "at"} == {
        "level": "warning", "logger": "backfill", "event": "message", "message": "SIGINT: waiting", "run_id": "01KX",
        "job": "orders",
    }  # fmt: skip
    assert others == ["", "SIGINT: waiting"]
