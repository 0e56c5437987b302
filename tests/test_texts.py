"""What is around a text, and how it begins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tables.text_columns import column_of, first_letters, is_blank, trimmed


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        pytest.param("a b", "a b", id="inner blank"),
        pytest.param(" \t\u3000a\u00a0\n", "a", id="white space"),
        pytest.param("\ufeff\u200b a\u200d\u2060", "a", id="marks without width"),
        pytest.param("\u200ea\u202c\u2069", "a", id="marks of direction"),
        pytest.param("a\u200bb", "a\u200bb", id="inner mark"),
        pytest.param("\ufeff \u200b", "", id="nothing else"),
    ],
)
def test_what_is_around_a_text_is_taken_off(text: str, bare: str) -> None:
    """White space and invisible marks go at both ends, in any order, and nowhere else."""
    assert trimmed(text) == bare
    assert is_blank(text) == (bare == "")


@given(st.text())
def test_all_white_space_is_taken_off(text: str) -> None:
    """Whatever Python strips goes too."""
    assert trimmed(text) == trimmed(text).strip()


def test_no_text_is_blank() -> None:
    """A cell without a value shows nothing."""
    assert is_blank(None)


def test_texts_are_told_by_their_first_byte() -> None:
    """A text that is empty or missing begins with 0; a part of a column says the same."""
    column = column_of(["ab", "", None, "\u5355", " a"])

    assert first_letters(column).tolist() == [ord("a"), 0, 0, 0xE5, 0x20]
    assert first_letters(column.slice(2, 2)).tolist() == [0, 0xE5]
