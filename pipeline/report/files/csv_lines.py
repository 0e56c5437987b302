"""CSV lines that all readers split alike and no spreadsheet runs as formulas."""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

# Spreadsheets run a cell that begins with one of these signs as a formula; some also accept full-width signs.
# A cell that already has apostrophes before the sign gets one more, so that removing one restores the cell.
_SIGN = r"[=+\-@\t\r\n＝＋－＠]"
_FORMULA = re.compile(rf"'*{_SIGN}")
_GUARDED = re.compile(rf"'(?='*{_SIGN})")
_QUOTED = (",", '"', "\r", "\n")
# For one search over several cells, each with a NUL before it. A pattern for both uses would try every character.
_BEGINS_LIKE_A_FORMULA = re.compile(rf"\0'*{_SIGN}")


def csv_line(cells: Iterable[str | int | None]) -> bytes:
    r"""
    Return one line of CSV in UTF-8, quoted by RFC 4180, with `\n` at its end; None is an empty cell.

    A cell that begins like a formula gets an apostrophe in front, even if it is a number such as -5.
    """
    # csv.writer leaves a lone carriage return unquoted before Python 3.13, and readers end the line there.
    return (",".join(_cells(cells)) + "\n").encode()


def csv_lines(columns: Sequence[Sequence[str | int | None]]) -> bytes:
    """Return one line, as from `csv_line`, for each entry of the columns. Needs at least one column and one entry."""
    pieces: list[list[str]] = []
    for is_constant, several in groupby(columns, key=_is_constant):
        if is_constant:
            pieces.append([",".join(_cells([values[0] for values in several]))] * len(columns[0]))
        else:
            pieces += map(_cells, several)
    return ("\n".join(map(",".join, zip(*pieces, strict=True))) + "\n").encode()


def _is_constant(values: Sequence[str | int | None]) -> bool:
    """Return whether a column has the same value in all rows, as most columns of neighbouring rows have."""
    return values[0] == values[-1] and values.count(values[0]) == len(values)


def _cells(values: Iterable[str | int | None]) -> list[str]:
    """Return the values as cells. Nearly always no cell needs quotes or an apostrophe."""
    texts = ["" if value is None else f"{value}" for value in values]
    together = "\0" + "\0".join(texts)
    if _needs_quotes(together) or _BEGINS_LIKE_A_FORMULA.search(together):
        return list(map(_cell, texts))
    return texts


def guarded(text: str) -> str:
    """Return the text, with an apostrophe in front if a spreadsheet would run it as a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """Return the text without the apostrophe of `guarded`."""
    return text[1:] if _GUARDED.match(text) else text


def _cell(value: str) -> str:
    text = guarded(value)
    return '"' + text.replace('"', '""') + '"' if _needs_quotes(text) else text


def _needs_quotes(text: str) -> bool:
    return any(mark in text for mark in _QUOTED)
