"""Lines of CSV that every reader splits alike and no spreadsheet takes for formulas."""

import re
from collections.abc import Iterable

# Spreadsheets run a cell that begins with one of these as a formula, some also where the sign is of full width. A cell
# that already bears apostrophes before it gets one more, so that taking one off always gives back what was there.
_SIGN = r"[=+\-@\t\r\n＝＋－＠]"
_FORMULA = re.compile(rf"'*{_SIGN}")
_GUARDED = re.compile(rf"'(?='*{_SIGN})")
_NEEDS_QUOTES = re.compile(r'[,"\r\n]')


def csv_line(cells: Iterable[str | int | None]) -> bytes:
    r"""
    Return one line of CSV: quoted as RFC 4180 says, in UTF-8, with `\n` at its end; None is an empty cell.

    A cell that begins like a formula gets an apostrophe in front, also where it is a mere number such as -5.
    """
    # Not csv.writer: before Python 3.13 it leaves a lone carriage return unquoted, and readers end the line there.
    return (",".join(map(_cell, cells)) + "\n").encode()


def guarded(text: str) -> str:
    """Return the text with an apostrophe in front where a spreadsheet would take it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """Return what `guarded` was given."""
    return text[1:] if _GUARDED.match(text) else text


def _cell(value: str | int | None) -> str:
    if value is None:
        return ""
    text = guarded(str(value))
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text
