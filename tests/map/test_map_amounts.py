"""Amounts: what is read, what is sent, what is refused."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.map.amounts import from_fen, from_float_of_fen, from_yuan
from pipeline.map.faults import Unreadable


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
        pytest.param(from_fen, "1250", "12.50", id="fen"),
        pytest.param(from_fen, "5", "0.05", id="less-than-a-yuan"),
        pytest.param(from_fen, "0", "0.00", id="no-fen"),
        pytest.param(from_fen, "000125", "1.25", id="fen-with-leading-zeros"),
        pytest.param(from_float_of_fen, "1250.0", "12.50", id="whole-float"),
        pytest.param(from_float_of_fen, "1250", "12.50", id="float-written-without-point"),
    ],
)
def test_an_amount_is_sent_in_yuan_with_two_decimals(read: Callable[[str], str], text: str, sent: str) -> None:
    """Whatever unit an amount is written in, it goes out in yuan with exactly two decimals."""
    assert read(text) == sent


@pytest.mark.parametrize(
    "text",
    [
        "12,50",
        "1,250.00",
        "-1",
        "+1",
        "1.234",
        "１２",
        "٣",
        "NaN",
        "inf",
        "1e2",
        "1.",
        ".5",
        "",
        "¥5",
        "1 2",
        "1.5\n",
        "0x1",
    ],
)
def test_what_is_no_amount_in_yuan_is_refused(text: str) -> None:
    """No sign, thousands mark, exponent, third decimal or digit of another script passes as an amount."""
    with pytest.raises(Unreadable, match="yuan"):
        from_yuan(text)


@pytest.mark.parametrize("read", [from_fen, from_float_of_fen])
@pytest.mark.parametrize("text", ["12.5", "1250.00", "1250.5", "-1", "1e3", "", "１２", "NaN"])
def test_fen_are_whole(read: Callable[[str], str], text: str) -> None:
    """A part of a fen is refused, also in a float column."""
    with pytest.raises(Unreadable, match="fen"):
        read(text)


def test_a_whole_float_of_fen_passes_only_in_a_float_column() -> None:
    """`1250.0` in a text column is not what an export of fen writes."""
    with pytest.raises(Unreadable):
        from_fen("1250.0")


@given(st.integers(min_value=0))
def test_fen_and_yuan_agree(fen: int) -> None:
    """The same money written in fen and in yuan is sent alike, and worth the same as a Decimal."""
    sent = from_fen(str(fen))

    assert Decimal(sent).as_tuple().exponent == -2
    assert sent == from_yuan(sent)
    assert int(sent.replace(".", "")) == fen
