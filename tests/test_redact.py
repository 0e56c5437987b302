"""Redaction of values, and names of rows."""

import pytest

from pipeline.redact import Harmless, Shown, shown, shown_row

ANY = tuple(Harmless)


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "12.345",
        "1,280.00",
        "-5",
        "￥18.00",
        "12.5元",
        "1.2E+05",
        "1280000.5",
        "5%",
        "0.30000000000000004",
        "45981.4166666667",
    ],
)
def test_a_number_is_shown(value: str) -> None:
    """An amount or a count identifies nobody, even if it is wrong."""
    assert shown(value, harmless=(Harmless.NUMBER,)) == Shown(value)


@pytest.mark.parametrize(
    "value",
    [
        "2025-13-45 10:00:00", "2025/11/20 7:45", "2025年11月20日 10时05分", "20.11.2025 10:00", "2025-11-20",
        "2025-11-20T10:00:00.123456+08:00", "2025-11-20 10:00:00 UTC", "20251120100000", "20251120", "10:00",
        "11/20/2025 7:45:00 PM", "2025-11-20T10:00:00+08:00[Asia/Shanghai]", "2025-11-20 10:00:00 CST",
    ],
)  # fmt: skip
def test_a_time_is_shown(value: str) -> None:
    """A time identifies nobody, even if it does not exist."""
    assert shown(value, harmless=(Harmless.TIME,)) == Shown(value)


@pytest.mark.parametrize("value", ["PAID", "ORDER_PAID", "退款", "exclusive benefit", "maybe"])
def test_a_word_is_shown(value: str) -> None:
    """A word of letters identifies nobody, if the field is a word of a list."""
    assert shown(value, harmless=(Harmless.WORD,)) == Shown(value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("2088000000000001", id="a user id"),
        pytest.param("20235400000000000001", id="an agreement"),
        pytest.param("13812345678", id="a phone number"),
        pytest.param("138-1234-5678", id="a phone number in groups"),
        pytest.param("0571-81234567", id="a landline"),
        pytest.param("00012345", id="a card code"),
        pytest.param("478500000077", id="a long card code"),
        pytest.param("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", id="an openid"),
        pytest.param("oUpFxuMuAJOxMxpxbxQxzNjWeSxo", id="an openid of letters"),
        pytest.param("A-17", id="a key"),
        pytest.param("2088000000000001,00", id="an id like an amount"),
        pytest.param("20251399000000", id="digits that are no time"),
        pytest.param("PAID\x1b[2J", id="what moves a terminal"),
        pytest.param("1" + "," * 50, id="a long one"),
        pytest.param("9" * 40, id="many digits"),
    ],
)
def test_personal_data_is_masked(value: str) -> None:
    """Ids, keys, codes and phone numbers are masked in any field."""
    assert shown(value, harmless=ANY) == shown(value) != Shown(value)


def test_a_private_value_shows_its_length_only() -> None:
    """A private value of any form shows its length only."""
    assert shown("2025-11-20", harmless=ANY, is_private=True) == Shown(note="(10 characters)")


@pytest.mark.parametrize(
    ("value", "plain", "quoted"),
    [
        (Shown("12.345"), "12.345", '"12.345"'),
        (Shown("1***5", "(5 characters)"), "1***5 (5 characters)", '"1***5" (5 characters)'),
        (Shown(note="(5 characters)"), "(5 characters)", "(5 characters)"),
        (Shown(), "", ""),
    ],
)
def test_a_value_has_two_forms(value: Shown, plain: str, quoted: str) -> None:
    """A value has quotes in a sentence, and none in a column of its own."""
    assert (value.plain, value.quoted) == (plain, quoted)


@pytest.mark.parametrize(("line", "name"), [(None, "a.csv: row 8"), (8, "a.csv: row 8"), (9, "a.csv: row 8 (line 9)")])
def test_a_row_is_named_with_its_line_if_that_differs(line: int | None, name: str) -> None:
    """The name of a row has the file line if it differs from the row number."""
    assert shown_row("a.csv", 8, line) == name
