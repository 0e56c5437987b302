"""The row mark of rows_to_fix."""

import pytest

from pipeline.tables.row_mark import RowMark

RUN = "01JD4Q4Z8V3N5R6T7Y8M9B0C1D"


def test_a_mark_is_read_as_it_was_written() -> None:
    """A mark is parsed from its text, also with white space around it."""
    mark = RowMark(RUN, 2, 1_048_577)

    assert (str(mark), RowMark.read(f" {mark}\r")) == (f"[run {RUN} file 2 row 1048577]", mark)


@pytest.mark.parametrize(
    "text",
    ["", "8", RUN, f"[run {RUN} file 1 row 0]", f"[run {RUN} file 1 row 8", f"[run {RUN.lower()} file 1 row 8]"],
)
def test_other_texts_are_no_marks(text: str) -> None:
    """Texts of any other form give None."""
    assert RowMark.read(text) is None
