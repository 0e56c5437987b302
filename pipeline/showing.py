"""What may be shown of a value that may be a user's, and of a text that others wrote."""

import re
import unicodedata
from collections.abc import Sequence

_LONGEST_HEADING = 40
_FEWEST_DIGITS_OF_AN_ID = 6
_MOST_HEADINGS = 50
# An open id: 28 letters, digits, _ and -; other tokens are alike. Names of columns are hardly ever.
_LIKE_AN_ID = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?:[\w-]{28}|(?=.*\d)[\w-]{20,})", re.ASCII)
# Control characters, invisible ones that turn the direction of what follows, halves of letters, line separators.
_NOT_FOR_TERMINALS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def masked(value: object, *, is_private: bool = False) -> str:
    """
    Return what a message may show of a value: nothing where it is no text or empty.

    Never more than the first and the last character, also where the field is harmless: a swapped column may put a
    user's id anywhere.
    """
    if not isinstance(value, str) or not value:
        return ""
    if len(value) == 1:
        return "(1 character)" if is_private else f'"{_plain(value)}" (1 character)'
    size = f"({len(value)} characters)"
    return size if is_private else f'"{_plain(value[0])}***{_plain(value[-1])}" {size}'


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
