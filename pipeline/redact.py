"""Redaction: values that may be personal data, and texts from elsewhere, in a form that may be shown."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from pipeline.language import counted, t

# Lengths in characters.
_LONGEST_HEADING = 40
_LONGEST_HARMLESS = 40
_FEWEST_DIGITS_OF_AN_ID = 6
_MOST_HEADINGS = 50
# Open ids have 28 letters, digits, _ and -; other tokens look similar. Column names hardly ever do.
_LIKE_AN_ID = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?:[\w-]{28}|(?=.*\d)[\w-]{20,})", re.ASCII)
# Unicode categories: control and format characters, surrogates, line and paragraph separators.
_NOT_FOR_TERMINALS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

_YEAR = r"(?:19|20|21)\d\d"
_DAY = rf"(?:{_YEAR}[-/.年]\d{{1,2}}[-/.月]\d{{1,2}}日?|\d{{1,2}}[-/.]\d{{1,2}}[-/.]{_YEAR})"
_CLOCK = r"\d{1,2}[:时]\d{1,2}(?:[:分](?:\d{1,2}秒?)?)?(?:[.,]\d{1,9})?(?: ?[AaPp][Mm])?"
_OFFSET = r" ?(?:Z|UTC|GMT|CST|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d\d)?(?: ?CST)?)(?:\[[A-Za-z]{1,16}/[A-Za-z_]{1,16}\])?"
_DIGITS_OF_A_TIME = rf"{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?)?"
_CURRENCY = r"[¥￥$]"


class Harmless(Enum):
    """
    Forms of values that identify nobody.

    No id, key or phone number matches, because a swapped column may put one into any field.

    - NUMBER: up to 7 digits in a row and 10 in all; or a decimal with up to 7 digits before the point
    - TIME: need not exist; a zone may follow
    - WORD: letters only; words of 20 letters or more have one case
    """

    NUMBER = re.compile(
        rf"(?!(?:\D*\d){{11}})(?!.*\d{{8}})[+-]?{_CURRENCY}?[+-]?[\d.,]*\d[\d.,]*(?:[eE][+-]?\d{{1,3}})?[%元]?"
        rf"|[+-]?{_CURRENCY}?\d{{1,7}}\.\d+"
    )
    TIME = re.compile(rf"{_DAY}(?:[T ]*{_CLOCK})?(?:{_OFFSET})?|{_CLOCK}|{_DIGITS_OF_A_TIME}")
    WORD = re.compile(r"(?!(?=.*[a-z])(?=.*[A-Z]).{20})(?:[^\W\d_]|[_ -]){1,32}")


@dataclass(frozen=True, slots=True)
class Shown:
    """The part of a value that may be shown: a text, possibly masked, and a note on its length."""

    text: str = ""
    note: str = ""

    @property
    def plain(self) -> str:
        """Text and note without quotes, for a column of its own."""
        return " ".join(filter(None, (self.text, self.note)))

    @property
    def quoted(self) -> str:
        """Text in quotes and note, for a sentence."""
        return " ".join(filter(None, (f'"{self.text}"' if self.text else "", self.note)))


def shown(value: object, *, harmless: Sequence[Harmless] = (), is_private: bool = False) -> Shown:
    """
    Return the part of a value that may be shown; empty if the value is no text or empty.

    - a value that matches one of the `harmless` forms: the whole value
    - a private value: its length only
    - any other value: first and last character and its length, because a swapped column may put an id into any field
    """
    if not isinstance(value, str) or not value:
        return Shown()
    if not is_private and len(value) <= _LONGEST_HARMLESS and any(form.value.fullmatch(value) for form in harmless):
        return Shown(value)
    note = counted(len(value), "(1 character)", "({count} characters)")
    if is_private:
        return Shown(note=note)
    return Shown(_plain(value) if len(value) == 1 else f"{_plain(value[0])}***{_plain(value[-1])}", note)


def masked(value: object, *, is_private: bool = False) -> str:
    """Return a value masked for a message."""
    return shown(value, is_private=is_private).quoted


def shown_row(file: str, row: int, line: int | None = None) -> str:
    """Return the name of a row for messages: file, row number, and file line if that differs."""
    if line in (None, row):
        return t("{file}: row {row}", file=file, row=row)
    return t("{file}: row {row} (line {line})", file=file, row=row, line=line)


def shown_heading(heading: str) -> str:
    """Return a column's name for a message; mask it if it looks like data, as in a file without a header."""
    is_data = len(heading) > _LONGEST_HEADING or sum(map(str.isdigit, heading)) >= _FEWEST_DIGITS_OF_AN_ID
    if is_data or _LIKE_AN_ID.fullmatch(heading):
        return masked(heading)
    return "".join(map(_plain, heading))


def shown_headings(headings: Sequence[str]) -> str:
    """Return column names for a message, up to 50 of them."""
    shown = ", ".join(map(shown_heading, headings[:_MOST_HEADINGS]))
    left = len(headings) - _MOST_HEADINGS
    return t("{shown} and {left:,} more", shown=shown, left=left) if left > 0 else shown


def visible(text: str) -> str:
    r"""
    Return a text as one line that is safe for any terminal.

    Control characters from a file, a path or a platform could move the cursor or hide text. They are escaped as in
    Python, for example a line feed as `\n`.
    """
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if unicodedata.category(character) in _NOT_FOR_TERMINALS:
        return character.encode("unicode_escape").decode("ascii")
    return character


def _plain(character: str) -> str:
    return character if character.isprintable() else "?"
