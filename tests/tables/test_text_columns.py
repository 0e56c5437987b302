"""Columns of text: trimming, blank texts, first bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tables.text_columns import column_of, first_letters, is_blank, joined_bytes, trimmed


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
def test_text_is_trimmed(text: str, bare: str) -> None:
    """White space and invisible marks are removed at both ends, in any order, and nowhere else."""
    assert trimmed(text) == bare
    assert is_blank(text) == (bare == "")


@given(st.text())
def test_all_white_space_is_trimmed(text: str) -> None:
    """Everything that `str.strip` removes is removed."""
    assert trimmed(text) == trimmed(text).strip()


def test_no_text_is_blank() -> None:
    """A missing text is blank."""
    assert is_blank(None)


def test_first_bytes_of_texts() -> None:
    """Empty and missing texts give 0; slices of a column give the same bytes."""
    column = column_of(["ab", "", None, "\u5355", " a"])

    assert first_letters(column).tolist() == [ord("a"), 0, 0, 0xE5, 0x20]
    assert first_letters(column.slice(2, 2)).tolist() == [0, 0xE5]


def test_the_bytes_of_a_column_come_one_after_another() -> None:
    """A part of a column has its own bytes only; a missing text has none."""
    column = column_of(["ab", None, "", "退", "c"])

    assert joined_bytes(column).tobytes() == "ab退c".encode()
    assert joined_bytes(column.slice(1, 3)).tobytes() == "退".encode()
    assert joined_bytes(column.slice(1, 2)).tobytes() == b""
    assert joined_bytes(column_of([])).tobytes() == b""
