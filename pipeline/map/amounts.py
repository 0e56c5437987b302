"""Amounts: decimals from end to end, never through a float."""

import re

from pipeline.map.faults import Unreadable

_YUAN = re.compile(r"([0-9]+)(?:\.([0-9]{1,2}))?")
_FEN = re.compile(r"([0-9]+)")
_WHOLE_FLOAT = re.compile(r"([0-9]+)\.0")


def from_yuan(text: str) -> str:
    """Return an amount in yuan with two decimals: `3.5` is `3.50`."""
    match = _YUAN.fullmatch(text)
    if match is None:
        raise Unreadable("is not an amount in yuan with at most two decimals")
    whole, cents = match.groups("")
    return f"{whole.lstrip('0') or '0'}.{cents:0<2}"


def from_fen(text: str) -> str:
    """Return in yuan, with two decimals, an amount of whole fen: `350` is `3.50`."""
    if _FEN.fullmatch(text) is None:
        raise Unreadable("is not an amount in fen, a whole number")
    return f"{text[:-2].lstrip('0') or '0'}.{text[-2:]:0>2}"


def from_float_of_fen(text: str) -> str:
    """As `from_fen`, for a float column, which writes whole numbers as `350.0`."""
    match = _WHOLE_FLOAT.fullmatch(text)
    return from_fen(match[1] if match else text)
