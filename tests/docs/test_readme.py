"""The README's config is one, and its table of commands is whole, in both languages."""

import re
import textwrap
import tomllib
from pathlib import Path

import pytest

from docs.site.markdown import section
from pipeline.cli.parser import build_parser
from pipeline.settings.structure import check_structure

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize(("readme", "heading"), [("README.md", "Config"), ("docs/README.zh-CN.md", "配置")])
def test_the_config_has_the_shape_of_a_config(readme: str, heading: str) -> None:
    """The example in the README breaks no rule of schemas/config.json."""
    text = section((CHECKOUT / readme).read_text(encoding="utf-8"), heading)
    (example,) = re.findall(r"(?s) *```[^\n]*\n(.*?\n) *```", text)

    assert check_structure(tomllib.loads(textwrap.dedent(example)), readme)[1] == []


@pytest.mark.parametrize(("readme", "heading"), [("README.md", "Commands"), ("docs/README.zh-CN.md", "命令")])
def test_the_table_of_commands_is_whole(readme: str, heading: str) -> None:
    """The README lists each command of the program, and no other."""
    text = re.split(r"\| (?:exit code|退出码)", section((CHECKOUT / readme).read_text(encoding="utf-8"), heading))[0]
    known = re.findall(r"^    (\w+)(?:  |$)", build_parser().format_help(), re.MULTILINE)

    assert known
    assert sorted(set(re.findall(r"`backfill (\w+)", text))) == sorted(known)
