"""How often Python looks for garbage."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.engines.garbage import collect_rarely

SELDOM = 10_000


@pytest.fixture(autouse=True)
def _python_as_it_was() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 11, 12)
    yield
    gc.set_threshold(*before)


def test_circles_are_looked_for_seldom() -> None:
    """Only how many new objects there have to be is changed, not how the old ones are looked at."""
    collect_rarely()

    assert gc.get_threshold() == (SELDOM, 11, 12)


def test_the_command_looks_seldom(tmp_path: Path) -> None:
    """Whatever the command does, it does with few looks; a program that only uses the library keeps its own ways."""
    main(["runs", "--config", str(tmp_path / "none.toml")])

    assert gc.get_threshold()[0] == SELDOM
