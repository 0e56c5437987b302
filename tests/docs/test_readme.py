"""The README's config is one, its quick start works, and its commands exist."""

import re
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.cli.parser import build_parser
from pipeline.settings.structure import check_structure
from pipeline.simulator import Simulator, client_config, write_client_keys

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def blocks(heading: str) -> list[str]:
    """Return the code blocks of a section."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [textwrap.dedent(block) for block in re.findall(r"(?s) *```\w*\n(.*?\n) *```", section)]


def commands(block: str) -> list[list[str]]:
    """Return the words of each `backfill` command of a block, without comments."""
    lines = (line.split("#")[0].split() for line in block.splitlines())
    return [words[1:] for words in lines if words[:1] == ["backfill"]]


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that `backfill simulate --keys trial` makes, and the simulator beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKFILL_CONFIG", raising=False)
    with Simulator() as simulator:
        write_client_keys(tmp_path / "keys")
        (tmp_path / "backfill.toml").write_text(client_config(simulator.url), encoding="utf-8")
        yield tmp_path


def test_the_quick_start_works(trial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Export, job, commands and results are as the README says, up to the fixed row."""
    _, export, job, first, then = blocks("Quick start")
    (trial / "orders.csv").write_text(export, encoding="utf-8")
    with (trial / "backfill.toml").open("a", encoding="utf-8") as config:
        config.write(f"\n{job}")

    assert [main(words) for words in commands(first)] == [3, 3]
    assert re.findall(r"(succeeded|invalid) +(\d+)\n", capsys.readouterr().out)[-2:] == [
        ("succeeded", "2"),
        ("invalid", "1"),
    ]

    (fix,) = trial.glob("reports/*/rows_to_fix.csv")
    fix.write_text(fix.read_text(encoding="utf-8-sig").replace("18.005,", "18.01,"), encoding="utf-8")
    run_fix, runs = commands(then.replace("<run id>", fix.parent.name))

    assert main(run_fix) == 0
    assert main(runs) == 0
    assert main(["run", "orders"]) == 0
    assert "0 requests" in capsys.readouterr().out


def test_the_config_has_the_shape_of_a_config() -> None:
    """The example in the README breaks no rule of schemas/config.json."""
    (example,) = blocks("Config")

    assert check_structure(tomllib.loads(example), "README.md")[1] == []


def test_the_table_of_commands_is_whole() -> None:
    """The README lists each command of the program, and no other."""
    section = README.split("\n## Commands\n")[1].split("| exit code |")[0]
    known = re.findall(r"^    (\w+)(?:  |$)", build_parser().format_help(), re.MULTILINE)

    assert known
    assert sorted(set(re.findall(r"`backfill (\w+)", section))) == sorted(known)
