"""File names and texts of platforms are printed as text, and have no effect on a terminal."""

import csv
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli.main import main
from pipeline.redact import visible
from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import CommandResult, Workspace, order

# Colours, a window title, a line feed, reversed text, the one-byte form of ESC [.
CONTROLS = "\x1b[31m\x1b]0;owned\x07\n\u202egpj\x9b2J"
NAMES = (
    f"orders{CONTROLS}.csv", "=cmd|' calc'!A0.csv", "+x.csv", "@x.csv", "-x.csv", "a b;'\"$(id).csv", "a..csv",
    "%2e%2e%2fx.csv", "<script>alert(1).csv", "*.csv", "[1].csv", "~.csv", "x=1&y.csv",
)  # fmt: skip


def is_safe(text: str) -> bool:
    """Return whether a text has no control character except line feeds."""
    return all(visible(line) == line for line in text.split("\n"))


def assert_safe(*ends: CommandResult) -> None:
    assert [text for ended in ends for text in (ended.stdout, ended.stderr) if not is_safe(text)] == []


@given(st.text(alphabet=st.characters()) | st.sampled_from(NAMES))
def test_any_text_is_shown_as_one_safe_line(text: str) -> None:
    """Any text becomes one line without control characters, and a safe one stays unchanged."""
    shown = visible(text)

    assert shown.encode().decode() == shown
    assert not set(shown) & set(map(chr, (*range(32), *range(127, 160), 0x202E, 0x2028, 0x2066)))
    assert visible(shown) == shown
    assert shown == text or "\\" in shown


@pytest.mark.usefixtures("each_ledger")
def test_files_with_hostile_names_are_read_and_shown_safely(workspace: Workspace) -> None:
    """No part of a name is run, followed or shown raw, and each row has its file in the report."""
    folder = workspace.folder / "exports"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(workspace.export("one.csv", [order(number, trade_amount="x")]).read_bytes())

    ends = [workspace.backfill(*words) for words in (
        ("plan", "orders", "exports"), ("plan", "orders", "exports", "--json"), ("run", "orders", "exports"),
        ("show", "last"), ("run", "orders", "exports", "--json", "--log-format", "json"),
    )]  # fmt: skip

    assert [ended.exit_code for ended in ends] == [3, 3, 3, 0, 3]
    assert_safe(*ends)
    report = workspace.reports()[-1]
    with (report / "outcome.csv").open(encoding="utf-8", newline="") as file:
        files = {line["source_file"] for line in csv.DictReader(file)}
    assert len(files) == len(NAMES)
    assert all(name.isprintable() for name in files)
    page = (report / "report.html").read_text(encoding="utf-8")
    assert is_safe(page)
    assert page.count("<script") == 1
    assert {path.name for path in workspace.folder.iterdir()} - {"state"} == {
        "backfill.toml", "exports", "keys", "one.csv", "reports",
    }  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("run", "orders", f"nothing{CONTROLS}.csv"), id="no such input"),
        pytest.param(("run", "orders", f"s3://KEY:SECRET@{CONTROLS}/x"), id="no such store"),
        pytest.param(("run", f"job{CONTROLS}"), id="no such job"),
        pytest.param(("run", "orders", "--config", f"no{CONTROLS}.toml"), id="no such config"),
        pytest.param(("run", "orders", f"--{CONTROLS}"), id="no such option"),
        pytest.param((f"run{CONTROLS}",), id="no such command"),
        pytest.param(("rerun", f"run{CONTROLS}"), id="no such run"),
        pytest.param(("run", "orders", "--date", CONTROLS), id="no date"),
        pytest.param(("report", "last", "--output", f"/proc/{CONTROLS}/x.csv"), id="no such folder"),
    ],
)
def test_wrong_arguments_are_shown_safely(
    workspace: Workspace, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong words on the command line, perhaps from a glob, are shown without their effects."""
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")
    capsys.readouterr()

    try:
        exit_code: object = main(words)
    except SystemExit as exit_by_argparse:
        exit_code = exit_by_argparse.code

    said = capsys.readouterr()
    assert (exit_code, said.out) == (2, "")
    assert is_safe(said.err)
    assert "SECRET" not in said.err


@pytest.mark.usefixtures("each_ledger")
def test_texts_of_a_platform_are_shown_safely(workspace: Workspace) -> None:
    """Codes, messages and trace ids of a platform are one line each, in every report."""
    message = f"no{CONTROLS}<script>alert(1)</script>"
    workspace.export("orders.csv", [order(number) for number in range(3)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, code=f"X{CONTROLS}", message=message, key="A1")])

    ends = [workspace.backfill(*words) for words in (("run", "orders"), ("show", "last"), ("show", "last", "--json"))]

    assert_safe(*ends)
    (line,) = [line for line in workspace.outcomes() if line["status"] == "rejected"]
    assert (line["code"].isprintable(), line["message"].isprintable()) == (True, True)
    page = (workspace.reports()[-1] / "report.html").read_text(encoding="utf-8")
    assert is_safe(page)
    assert page.count("<script") == 1


@pytest.mark.usefixtures("each_ledger")
def test_a_path_that_is_not_utf8_is_refused(workspace: Workspace) -> None:
    """The ledger cannot store such a path, so the file is named and refused."""
    workspace.export("orders.csv", [order(1)])
    (workspace.folder / "orders.csv").rename(os.fsdecode(os.fsencode(workspace.folder) + b"/orders\xff.csv"))

    ended = workspace.backfill("run", "orders", "orders*.csv")

    assert (ended.exit_code, ended.stderr) == (
        2, "backfill: the path orders\ufffd.csv is not UTF-8; rename the file or folder\n"
    )  # fmt: skip


@pytest.mark.usefixtures("each_ledger")
def test_a_report_folder_that_is_not_utf8_is_shown(workspace: Workspace) -> None:
    """A folder of any name can have a report, and the summary names it as text."""
    workspace.export("orders.csv", [order(1)])
    folder = os.fsdecode(os.fsencode(workspace.folder) + b"/again\xff\x1b[31m")

    ended = workspace.backfill("run", "orders", "--report", folder)

    assert ended.exit_code == 0
    assert_safe(ended)
    summary = json.loads((Path(folder) / "summary.json").read_bytes())
    assert summary["report"] == f"{workspace.folder}/again\ufffd\x1b[31m"
