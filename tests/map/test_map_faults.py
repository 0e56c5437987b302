"""What messages show."""

import pytest

from pipeline.model import Fault, Invalid
from pipeline.redact import masked, shown_heading


@pytest.mark.parametrize(
    ("value", "is_private", "shown"),
    [
        pytest.param("12,50", False, '"1***0" (5 characters)', id="first-and-last"),
        pytest.param("12,50", True, "(5 characters)", id="private"),
        pytest.param("x", False, '"x" (1 character)', id="one-character"),
        pytest.param("x", True, "(1 character)", id="one-private-character"),
        pytest.param("", False, "", id="empty"),
        pytest.param("\x1b[2J\n", False, '"?***?" (5 characters)', id="nothing-that-moves-a-terminal"),
        pytest.param(None, False, "", id="no-text"),
    ],
)
def test_a_value_is_masked(value: object, is_private: bool, shown: str) -> None:
    """A message shows at most the first and the last character of a value, and of a private one only the length."""
    assert masked(value, is_private=is_private) == shown


@pytest.mark.parametrize(
    ("heading", "shown"),
    [
        ("paid_fen", "paid_fen"),
        ("订单号", "订单号"),
        ("13800001111", '"1***1" (11 characters)'),
        ("a\x1bb", "a?b"),
    ],
)
def test_a_heading_is_shown_unless_it_looks_like_data(heading: str, shown: str) -> None:
    """A file without a header line has a user's data where the columns' names should be."""
    assert shown_heading(heading) == shown


def test_a_row_speaks_with_its_first_code_and_all_messages() -> None:
    """The outcome bears the code of the first fault and what all of them say."""
    invalid = Invalid((Fault("field_missing", "a is missing"), Fault("field_invalid", "b is odd")))

    assert (invalid.code, invalid.message) == ("field_missing", "a is missing; b is odd")


def test_a_long_message_is_cut() -> None:
    """A row with ever so many faults does not flood the report."""
    invalid = Invalid((Fault("field_invalid", "x" * 400),) * 2)

    assert invalid.message == "x" * 400 + "; " + "x" * 94 + " ..."
