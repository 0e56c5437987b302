"""The parts of values that messages show."""

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
    """A message shows at most the first and last character of a value, and only the length of a private one."""
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
    """A heading that looks like data is masked, because a file may lack its header."""
    assert shown_heading(heading) == shown


def test_a_row_has_its_first_code_and_all_messages() -> None:
    """The outcome has the code of the first fault and the messages of all."""
    invalid = Invalid((Fault("field_missing", "a is missing"), Fault("field_invalid", "b is odd")))

    assert (invalid.code, invalid.message) == ("field_missing", "a is missing; b is odd")


def test_a_long_message_is_cut() -> None:
    """The message of a row with many faults is cut."""
    invalid = Invalid((Fault("field_invalid", "x" * 400),) * 2)

    assert invalid.message == "x" * 400 + "; " + "x" * 94 + " ..."
