"""The entry point: every error has an exit code and a sentence."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.errors import LedgerError, PipelineError, RunHeld, SettingsError, SourceError
from pipeline.language import language_in_use


@pytest.mark.parametrize(
    ("error", "exit_code", "stderr"),
    [
        pytest.param(
            SettingsError(["a.toml [jobs] rate: 6 is too much", "a.toml [jobs] api: missing"]), 2,
            "backfill: a.toml [jobs] rate: 6 is too much\nbackfill: a.toml [jobs] api: missing\n", id="settings",
        ),
        pytest.param(SourceError("a.csv is empty"), 2, "backfill: a.csv is empty\n", id="source"),
        pytest.param(LedgerError("the file is locked"), 2, "backfill: the file is locked\n", id="ledger"),
        pytest.param(LedgerError("the disk is full", users_fault=False), 1, "backfill: the disk is full\n", id="disk"),
        pytest.param(RunHeld("job a is held"), 6, "backfill: job a is held\n", id="held"),
        pytest.param(PipelineError("on purpose"), 1, "backfill: on purpose\n", id="any-other-of-ours"),
        pytest.param(KeyboardInterrupt(), 5, "backfill: interrupted; nothing was sent\n", id="interrupted"),
    ],
)  # fmt: skip
def test_an_error_is_a_sentence_and_an_exit_code(
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    exit_code: int,
    stderr: str,
) -> None:
    """The error is printed on stderr, one line for each fault; stdout stays empty."""

    def fails(_: object) -> int:
        raise error

    assert main(["runs"], lambda _: fails) == exit_code
    assert capsys.readouterr() == ("", stderr)


def test_an_internal_error_shows_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    """An unexpected exception is reported by type and place, without its text, which may have a secret."""

    def fails(_: object) -> int:
        raise ValueError("2088000000000001")

    assert main(["runs"], lambda _: fails) == 1
    stderr = capsys.readouterr().err
    assert "internal error (ValueError)" in stderr
    assert "in fails" in stderr
    assert "2088000000000001" not in stderr


@pytest.mark.parametrize("command", ["run", "plan", "runs", "show", "report", "resume", "rerun"])
def test_a_missing_config_is_reported(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command names the missing config file."""
    words = [command] if command == "runs" else [command, "X"]

    assert main([*words, "--config", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["runs", "--jsno"], ["run", "a", "--rate", "9"], ["show", "a", "b"]])
def test_a_word_too_many_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown arguments exit with 2 before anything is read."""
    with pytest.raises(SystemExit) as ended:
        main(words)

    assert ended.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "environ", "first"),
    [
        pytest.param(["--help"], {}, "usage: backfill", id="no-language"),
        pytest.param(["--help"], {"LANG": "zh_CN.UTF-8"}, "用法：backfill", id="LANG"),
        pytest.param(["--help"], {"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "usage: backfill", id="LC_ALL"),
        pytest.param(["--lang", "zh", "run", "--help"], {}, "用法：backfill run", id="before-the-command"),
        pytest.param(["run", "--help", "--lang=zh"], {}, "用法：backfill run", id="after-the-command"),
        pytest.param(["run", "--lang", "zh", "--help", "--lang", "en"], {}, "usage: backfill run", id="the-last-one"),
        pytest.param(["--help", "--lang", "en"], {"LANG": "zh_CN.UTF-8"}, "usage: backfill", id="not-LANG"),
        pytest.param(["simulate", "--help", "--lang", "zh"], {}, "用法：backfill simulate", id="simulate"),
    ],
)
def test_the_language_is_known_before_the_first_text(
    words: list[str], environ: Mapping[str, str], first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """--lang chooses the language of the help too; without it, LC_ALL, LC_MESSAGES or LANG does."""
    with pytest.raises(SystemExit) as ended:
        main(words, environ=environ)

    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(first)


def test_a_command_leaves_the_language_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A process that calls the command keeps its own language."""
    exit_code = main(["runs", "--lang", "zh", "--config", str(tmp_path / "none.toml")])

    assert (exit_code, language_in_use()) == (2, "en")
    assert "none.toml" in capsys.readouterr().err
