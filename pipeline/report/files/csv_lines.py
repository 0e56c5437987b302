"""Lines of CSV that every reader splits alike and no spreadsheet takes for formulas."""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

# Spreadsheets run a cell that begins with one of these as a formula, some also where the sign is of full width. A cell
# that already bears apostrophes before it gets one more, so that taking one off always gives back what was there.
_SIGN = r"[=+\-@\t\r\n＝＋－＠]"
_FORMULA = re.compile(rf"'*{_SIGN}")
_GUARDED = re.compile(rf"'(?='*{_SIGN})")
_QUOTED = (",", '"', "\r", "\n")
# For one look at several cells, each with a NUL before it. An expression for both would try every character.
_BEGINS_LIKE_A_FORMULA = re.compile(rf"\0'*{_SIGN}")


def csv_line(cells: Iterable[str | int | None]) -> bytes:
    r"""
    Return one line of CSV: quoted as RFC 4180 says, in UTF-8, with `\n` at its end; None is an empty cell.

    A cell that begins like a formula gets an apostrophe in front, also where it is a mere number such as -5.
    """
    # Not csv.writer: before Python 3.13 it leaves a lone carriage return unquoted, and readers end the line there.
    return (",".join(_cells(cells)) + "\n").encode()


def csv_lines(columns: Sequence[Sequence[str | int | None]]) -> bytes:
    """Return a line for each entry of the columns, of which there is one at least: what `csv_line` gives for it."""
    pieces: list[list[str]] = []
    for is_one, several in groupby(columns, key=_says_one_thing):
        if is_one:
            pieces.append([",".join(_cells([values[0] for values in several]))] * len(columns[0]))
        else:
            pieces += map(_cells, several)
    return ("\n".join(map(",".join, zip(*pieces, strict=True))) + "\n").encode()


def _says_one_thing(values: Sequence[str | int | None]) -> bool:
    """Return whether a column is the same for all rows, as most are for neighbours."""
    return values[0] == values[-1] and values.count(values[0]) == len(values)


def _cells(values: Iterable[str | int | None]) -> list[str]:
    """Return the values as cells; nearly always they are just their texts."""
    texts = ["" if value is None else f"{value}" for value in values]
    together = "\0" + "\0".join(texts)
    if _needs_quotes(together) or _BEGINS_LIKE_A_FORMULA.search(together):
        return list(map(_cell, texts))
    return texts


def guarded(text: str) -> str:
    """Return the text with an apostrophe in front where a spreadsheet would take it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """Return what `guarded` was given."""
    return text[1:] if _GUARDED.match(text) else text


def _cell(value: str) -> str:
    text = guarded(value)
    return '"' + text.replace('"', '""') + '"' if _needs_quotes(text) else text


def _needs_quotes(text: str) -> bool:
    return any(mark in text for mark in _QUOTED)
