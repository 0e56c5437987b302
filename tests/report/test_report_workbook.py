"""The workbook of rows to fix: text cells only, within the limits of spreadsheets."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.model import Status
from pipeline.report import ReportFiles
from pipeline.report.files.workbook import MOST_CHARACTERS, MOST_COLUMNS, TextWorkbook
from pipeline.tables.outcome_page import Outcome
from tests.report import workbooks


def written(folder: Path, header: list[str], lines: list[list[str | None]], rows: int = 10) -> tuple[Path, int]:
    """Write a workbook; return its path and the number of rows left out."""
    path = folder / "workbook.xlsx"
    with path.open("wb") as file, TextWorkbook(file, folder, header, rows=rows) as workbook:
        for line in lines:
            workbook.add(line)
    return path, workbook.left_out


def test_every_cell_is_text(tmp_path: Path) -> None:
    """Ids, numbers, dates, formulas and links are texts; cells and whole columns have the format text."""
    cells: list[str | None] = ["20235400000000000001", "007", "2025-11-20", "=1+1", "https://a.example", "1e5"]

    path, left_out = written(tmp_path, list("abcdef"), [cells])

    assert (workbooks.rows(path)[1], left_out) == (dict(zip("ABCDEF", cells, strict=True)), 0)
    assert (workbooks.kinds(path), workbooks.formats(path)) == ({"inlineStr"}, {"49"})
    assert [column.attrib["max"] for column in workbooks.sheet(path).iter() if column.tag.endswith("}col")] == ["6"]


@pytest.mark.parametrize("text", [" a ", "a\nb", "汉字", "\U0001f600", "<&>\"'", "\ufffd"])
def test_texts_are_kept_unchanged(text: str, tmp_path: Path) -> None:
    """Spaces, line feeds, characters of any script and markup are kept."""
    path, _ = written(tmp_path, ["a"], [[text]])

    assert workbooks.rows(path)[1] == {"A": text}


def test_rows_beyond_the_last_one_of_a_spreadsheet_are_left_out(tmp_path: Path) -> None:
    """The header counts as a row; rows beyond the limit are counted as left out."""
    path, left_out = written(tmp_path, ["a"], [["1"], ["2"], ["3"], ["4"]], rows=3)

    assert (workbooks.rows(path), left_out) == ([{"A": "a"}, {"A": "1"}, {"A": "2"}], 2)


@pytest.mark.parametrize(
    ("cell", "left_out"),
    [
        pytest.param("x" * MOST_CHARACTERS, 0, id="as long as can be"),
        pytest.param("x" * (MOST_CHARACTERS + 1), 1, id="one letter longer"),
        pytest.param("\U0001f600" * 16_383, 0, id="letters of two halves"),
        pytest.param("\U0001f600" * 16_384, 1, id="letters of two halves, too many"),
    ],
)
def test_a_row_with_a_cell_that_is_too_long_is_left_out(cell: str, left_out: int, tmp_path: Path) -> None:
    """A row with a cell that is too long is left out, because a cut cell would look whole; later rows follow."""
    path, found = written(tmp_path, ["a"], [[cell], ["next"]])

    assert (found, len(workbooks.rows(path)), workbooks.rows(path)[-1]) == (left_out, 3 - left_out, {"A": "next"})


def test_a_table_that_is_too_wide_is_left_out(tmp_path: Path) -> None:
    """With more columns than a spreadsheet allows, all rows are left out."""
    path, left_out = written(tmp_path, ["a"] * (MOST_COLUMNS + 1), [["1"]])

    assert (workbooks.rows(path), left_out) == ([], 2)


def test_a_report_says_which_rows_only_the_csv_has(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """The note with the number of rows is in the log and on a sheet of its own; the CSV has all rows."""
    long = "x" * (MOST_CHARACTERS + 1)
    cells = [f'["A-1","{long}"]', '["A-2","1"]', f'["{long}","1"]']

    files = report(tmp_path, [outcome(status=Status.INVALID, cells=text) for text in cells])

    note = "2 rows are not in rows_to_fix.xlsx: too large for a spreadsheet. rows_to_fix.csv has all rows"
    assert files.notes == (note,)
    assert workbooks.sheets(files.folder / "rows_to_fix.xlsx") == ["rows to fix", "note"]
    assert workbooks.rows(files.folder / "rows_to_fix.xlsx", 2) == [{"A": note}]
    assert len((files.folder / "rows_to_fix.csv").read_text(encoding="utf-8-sig").splitlines()) == 4


def test_workbook_and_csv_have_the_same_rows(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """Header and rows are those of the CSV, without apostrophes, because text cells hold no formulas."""
    rejected = outcome(status=Status.REJECTED, code="-", message="@x", cells='["=1+1","\'-5"]')

    files = report(tmp_path, [outcome(), rejected])

    assert workbooks.rows(files.folder / "rows_to_fix.xlsx") == [
        dict(zip("ABCDEF", ("order_id", "amount", "_row", "_status", "_code", "_message"), strict=True)),
        dict(zip("ABCDEF", ("=1+1", "''-5", "[row 2 of orders-1.csv]", "rejected", "-", "@x"), strict=True)),
    ]
    assert files.notes == ()


def test_the_same_report_gives_the_same_workbook(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """Nothing in the file depends on when it is written."""
    rows = [outcome(status=Status.INVALID, cells='["A-1","x"]')]

    one, other = ((report(tmp_path / name, rows).folder / "rows_to_fix.xlsx").read_bytes() for name in ("one", "other"))

    assert one == other


def test_an_error_midway_leaves_no_workbook(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """If reading the outcomes fails, neither the workbook nor its temporary folder stays."""

    def broken() -> Iterator[Outcome]:
        yield outcome(status=Status.INVALID, cells='["A-1","x"]')
        raise RuntimeError

    with pytest.raises(RuntimeError):
        report(tmp_path, broken(), page_rows=1)

    assert list(tmp_path.iterdir()) == []
