"""CSV lines: quotes, guards against formulas, and nothing lost."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.files.csv_lines import csv_line, csv_lines, guarded, unguarded


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        pytest.param(None, "", id="nothing"),
        pytest.param("", "", id="empty"),
        pytest.param(17, "17", id="number"),
        pytest.param("消费金额", "消费金额", id="chinese"),
        pytest.param(" a ", " a ", id="spaces-stay"),
        pytest.param("a,b", '"a,b"', id="comma"),
        pytest.param('a "b"', '"a ""b"""', id="quotes"),
        pytest.param("a\nb", '"a\nb"', id="line-feed"),
        pytest.param("a\rb", '"a\rb"', id="carriage-return-alone"),
        pytest.param("=1+1", "'=1+1", id="formula"),
        pytest.param("+86 10", "'+86 10", id="plus"),
        pytest.param("@SUM(A1)", "'@SUM(A1)", id="at"),
        pytest.param("-5", "'-5", id="negative-number"),
        pytest.param("\ta", "'\ta", id="tab"),
        pytest.param("\r=1", '"\'\r=1"', id="carriage-return-first"),
        pytest.param('=A1&","', '"\'=A1&"","""', id="formula-in-quotes"),
        pytest.param("'=1", "''=1", id="guarded-before"),
        pytest.param("'tis", "'tis", id="apostrophe-alone"),
        pytest.param("1=1", "1=1", id="sign-within"),
    ],
)
def test_a_cell_is_quoted_and_guarded_only_if_needed(cell: str | int | None, written: str) -> None:
    """A cell is quoted if RFC 4180 requires it, and gets an apostrophe if a spreadsheet would run it."""
    assert csv_line(["x", cell]) == f"x,{written}\n".encode()


@given(st.lists(st.lists(st.text(), min_size=2, max_size=4), max_size=5))
def test_any_texts_survive_a_csv_reader(lines: list[list[str]]) -> None:
    """A CSV reader returns every text that was written, guarded."""
    written = b"".join(map(csv_line, lines)).decode()

    assert list(csv.reader(io.StringIO(written, newline=""))) == [[guarded(cell) for cell in line] for line in lines]


@given(
    st.lists(st.tuples(*[st.sampled_from([None, "", "a", "a,b", "=1", "%s", 0, 7, -5])] * 4), min_size=1, max_size=4)
)
def test_columns_give_the_lines_of_their_rows(lines: list[tuple[str | int | None, ...]]) -> None:
    """`csv_lines` of columns equals `csv_line` of each row."""
    assert csv_lines(list(zip(*lines, strict=True))) == b"".join(map(csv_line, lines))


@given(st.text(alphabet="'=+-@\t\ra") | st.text())
def test_unguarding_restores_every_text(text: str) -> None:
    """Removing the guard restores every text, also one that already looks guarded."""
    assert unguarded(guarded(text)) == text
    assert not guarded(text).startswith(("=", "+", "-", "@", "\t", "\r"))
