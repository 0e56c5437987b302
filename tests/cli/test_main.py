"""The entry point: every error has an exit code and a sentence."""

from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.errors import LedgerError, PipelineError, RunHeld, SettingsError, SourceError


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
