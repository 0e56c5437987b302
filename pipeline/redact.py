"""What may be shown of a value that may be a user's, and of a text that others wrote."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

_LONGEST_HEADING = 40
_LONGEST_HARMLESS = 40
_FEWEST_DIGITS_OF_AN_ID = 6
_MOST_HEADINGS = 50
# An open id: 28 letters, digits, _ and -; other tokens are alike. Names of columns are hardly ever.
_LIKE_AN_ID = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?:[\w-]{28}|(?=.*\d)[\w-]{20,})", re.ASCII)
# Control characters, invisible ones that turn the direction of what follows, halves of letters, line separators.
_NOT_FOR_TERMINALS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


_YEAR = r"(?:19|20|21)\d\d"
_DAY = rf"(?:{_YEAR}[-/.年]\d{{1,2}}[-/.月]\d{{1,2}}日?|\d{{1,2}}[-/.]\d{{1,2}}[-/.]{_YEAR})"
_CLOCK = r"\d{1,2}[:时]\d{1,2}(?:[:分](?:\d{1,2}秒?)?)?(?:[.,]\d{1,9})?(?: ?[AaPp][Mm])?"
_OFFSET = r" ?(?:Z|UTC|GMT|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d\d)?)"
_DIGITS_OF_A_TIME = rf"{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?)?"
_CURRENCY = r"[¥￥$]"


class Harmless(Enum):
    """
    Forms of values that name nobody.

    No id, key or phone number has such a form: a swapped column may put one anywhere. A time need not exist. A number
    has up to 7 digits in a row, and 10 in all. A word has letters only; one of 20 letters or more is in one case.
    """

    NUMBER = re.compile(
        rf"(?!(?:\D*\d){{11}})(?!.*\d{{8}})[+-]?{_CURRENCY}?[+-]?[\d.,]*\d[\d.,]*(?:[eE][+-]?\d{{1,3}})?[%元]?"
    )
    TIME = re.compile(rf"{_DAY}(?:[T ]*{_CLOCK})?(?:{_OFFSET})?|{_CLOCK}|{_DIGITS_OF_A_TIME}")
    WORD = re.compile(r"(?!(?=.*[a-z])(?=.*[A-Z]).{20})(?:[^\W\d_]|[_ -]){1,32}")


@dataclass(frozen=True, slots=True)
class Shown:
    """What may be shown of a value: a text that may be masked, and a note about its length."""

    text: str = ""
    note: str = ""

    @property
    def plain(self) -> str:
        """The text and the note, for a place of its own."""
        return " ".join(filter(None, (self.text, self.note)))

    @property
    def quoted(self) -> str:
        """The same as part of a sentence."""
        return " ".join(filter(None, (f'"{self.text}"' if self.text else "", self.note)))


def shown(value: object, *, harmless: Sequence[Harmless] = (), is_private: bool = False) -> Shown:
    """
    Return what may be shown of a value: nothing where it is no text or empty.

    A value of a harmless form is shown whole. Of any other one the first and the last character are shown, also where
    the field is harmless: a swapped column may put a user's id anywhere. Of a private one only the length is shown.
    """
    if not isinstance(value, str) or not value:
        return Shown()
    if not is_private and len(value) <= _LONGEST_HARMLESS and any(form.value.fullmatch(value) for form in harmless):
        return Shown(value)
    note = "(1 character)" if len(value) == 1 else f"({len(value)} characters)"
    if is_private:
        return Shown(note=note)
    return Shown(_plain(value) if len(value) == 1 else f"{_plain(value[0])}***{_plain(value[-1])}", note)


def masked(value: object, *, is_private: bool = False) -> str:
    """Return what a message may show of a value of any form."""
    return shown(value, is_private=is_private).quoted


def shown_row(file: str, row: int, line: int | None = None) -> str:
    """Return the name of a row: its number in its file, and the line where it begins if that is another number."""
    return f"{file}: row {row}" if line in (None, row) else f"{file}: row {row} (line {line})"


def shown_heading(heading: str) -> str:
    """Return what a message may show of a column's name: a file without a header line has a user's data there."""
    is_data = len(heading) > _LONGEST_HEADING or sum(map(str.isdigit, heading)) >= _FEWEST_DIGITS_OF_AN_ID
    if is_data or _LIKE_AN_ID.fullmatch(heading):
        return masked(heading)
    return "".join(map(_plain, heading))


def shown_headings(headings: Sequence[str]) -> str:
    """Return the names of columns as a message shows them, of very many the first."""
    shown = ", ".join(map(shown_heading, headings[:_MOST_HEADINGS]))
    left = len(headings) - _MOST_HEADINGS
    return f"{shown} and {left:,} more" if left > 0 else shown


def visible(text: str) -> str:
    r"""
    Return a text as one line that any terminal may print.

    A file, a path or a platform may hold what moves a cursor or hides what follows: such characters are written as
    Python writes them, a line feed as `\n`.
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
