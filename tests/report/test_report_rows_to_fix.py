"""The rows to fix, as CSV."""

import csv
from collections.abc import Callable
from pathlib import Path

from pipeline.model import Status
from pipeline.report import ReportFiles
from pipeline.tables.outcome_page import Outcome


def test_only_invalid_and_rejected_rows_are_to_be_fixed(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """Only invalid and rejected rows are written, with cells, row mark and fault."""
    report(
        tmp_path,
        [outcome(status=status, code=status.upper(), message="no", cells='["007","12,5"]') for status in Status],
    )

    assert (tmp_path / "rows_to_fix.csv").read_text(encoding="utf-8") == (
        "\ufefforder_id,amount,_row,_status,_code,_message\n"
        '007,"12,5",[row 3 of orders-1.csv],invalid,INVALID,no\n'
        '007,"12,5",[row 4 of orders-1.csv],rejected,REJECTED,no\n'
    )


def test_inputs_of_different_columns_share_one_header(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """The header has the columns of all inputs; cells of columns that a row lacks are empty."""
    columns = {0: ("order_id", "amount"), 1: ("amount", "memo", "order_id")}

    report(
        tmp_path,
        [
            outcome(status=Status.INVALID, file_no=0, cells='["A-1","x"]'),
            outcome(status=Status.INVALID, file_no=1, cells='["y",null,"A-2"]'),
        ],
        columns=columns,
    )

    with (tmp_path / "rows_to_fix.csv").open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == [
            ["order_id", "amount", "memo", "_row", "_status", "_code", "_message"],
            ["A-1", "x", "", "[row 1 of orders-1.csv]", "invalid", "SUCCESS", ""],
            ["A-2", "y", "", "[row 2 of orders-1.csv]", "invalid", "SUCCESS", ""],
        ]


def test_ragged_rows_keep_what_fits(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """A row with more or fewer cells than columns keeps every cell that has a column."""
    cells = ['["A-1","x","surplus"]', '["A-2"]', "[]", None]

    report(tmp_path, [outcome(status=Status.INVALID, code="ragged", cells=text) for text in cells])

    assert (tmp_path / "rows_to_fix.csv").read_text(encoding="utf-8").splitlines()[1:] == [
        "A-1,x,[row 1 of orders-1.csv],invalid,ragged,",
        "A-2,,[row 2 of orders-1.csv],invalid,ragged,",
        ",,[row 3 of orders-1.csv],invalid,ragged,",
        ",,[row 4 of orders-1.csv],invalid,ragged,",
    ]


def test_columns_without_a_name_keep_their_cells(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """Columns without a name stay separate and keep their places."""
    report(
        tmp_path,
        [outcome(status=Status.INVALID, code="ragged", cells='["A-1","b","c"]')],
        columns={0: ("order_id", "", ""), 1: ("order_id", "")},
    )

    assert (tmp_path / "rows_to_fix.csv").read_text(encoding="utf-8") == (
        "\ufefforder_id,,,_row,_status,_code,_message\nA-1,b,c,[row 1 of orders-1.csv],invalid,ragged,\n"
    )


def test_cells_and_names_are_no_formulas(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """Header, cells and messages that a spreadsheet would run get an apostrophe in front."""
    report(
        tmp_path,
        [outcome(status=Status.REJECTED, code="-", message="@x", cells='["=1+1","-5"]')],
        columns={0: ("+id", "amount")},
    )

    assert (tmp_path / "rows_to_fix.csv").read_text(encoding="utf-8") == (
        "\ufeff'+id,amount,_row,_status,_code,_message\n'=1+1,'-5,[row 1 of orders-1.csv],rejected,'-,'@x\n"
    )


def test_a_run_with_nothing_to_fix_writes_the_header(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """Without rows to fix, the file has the header only, so that scripts always find it."""
    report(tmp_path, [outcome()])

    header = b"\xef\xbb\xbforder_id,amount,_row,_status,_code,_message\n"
    assert (tmp_path / "rows_to_fix.csv").read_bytes() == header
