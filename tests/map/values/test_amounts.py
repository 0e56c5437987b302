"""Amounts that are read, and texts that are refused."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.map.faults import Unreadable
from pipeline.map.values.amounts import from_fen, from_yuan, whole_number


@pytest.mark.parametrize(
    ("read", "text", "sent"),
    [
        pytest.param(from_yuan, "12.50", "12.50", id="yuan"),
        pytest.param(from_yuan, "12.5", "12.50", id="one-decimal"),
        pytest.param(from_yuan, "12", "12.00", id="no-decimals"),
        pytest.param(from_yuan, "0", "0.00", id="nothing"),
        pytest.param(from_yuan, "000.05", "0.05", id="leading-zeros"),
        pytest.param(
            from_yuan, "12345678901234567890.12", "12345678901234567890.12", id="more-digits-than-a-float-has"
        ),
        pytest.param(from_yuan, ".5", "0.50", id="of-oracle"),
        pytest.param(from_yuan, "12.5000", "12.50", id="four-decimals"),
        pytest.param(from_yuan, f"12.{'0' * 18}", "12.00", id="eighteen-decimals"),
        pytest.param(from_yuan, "1,280.00", "1280.00", id="thousands"),
        pytest.param(from_yuan, "12,345,678", "12345678.00", id="millions"),
        pytest.param(from_yuan, "￥18.00", "18.00", id="full-width-sign"),
        pytest.param(from_yuan, "¥18", "18.00", id="half-width-sign"),
        pytest.param(from_yuan, "¥ 1,280.5", "1280.50", id="sign-and-blank"),
        pytest.param(from_fen, "1250", "12.50", id="fen"),
        pytest.param(from_fen, "5", "0.05", id="less-than-a-yuan"),
        pytest.param(from_fen, "0", "0.00", id="no-fen"),
        pytest.param(from_fen, "000125", "1.25", id="fen-with-leading-zeros"),
        pytest.param(from_fen, "1250.0", "12.50", id="fen-with-a-decimal"),
        pytest.param(from_fen, "1,250.00", "12.50", id="thousands-of-fen"),
    ],
)
def test_an_amount_is_sent_in_yuan_with_two_decimals(read: Callable[[str], str], text: str, sent: str) -> None:
    """An exact amount in yuan or fen is sent in yuan with two decimals."""
    assert read(text) == sent


@pytest.mark.parametrize(
    "text",
    [
        *("-1", "+1", "1.234", "1.2300001", "٣", "NaN", "inf", "1e2", "1.", ".", ".555", "", "1 2", "1.5\n", "0x1"),
        *("12,50", "1,28.00", "1,2800", "1,280,00", ",280", "1,280,", "0,280.00", "1,,280", "1.280,00", "1.280.00"),
        *("¥¥18", "￥¥18", "-¥18", "¥-18", "18¥", "¥", "18元", "CNY18", "$18"),
    ],
)
def test_a_text_that_is_no_amount_in_yuan_is_refused(text: str) -> None:
    """Signs, misplaced separators, exponents, third decimals and digits of other scripts are refused."""
    with pytest.raises(Unreadable, match="yuan") as refused:
        from_yuan(text)

    assert (refused.value.code, refused.value.rule) == ("field_invalid", "amount")


@pytest.mark.parametrize("text", ["12.5", "1250.5", "-1", "1e3", "", "NaN", "¥1250", "12,50", "1,250.01"])
def test_fen_are_whole(text: str) -> None:
    """Fractions of a fen, and currency signs of yuan, are refused."""
    with pytest.raises(Unreadable, match="fen"):
        from_fen(text)


@pytest.mark.parametrize("read", [from_yuan, from_fen, whole_number])
@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("１２", "U\\+FF11", id="full-width-digit"),
        pytest.param("1，200", "U\\+FF0C", id="full-width-comma"),
        pytest.param("12．50", "U\\+FF0E", id="full-width-point"),
        pytest.param("1\u200b2", "U\\+200B", id="zero-width-space"),
    ],
)
def test_a_confusable_character_is_named(read: Callable[[str], object], text: str, named: str) -> None:
    """The fault of a number that looks right names the confusable character."""
    with pytest.raises(Unreadable, match=named):
        read(text)


@given(st.integers(min_value=0))
def test_fen_and_yuan_agree(fen: int) -> None:
    """The same amount in fen and in yuan gives the same text, with the same value as a Decimal."""
    sent = from_fen(str(fen))

    assert Decimal(sent).as_tuple().exponent == -2
    assert sent == from_yuan(sent)
    assert int(sent.replace(".", "")) == fen


@given(st.integers(min_value=0), st.integers(0, 20))
def test_separators_and_zeros_change_no_amount(fen: int, zeros: int) -> None:
    """Thousands separators, a currency sign and trailing zeros do not change an exact amount."""
    plain = from_fen(str(fen))
    whole, _, cents = plain.partition(".")

    assert from_yuan(f"￥{int(whole):,}.{cents}{'0' * zeros}") == plain
    assert from_fen(f"{fen:,}.{'0' * (zeros + 1)}") == plain


@given(st.decimals(0, 10**12, places=3).filter(lambda amount: amount * 100 % 1 != 0))
def test_an_amount_that_is_not_exact_is_never_rounded(amount: Decimal) -> None:
    """An amount with a third decimal other than zero is refused in every form."""
    for text in (f"{amount}", f"{amount:,}", f"¥{amount}000"):
        with pytest.raises(Unreadable):
            from_yuan(text)
