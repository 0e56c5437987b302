"""How often Python looks for garbage."""

import gc
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.garbage import look_seldom

SELDOM = 10_000


@pytest.fixture(autouse=True)
def _python_as_it_was() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 11, 12)
    yield
    gc.set_threshold(*before)


def test_circles_are_looked_for_seldom() -> None:
    """Only how many new objects there have to be is changed, not how the old ones are looked at."""
    look_seldom()

    assert gc.get_threshold() == (SELDOM, 11, 12)


def test_the_command_looks_seldom(tmp_path: Path) -> None:
    """Whatever the command does, it does with few looks; a program that only uses the library keeps its own ways."""
    main(["runs", "--config", str(tmp_path / "none.toml")])

    assert gc.get_threshold()[0] == SELDOM


def test_a_crew_looks_seldom() -> None:
    """So does each process of a run that has several."""
    ours, theirs = socket.socketpair()
    told = "import gc; from pipeline.assemble.crew import main; main({}); print(gc.get_threshold()[0])"
    with theirs:
        crew = subprocess.Popen(
            [sys.executable, "-c", told.format(theirs.fileno())], pass_fds=(theirs.fileno(),), stdout=subprocess.PIPE,
            env={"PYTHONPATH": str(Path(__file__).parents[1])},
        )  # fmt: skip
    ours.close()

    assert crew.communicate(timeout=20)[0] == b"%d\n" % SELDOM
