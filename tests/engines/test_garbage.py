"""The frequency of garbage collection."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.engines.garbage import collect_rarely

SELDOM = 10_000


@pytest.fixture(autouse=True)
def _restore_threshold() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 11, 12)
    yield
    gc.set_threshold(*before)


def test_only_the_first_threshold_changes() -> None:
    """The threshold of new objects is raised; those of older generations stay."""
    collect_rarely()

    assert gc.get_threshold() == (SELDOM, 11, 12)


def test_the_command_raises_the_threshold(tmp_path: Path) -> None:
    """Every command raises the threshold; the library leaves it alone."""
    main(["runs", "--config", str(tmp_path / "none.toml")])

    assert gc.get_threshold()[0] == SELDOM
