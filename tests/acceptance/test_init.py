"""`backfill init`: a folder in which all commands work at once."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.acceptance.workspace import Workspace


@pytest.fixture
def started(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Return a workspace in a folder made by `init`, whose config names the running simulator."""
    assert workspace.backfill("init", "new").exit_code == 0
    config = Path("new/backfill.toml")
    config.write_text(config.read_text("utf-8").replace("http://127.0.0.1:8700", workspace.simulator.url), "utf-8")
    monkeypatch.chdir(workspace.folder / "new")
    return workspace


def test_the_new_folder_has_nothing_to_fix(started: Workspace) -> None:
    """`check` finds nothing to fix or to warn about."""
    result = started.backfill("check")

    assert (result.exit_code, result.stderr) == (0, "")


def test_the_new_folder_is_in_the_language_of_the_command(workspace: Workspace) -> None:
    """With `--lang zh`, README and comments are Chinese; commands and settings are those of the English folder."""
    for language in ("en", "zh"):
        assert workspace.backfill("--lang", language, "init", language).exit_code == 0

    english, chinese = (
        (Path(folder, "backfill.toml").read_text("utf-8"), Path(folder, "README.md").read_text("utf-8"))
        for folder in ("en", "zh")
    )
    assert tomllib.loads(chinese[0]) == tomllib.loads(english[0])
    assert [line.startswith("#") for line in chinese[0].splitlines()] == [
        line.startswith("#") for line in english[0].splitlines()
    ]
    commands = re.compile(r"(?m)^backfill [^#\n]+(?<! )")
    assert commands.findall(chinese[1]) == commands.findall(english[1])
    assert ("每个商户一个" in chinese[0], "## 试用" in chinese[1]) == (True, True)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_new_config_names_the_sandbox(workspace: Workspace, language: str) -> None:
    """Alipay's sandbox is a comment of the account, as a `base_url` that only has to be switched on."""
    workspace.backfill("--lang", language, "init", "new")
    config = Path("new/backfill.toml").read_text("utf-8")
    used = re.sub(r'base_url = "http://127\.0\.0\.1:8700"', "", config, count=1)
    switched_on = tomllib.loads(
        used.replace('# base_url = "https://openapi-sandbox', 'base_url = "https://openapi-sandbox')
    )

    assert switched_on["accounts"]["zhima"]["base_url"] == "https://openapi-sandbox.dl.alipaydev.com"


@pytest.mark.parametrize(
    ("job", "rows", "succeeded"), [("orders", 13, 11), ("tasks", 10, 9), ("states", 14, 13), ("points", 10, 9)]
)
def test_each_job_runs_at_once(started: Workspace, job: str, rows: int, succeeded: int) -> None:
    """Each job sends its rows; one row is invalid on purpose, one order is filtered."""
    assert started.backfill("plan", job).exit_code == 3

    result = started.backfill("run", job)

    assert result.exit_code == 3, result.stderr
    lines = result.stdout.splitlines()
    assert f"  {'rows':<10} {rows:>9,}" in lines
    assert f"  {'succeeded':<10} {succeeded:>9,}" in lines
    assert f"  {'invalid':<10} {1:>9,}" in lines


def test_a_second_init_replaces_nothing(started: Workspace) -> None:
    """An existing file ends `init` with exit 2 before anything is written."""
    (Path("exports") / "orders.csv").write_text("mine", encoding="utf-8")
    (Path("backfill.toml")).unlink()

    result = started.backfill("init", ".")

    assert result.exit_code == 2
    assert result.stderr.startswith("backfill: init: . has README.md, .gitignore, exports/orders.csv")
    assert (Path("exports") / "orders.csv").read_text("utf-8") == "mine"
    assert not Path("backfill.toml").exists()


def test_an_unwritable_folder_is_named(workspace: Workspace) -> None:
    """A file in the place of the folder is an error with its name."""
    Path("taken").write_text("", encoding="utf-8")

    result = workspace.backfill("init", "taken")

    assert result.exit_code == 2
    assert "taken" in result.stderr
    assert "choose a writable folder" in result.stderr


def test_keys_are_for_their_owner_alone(started: Workspace) -> None:
    """Private keys and config have mode 600."""
    private = [Path("backfill.toml"), *Path("keys").glob("*private*"), *Path("keys").glob("apiclient*")]

    assert len(private) >= 3
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}
