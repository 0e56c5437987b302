"""The command line: accepted arguments and errors."""

import argparse
from collections.abc import Mapping
from datetime import date, time
from pathlib import Path

import pytest

from pipeline.cli.parser import build_parser
from pipeline.language import Language, texts_in
from pipeline.model import RowLimit

COMMANDS = ["run", "plan", "rerun", "resume", "reconcile", "runs", "show", "report", "totals"]
COMMON: Mapping[str, object] = {"verbose": False, "quiet": False}
EXECUTION: Mapping[str, object] = {
    "config": None, "date": None, "until": None, "limit": None, "max_failures": None, "max_invalid": None,
    "report": None, "format": "csv", "json": False, "no_progress": False, "processes": None, "engine": "local",
    "address": None, "log_format": "console",
    "metrics_file": None,
}  # fmt: skip

RUN: Mapping[str, object] = {"resync": False, "all": False, "plan": None}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["run", "orders"], {**EXECUTION, **RUN, "job": "orders", "inputs": []}, id="run"),
        pytest.param(
            [
                *("run", "orders", "a.csv", "b.csv", "--date", "2026-02-28", "--until", "06:30"),
                *("--limit", "10", "--config", "c"),
            ],
            {
                **EXECUTION, **RUN, "job": "orders", "inputs": ["a.csv", "b.csv"], "date": date(2026, 2, 28),
                "until": time(6, 30), "limit": 10, "config": Path("c"),
            },
            id="run-with-much",
        ),
        pytest.param(
            ["totals", "--from", "2026-02-01", "--to", "2026-02-28", "--agreement", "1", "--agreement", "2"],
            {
                "first": date(2026, 2, 1), "last": date(2026, 2, 28), "agreement": ["1", "2"], "account": None,
                "format": None, "output": None, "show_ids": False, "config": None, "log_format": "console",
            },
            id="totals",
        ),
        pytest.param(["resume", "last"], {**EXECUTION, "run": "last"}, id="resume"),
        pytest.param(
            ["rerun", "last"], {**EXECUTION, "run": "last", "only": None, "code": (), "new_keys": False}, id="rerun"
        ),
        pytest.param(
            ["rerun", "last", "--only", "unknown,rejected", "--code", " timeout, ,http_500 ", "--new-keys"],
            {
                **EXECUTION, "run": "last", "only": ("unknown", "rejected"), "code": ("timeout", "http_500"),
                "new_keys": True,
            },
            id="rerun-with-a-selection",
        ),
        pytest.param(
            ["plan", "orders"],
            {
                "job": "orders", "inputs": [], "config": None, "date": None, "until": None, "limit": None,
                "max_invalid": None, "json": False, "show_ids": False, "save": None, "diff": False,
                "processes": None, "log_format": "console",
            },
            id="plan",
        ),
        pytest.param(
            ["reconcile", "last", "--agreement-status"],
            {"run": "last", "agreement_status": True, "json": False, "config": None, "log_format": "console"},
            id="reconcile",
        ),
        pytest.param(["runs"], {"limit": 20, "json": False, "config": None, "log_format": "console"}, id="runs"),
        pytest.param(["show", "X"], {"run": "X", "json": False, "config": None, "log_format": "console"}, id="show"),
        pytest.param(
            ["report", "X"],
            {"run": "X", "night": None, "format": None, "output": None, "config": None, "log_format": "console",
             "processes": None},
            id="report-as-it-is",
        ),
        pytest.param(
            ["report", "X", "--format", "html", "--output", "o", "--processes", "4"],
            {"run": "X", "night": None, "format": "html", "output": Path("o"), "config": None, "log_format": "console",
             "processes": 4},
            id="report",
        ),
    ],
)  # fmt: skip
def test_accepted_arguments(words: list[str], expected: Mapping[str, object]) -> None:
    """Each command accepts its arguments and options, and has its defaults."""
    assert vars(build_parser().parse_args(words)) == {"command": words[0], **COMMON, **expected}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["runs", "-v"], {"verbose": True, "quiet": False}, id="after the command"),
        pytest.param(["-q", "runs"], {"verbose": False, "quiet": True}, id="before the command"),
        pytest.param(["ledger", "copy", "a", "b", "-q"], {"verbose": False, "quiet": True}, id="after an action"),
        pytest.param(["-v", "simulate"], {"verbose": True, "quiet": False}, id="of the simulator too"),
    ],
)
def test_common_options_stand_before_or_after_the_command(words: list[str], expected: Mapping[str, object]) -> None:
    """Each command accepts `-v` and `-q`, before its name or after it."""
    parsed = vars(build_parser().parse_args(words))

    assert {name: parsed[name] for name in expected} == expected


def test_a_health_port_may_name_its_host() -> None:
    """Without a host all IPv4 addresses are meant; an IPv6 address stands in brackets."""
    words = ("8080", "127.0.0.1:8080", "[::]:8080", "db.example:1")
    parsed = [build_parser().parse_args(["worker", "--health-port", word]).health_port for word in words]

    assert parsed == [("0.0.0.0", 8080), ("127.0.0.1", 8080), ("::", 8080), ("db.example", 1)]


@pytest.mark.parametrize("option", ["--max-failures", "--max-invalid"])
def test_row_limits_are_a_number_or_a_share(option: str) -> None:
    """`--max-failures` and `--max-invalid` accept a number or a percentage of rows."""
    name = option.removeprefix("--").replace("-", "_")
    parsed = [vars(build_parser().parse_args(["run", "orders", option, text]))[name] for text in ("100", "0", "0.5%")]

    assert parsed == [RowLimit(100), RowLimit(0), RowLimit(0.5, in_percent=True)]


@pytest.mark.parametrize(
    "words",
    [
        *(["run", "a", option, "1"] for option in ("--lim", "--max-f", "--max-i", "--form")),
        *([command, "a", "--js"] for command in ("run", "plan", "rerun", "resume", "show")),
        ["runs", "--lim", "1"],
        ["report", "a", "--form", "csv"],
        ["--vers"],
    ],
    ids=" ".join,
)
def test_options_are_not_abbreviated(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """No command accepts the beginning of an option, because a new option could change its meaning."""
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(words)

    assert ended.value.code == 2
    assert "usage: backfill" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param([], "the following arguments are required: COMMAND", id="no-command"),
        pytest.param(["send"], "invalid choice: 'send'", id="no-such-command"),
        pytest.param(["plan"], "the following arguments are required: JOB", id="no-job"),
        pytest.param(["resume"], "the following arguments are required: RUN", id="no-run"),
        pytest.param(["run", "a", "--until", "25:00"], "'25:00' is not a time such as 06:30", id="no-time"),
        pytest.param(["run", "a", "--until", "6:30"], "'6:30' is not a time such as 06:30", id="a-short-time"),
        pytest.param(["run", "a", "--date", "28.2.2026"], "'28.2.2026' is not a date such as 2025-11-20", id="no-date"),
        pytest.param(["run", "a", "--date", "2026-02-30"], "'2026-02-30' is not a date", id="no-day"),
        pytest.param(["run", "a", "--date", "20251120"], "'20251120' is not a date", id="a-date-without-dashes"),
        pytest.param(["run", "a", "--date", "2025-W01-1"], "'2025-W01-1' is not a date", id="a-day-of-a-week"),
        pytest.param(["run", "a", "--limit", "-1"], "'-1' is not a whole number of 0 or more", id="less-than-none"),
        pytest.param(["run", "a", "--limit", "1e3"], "'1e3' is not a whole number", id="no-whole-number"),
        pytest.param(["run", "a", "--limit", "٣"], "is not a whole number", id="other-digits"),
        pytest.param(["run", "a", "--max-failures", "5 %"], "nor a share such as 5%", id="no-share"),
        pytest.param(["run", "a", "--max-failures", "101%"], "name a share of 100% at most", id="more-than-all"),
        pytest.param(["run", "a", "--max-failures", "100.1%"], "a share of 100% at most", id="a-little-more-than-all"),
        pytest.param(["plan", "a", "--max-invalid", "x"], "'x' is neither a number such as 100", id="no-limit"),
        pytest.param(["run", "a", "--format", "xlsx"], "invalid choice: 'xlsx'", id="no-format"),
        pytest.param(
            ["rerun", "X", "--only", "succeeded"], "is not a list of unknown, blocked, unsent, rejected",
            id="what-is-done",
        ),
        pytest.param(["rerun", "X", "--only", ","], "is not a list of", id="no-status"),
        pytest.param(["worker", "--health-port", "0"], "'0' is not a port such as 8080", id="port-0"),
        pytest.param(["worker", "--health-port", "65536"], "'65536' is not a port", id="no-port"),
        pytest.param(["worker", "--health-port", "::1:80"], "'::1:80' is not a port", id="a-bare-address"),
    ],
)  # fmt: skip
def test_refused_arguments(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong argument exits with 2, and the last line names it and what is accepted."""
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(words)

    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [[], *([command] for command in COMMANDS)], ids=lambda words: "-".join(words) or "all"
)
def test_every_command_has_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each command lists its options; the program lists its commands and exit codes."""
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args([*words, "--help"])
    said = capsys.readouterr().out

    assert ended.value.code == 0
    assert said.startswith(f"usage: backfill {words[0]} " if words else "usage: backfill ")
    assert all(command in said for command in COMMANDS) if not words else "--config" in said


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints program and version."""
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(["--version"])

    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("backfill ")


def test_errors_are_safe_for_terminals(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong argument is shown without control characters."""
    with pytest.raises(SystemExit):
        build_parser().parse_args(["run", "a", "--date", "\x1b[2J"])

    assert "\x1b" not in capsys.readouterr().err


def test_options_shared_by_executions_are_the_same() -> None:
    """`run`, `rerun` and `resume` have the same shared options."""
    parsed = [vars(build_parser().parse_args([command, "X"])) for command in ("run", "rerun", "resume")]

    assert all({name: each[name] for name in EXECUTION} == EXECUTION for each in parsed)
    assert isinstance(build_parser(), argparse.ArgumentParser)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        pytest.param([], "backfill：错误：缺少必需的参数：COMMAND", id="missing"),
        pytest.param(["run", "a", "--nix"], "backfill：错误：无法识别的参数：--nix", id="unknown"),
        pytest.param(["runs", "--limit"], "backfill runs：错误：参数 --limit：需要一个参数", id="no-value"),
        pytest.param(
            ["runs", "--limit", "x"], "backfill runs：错误：参数 --limit：'x' 不是大于等于 0 的整数", id="ours"
        ),
        pytest.param(["runs", "--json=1"], "backfill runs：错误：参数 --json：该选项不带值：'1'", id="a-value"),
        pytest.param(["simulate", "--port", "x"], "backfill：错误：无法识别的参数：--port x", id="of-another-parser"),
    ],
)
def test_errors_are_in_the_chosen_language(words: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Usage and errors of argparse itself are Chinese with Chinese texts."""
    with texts_in(Language.CHINESE), pytest.raises(SystemExit) as ended:
        build_parser().parse_args(words)

    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("用法：backfill")
    assert said.splitlines()[-1] == error


def test_a_wrong_choice_names_the_choices_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong choice is Chinese around the words that were given and accepted."""
    with texts_in(Language.CHINESE), pytest.raises(SystemExit):
        build_parser().parse_args(["run", "a", "--lang", "fr"])

    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("backfill run：错误：参数 --lang：无效的选择：'fr'（可选：")
