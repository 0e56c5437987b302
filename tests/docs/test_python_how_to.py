"""docs/how-to/python.md: its code runs as printed, in the folder that it names."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline import library
from pipeline.simulator import Simulator
from pipeline.starter import write_starter

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?s)```python\n(.*?)```", PAGE)
# The simulator's address in the starter config.
DEFAULT_URL = "http://127.0.0.1:8700"


def run_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run all blocks of the page, one after another, in a starter folder; return their names."""
    with Simulator() as simulator:
        write_starter(folder)
        config = folder / "backfill.toml"
        config.write_text(config.read_text(encoding="utf-8").replace(DEFAULT_URL, simulator.url), encoding="utf-8")
        monkeypatch.chdir(folder)
        names: dict[str, Any] = {"backfill": library}
        for block in BLOCKS:
            # An editable install has the alias too, but a plain checkout does not.
            exec(block.replace("import backfill\n", ""), names)
    return names


def test_the_code_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each block runs after those before it, and prints what the text says."""
    names = run_page(tmp_path / "trial", monkeypatch)

    printed = capsys.readouterr().out
    assert list(names["left"]["status"]) == ["invalid"] * len(names["left"])
    assert names["table"]["status"].to_pylist() == ["succeeded", "succeeded"]
    assert names["again"].reason.startswith("nothing to send")
    assert (names["result"].state, names["result"].exit_code) == ("completed", 3)
    assert "completed 0 {'succeeded': 5" in printed
    assert "delivering" in printed
    assert "no file matches 'no-such-file.csv'" in printed


def test_the_page_names_each_option() -> None:
    """Each parameter of `plan`, `run` and `rerun` is on the page; so is each exception."""
    functions = (library.plan, library.run, library.rerun)
    parameters = {name for function in functions for name in inspect.signature(function).parameters}
    errors = {name for name in library.__all__ if isinstance(getattr(library, name), type) and is_error(name)}

    assert {name for name in parameters - {"environ"} if not re.search(rf"\b{name}\b", PAGE)} == set()
    assert {name for name in errors if f"`{name}`" not in PAGE and f"`{name}`s" not in PAGE} == set()


def is_error(name: str) -> bool:
    return issubclass(getattr(library, name), BaseException)
