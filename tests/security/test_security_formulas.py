"""No cell of a report is a formula for a spreadsheet, and no character is lost."""

import csv
from pathlib import Path

import pytest

from pipeline.report import read_outcome
from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import Workspace, order, read_csv

pytestmark = pytest.mark.usefixtures("each_ledger")

SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# Plain, with an apostrophe, and with characters that need quotes.
HOSTILE = ("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "'=1", "''@x", '=HYPERLINK("a,b";"c")', "＝1+1", "1=1")
# The keys without the apostrophe of a spreadsheet.
KEYS = [text.removeprefix("'") for text in HOSTILE]
OWN = {"_status", "_code", "_message"}


def cells_of(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [cell for line in csv.reader(file) for cell in line]


def original(path: Path) -> list[dict[str, str]]:
    return [{name: cell for name, cell in line.items() if name not in OWN} for line in read_csv(path)]


def test_no_report_has_a_formula(workspace: Workspace) -> None:
    """Keys, file names, codes and messages that begin like formulas get an apostrophe, and are read back whole."""
    name = "=exports.csv"
    rows = [order(number, out_biz_no=text, memo=text) for number, text in enumerate(HOSTILE)]
    workspace.export(
        name, [*rows, *(order(90 + number, memo=f"{sign}1", trade_amount="x") for number, sign in enumerate(SIGNS))]
    )
    workspace.simulator.set_faults(
        [InjectedFault(FaultKind.REFUSE, code="@EXEC", message="=1+1", key=f"{sign}*") for sign in "+'"]
    )

    assert workspace.backfill("run", "orders", name).exit_code == 3

    report = workspace.reports()[-1]
    for file in ("outcome.csv", "rows_to_fix.csv"):
        assert [cell for cell in cells_of(report / file) if cell.startswith(SIGNS)] == []
    outcome = read_outcome(report)
    assert list(outcome["request_key"])[: len(HOSTILE)] == KEYS
    assert set(outcome["source_file"]) == {name}
    assert set(outcome["code"]) == {"SUCCESS", "@EXEC", "field_invalid"}
    # A refusal that came on a reused connection is confirmed by a second request.
    assert set(workspace.requests()) == set(KEYS)


def test_rows_to_fix_come_back_unchanged(workspace: Workspace) -> None:
    """`rows_to_fix.csv` run again unchanged gives the same file; fixed, it gives the values of the export."""
    rows = [order(number, out_biz_no=text, memo=f"{text}\t") for number, text in enumerate(HOSTILE)]
    wrong = [row | {"trade_amount": "twelve"} for row in rows]
    workspace.export("orders.csv", wrong)
    workspace.backfill("run", "orders")
    first = workspace.reports()[-1] / "rows_to_fix.csv"

    workspace.backfill("run", "orders", str(first))
    second = workspace.reports()[-1] / "rows_to_fix.csv"
    assert (first != second, second.read_bytes()) == (True, first.read_bytes())

    fixed = workspace.folder / "fixed.csv"
    fixed.write_text(second.read_text(encoding="utf-8").replace("twelve", "12.50"), encoding="utf-8")
    assert workspace.backfill("run", "orders", str(fixed)).exit_code == 0
    assert sorted(workspace.requests()) == sorted(KEYS)
    assert original(workspace.reports()[-1] / "rows_to_fix.csv") == []


@pytest.mark.parametrize("sign", SIGNS)
def test_headings_are_guarded_too(workspace: Workspace, sign: str) -> None:
    """A column name that begins like a formula is guarded in the header, and recognised again."""
    workspace.export("orders.csv", [order(1, trade_amount="x", **{f"{sign}a": "1"})])
    workspace.backfill("run", "orders")
    to_fix = workspace.reports()[-1] / "rows_to_fix.csv"
    assert [cell for cell in cells_of(to_fix) if cell.startswith(SIGNS)] == []

    workspace.backfill("run", "orders", str(to_fix))
    assert (workspace.reports()[-1] / "rows_to_fix.csv").read_bytes() == to_fix.read_bytes()
