"""Lines of CSV that every reader splits alike and no spreadsheet takes for formulas."""

import re
from collections.abc import Iterable, Sequence

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
    return (",".join(_cells(["" if cell is None else str(cell) for cell in cells])) + "\n").encode()


def csv_lines(
    before: Sequence[str | int | None],
    columns: tuple[Sequence[int], Sequence[str]],
    after: Sequence[str | int | None],
) -> bytes:
    """Return lines that differ in a number and a text alone: what `csv_line` gives for each of them."""
    head, tail = csv_line((*before, ""))[:-1].decode(), csv_line(("", *after)).decode()
    numbers, texts = columns
    cells = _cells(texts)
    return "".join([f"{head}{number},{cell}{tail}" for number, cell in zip(numbers, cells, strict=True)]).encode()


def _cells(texts: Sequence[str]) -> Sequence[str]:
    """Return the texts as cells; nearly always they are just that."""
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
