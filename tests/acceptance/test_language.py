"""With --lang zh, everything that the command prints is Chinese."""

import re
from pathlib import Path

import pytest

from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import CommandResult, Workspace, order, read_csv

# 3 words of English prose. Statuses, codes, options, fields and file names stand alone.
ENGLISH = re.compile(r"(?<![\w`./-])[a-z]{2,} [a-z]{2,}[;:]? [a-z]{2,}(?![\w./-])")
COMMAND = re.compile(r"`[^`]*`|(?:^ +|示例：)backfill .*$", re.MULTILINE)


def english_in(text: str) -> list[str]:
    """Return the lines with English prose, without the commands in them."""
    return [line for line in COMMAND.sub("", text).splitlines() if ENGLISH.search(line)]


@pytest.fixture
def workspace_with_faults(workspace: Workspace) -> Workspace:
    """Return a workspace whose run has succeeded, skipped, invalid, rejected, unknown and blocked rows."""
    workspace.configure({"jobs.orders.filter": {"kind": ["已完成"]}})
    rows = [
        order(1),
        order(1),
        order(2, trade_amount="x"),
        order(3, user_id="2088"),
        order(4, biz_time="2030-01-01 00:00:00"),
        order(5, agreement_no=""),
        order(6),
        order(7),
        order(7, out_biz_no="R7", biz_action="ORDER_REFUND", pay_out_biz_no="A7"),
        order(8, discount_name="券"),
    ]
    workspace.export("orders.csv", [{**row, "kind": "已完成"} for row in rows] + [{**order(9), "kind": "已取消"}])
    workspace.simulator.set_faults(
        [
            InjectedFault(FaultKind.REFUSE, code="INVALID_PARAMETER", key="A6"),
            InjectedFault(FaultKind.LOSE_BEFORE_APPLYING, key="A7"),
        ]
    )
    return workspace


COMMANDS = (
    ("check", "orders"),
    ("plan", "orders"),
    ("run", "orders"),
    ("show", "last"),
    ("runs",),
    ("totals",),
    ("report", "last"),
    ("reconcile", "last"),
    ("rerun", "last"),
    ("rerun", "last", "--code", "nix"),
    ("resume", "last"),
    ("prune", "--keep", "0"),
    ("show", "nix"),
    ("run", "nix"),
    ("run", "orders", "missing.csv"),
    ("plan", "orders", "--diff", "--save", "orders.plan"),
    ("run", "--plan", "orders.plan", "-v"),
    ("run", "--plan", "backfill.toml"),
    ("run", "--all"),
    ("report", "--night", "2025-11-20"),
    ("report",),
    ("runs", "-v", "-q"),
    ("rnu",),
    ("run", "--report"),
    ("--help",),
    *(
        (command, "--help")
        for command in ("run", "plan", "rerun", "reconcile", "totals", "prune", "check", "simulate", "completion")
    ),
)


def test_no_line_of_a_command_is_english(workspace_with_faults: Workspace) -> None:
    """Help, errors, progress, faults, messages, summaries and next steps are Chinese with --lang zh."""
    workspace = workspace_with_faults
    results = {command: _ended(workspace, *command) for command in COMMANDS}

    assert {
        command: english
        for command, result in results.items()
        if (english := english_in(result.stdout + result.stderr))
    } == {}
    assert [result.exit_code for result in results.values()][:3] == [0, 3, 3]
    (first, *_) = workspace.reports()
    lines = read_csv(first / "outcome.csv")
    assert {"succeeded", "skipped", "invalid", "rejected", "unknown", "blocked"} == {line["status"] for line in lines}
    assert [line["message"] for line in lines if english_in(line["message"])] == []
    assert "需要处理的行" in (first / "report.html").read_text(encoding="utf-8")


def _ended(workspace: Workspace, *words: str) -> CommandResult:
    """Run a command in this process; a wrong command line, and help, exit at once."""
    try:
        return workspace.backfill(*words, "--lang", "zh")
    except SystemExit as ended:
        output = workspace.capsys.readouterr()
        return CommandResult(int(str(ended.code)), output.out, output.err)


def test_what_init_prints_is_chinese(workspace: Workspace) -> None:
    """The files that it wrote and the next steps are named in Chinese."""
    result = workspace.backfill("init", "new", "--lang", "zh")

    assert (result.exit_code, english_in(result.stdout)) == (0, [])
    assert Path("new/backfill.toml").exists()
