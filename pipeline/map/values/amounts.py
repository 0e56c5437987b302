"""Amounts and whole numbers, read as decimal digits, never as floats."""

import re

from pipeline.language import t
from pipeline.map.faults import Unreadable
from pipeline.map.values.cells import refuse_confusable_number

_NUMBER = r"([0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+)(?:\.([0-9]+))?"
_YUAN = re.compile(rf"(?:[¥￥] *)?{_NUMBER}")
_PLAIN = re.compile(_NUMBER)
_MOST_DIGITS = 19


def from_yuan(text: str) -> str:
    """Return an amount in yuan with two decimals: `3.5`, `￥3.50` and `3.5000` give `3.50`. Raises Unreadable."""
    # Oracle writes 0.5 as .5.
    match = _YUAN.fullmatch(f"0{text}" if text.startswith(".") else text)
    cents = (match[2] or "").rstrip("0") if match else ""
    if match is None or len(cents) > 2:
        refuse_confusable_number(text)
        raise Unreadable(t("is not an amount in yuan with at most two decimals"), "amount")
    return f"{_digits(match)}.{cents:0<2}"


def from_fen(text: str) -> str:
    """Return an amount of whole fen in yuan with two decimals: `350` gives `3.50`. Raises Unreadable."""
    fen = _whole(text)
    if fen is None:
        raise Unreadable(t("is not an amount in fen, a whole number"), "amount")
    return f"{fen[:-2] or '0'}.{fen[-2:]:0>2}"


def whole_number(text: str) -> int:
    """Return a whole number: `1,000` and `1000.00` give 1000. Raises Unreadable."""
    digits = _whole(text)
    if digits is None or len(digits) > _MOST_DIGITS:
        raise Unreadable(
            t("is not a whole number of at most {most_digits} digits", most_digits=_MOST_DIGITS), "whole_number"
        )
    return int(digits)


def _whole(text: str) -> str | None:
    match = _PLAIN.fullmatch(text)
    if match is None or (match[2] or "").strip("0"):
        refuse_confusable_number(text)
        return None
    return _digits(match)


def _digits(match: re.Match[str]) -> str:
    """Return the digits before the point, without separators and leading zeros."""
    return match[1].replace(",", "").lstrip("0") or "0"
