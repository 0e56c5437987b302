"""The README's config is one, and its table of commands is whole."""

import re
import textwrap
import tomllib
from pathlib import Path

from pipeline.cli.parser import build_parser
from pipeline.settings.structure import check_structure

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def blocks(heading: str) -> list[str]:
    """Return the code blocks of a section."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [textwrap.dedent(block) for block in re.findall(r"(?s) *```[^\n]*\n(.*?\n) *```", section)]


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
