"""Fixtures: the environment of the orchestrators, and a folder in which the real command sends to a simulator."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.main import main
from pipeline.simulator import Simulator
from tests.orchestrators.fake_command import FakeCommand
from tests.postgresql import fixtures
from tests.postgresql.server import PostgresServer

postgres = fixtures.postgres

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Night:
    """The folder that `backfill init` makes, with a config for the simulator, and the path of the real command."""

    config: str
    program: str

    def with_its_paths(self, text: str) -> str:
        """Return a text of docs/how-to/schedule.md with the paths of this folder."""
        return text.replace("/srv/backfill/backfill.toml", self.config).replace(
            "/opt/backfill/bin/backfill", self.program
        )

    def on_a_server(self, url: str) -> "Night":
        """Return the same in a folder of its own, with the ledger at this URL."""
        home = Path(self.config).parent
        config = shutil.copytree(home, home.with_name("cluster")) / "backfill.toml"
        config.write_text(re.sub(r"(?m)^url = .*", f'url = "{url}"', config.read_text("utf-8")), encoding="utf-8")
        return replace(self, config=str(config))


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """Return the URL of an empty database on a server."""
    url = postgres.database()
    yield url
    postgres.drop(url)


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    folder, program = tmp_path / "night", tmp_path / "backfill"
    assert main(["init", str(folder)]) == 0
    words = shlex.join([sys.executable, "-m", "pipeline"])
    program.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(CHECKOUT))} exec {words} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    config = folder / "backfill.toml"
    with Simulator() as simulator:
        config.write_text(config.read_text("utf-8").replace("http://127.0.0.1:8700", simulator.url), "utf-8")
        yield Night(str(config), str(program))


@pytest.fixture
def fake(tmp_path: Path) -> Callable[..., FakeCommand]:
    """Return a function that writes a fake command; its arguments are the answers by command."""
    return lambda **answers: FakeCommand.write(tmp_path / "fake", answers)


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Return a function that runs a script of this folder in the environment of the orchestrators."""
    python = CHECKOUT / ".venv" / "orchestrators" / "bin" / "python"
    assert python.exists(), f"{python} is missing: run `make .venv/orchestrators/ready`"

    def run(script: str, *words: Any, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [python, Path(__file__).with_name(script), *words],
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT), **environ},
            cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=180, check=False,
        )  # fmt: skip

    return run
