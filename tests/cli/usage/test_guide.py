"""Errors name what was probably meant."""

import pytest

from pipeline.cli.main import main
from pipeline.settings.wording import nearest


@pytest.mark.parametrize(
    ("word", "name"),
    [("rn", "run"), ("RESUM", "resume"), ("send", None), ("", None)],
)
def test_the_nearest_name_is_suggested(word: str, name: str | None) -> None:
    """A misspelt name has a near one; another word has none."""
    assert nearest(word, ["run", "rerun", "resume"]) == name


@pytest.mark.parametrize(
    ("words", "error"),
    [
        pytest.param(
            ["resum"], "backfill: error: argument COMMAND: invalid choice: 'resum'; did you mean resume?", id="command"
        ),
        pytest.param(
            ["run", "orders", "--no-progres"],
            "backfill run: error: unrecognized arguments: --no-progres; did you mean --no-progress?", id="option",
        ),
        pytest.param(
            ["run", "orders", "--fromat=csv"],
            "backfill run: error: unrecognized arguments: --fromat=csv; did you mean --format?", id="option with =",
        ),
        pytest.param(
            ["runs", "--jsno", "x"],
            "backfill runs: error: unrecognized arguments: --jsno x; did you mean --json?", id="option with a word",
        ),
        pytest.param(
            ["show", "last", "more"], "backfill show: error: unrecognized arguments: more", id="a word too many"
        ),
        pytest.param(
            ["run", "orders", "--format", "parket"],
            "backfill run: error: argument --format: invalid choice: 'parket'; did you mean parquet?", id="value",
        ),
        pytest.param(
            ["run", "orders", "--format", "xlsx"],
            "backfill run: error: argument --format: invalid choice: 'xlsx' (choose from ",
            id="no near value",
        ),
    ],
)  # fmt: skip
def test_an_error_names_what_was_meant(words: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt command, option or value exits with 2, and the last line names the right one."""
    with pytest.raises(SystemExit) as ended:
        main(words)

    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(error)
