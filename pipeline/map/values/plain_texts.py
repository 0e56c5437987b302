"""Which texts of a column surely keep the rule of their field, and stand in JSON as they are."""

import re

import numpy as np
import numpy.typing as npt

from pipeline.map.values.cells import UNSEEN, WIDE
from pipeline.map.values.constraints import Rule
from pipeline.tables.text_columns import Column, letters_of, pc

Mask = npt.NDArray[np.bool_]

_KNOWN = {"type", "minLength", "maxLength", "pattern"}
# A class of letters, repeated: then each letter can be looked at by itself.
_LETTERS = re.compile(r"\^\[(\^?(?:[A-Za-z0-9_ !~-]|\\u[0-9a-f]{4})+)\]\*\$")
_ASCII = "".join(letter for letter in map(chr, range(0x20, 0x7F)) if letter not in '"\\')
# What JSON escapes, what a schema may refuse and what stands for something unread; and what str.strip() takes away
# beside the blank and control characters.
_ODD = r'\x{0}-\x{1f}"\\\x{7f}-\x{9f}\x{fffd}'
_BLANK = r"\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
_PLAIN = f"^[^{_ODD}{_BLANK}](?:[^{_ODD}]*[^{_ODD}{_BLANK}])?$"
_ODD_ID = f"{_ODD}{UNSEEN}{WIDE}"
_PLAIN_ID = f"^[^{_ODD_ID}{_BLANK}](?:[^{_ODD_ID}]*[^{_ODD_ID}{_BLANK}])?$"


class PlainTexts:
    """
    Tells plain texts from odd ones, which the caller has to look at one by one.

    A plain text keeps the rule, has no white space around it, needs no escape in JSON, and the charset carries it. A
    plain id has no invisible or full-width character either. `rounded` is how a text looks that may have lost digits.
    """

    def __init__(self, rule: Rule, charset: str, *, is_id: bool = False, rounded: str | None = None) -> None:
        self._letters, self._pattern = _letters(rule)
        self._plain = _PLAIN_ID if is_id else _PLAIN
        self._rounded = rounded
        self._longest = rule.get("maxLength")
        self._charset = None if charset == "utf-8" else charset

    @staticmethod
    def knows(rule: Rule, charset: str) -> bool:
        """Tell whether this class knows what the rule asks, and the charset carries ASCII."""
        pattern = rule.get("pattern")
        is_known = rule.keys() <= _KNOWN and rule.get("type") == "string" and rule.get("minLength", 0) <= 1
        return is_known and (pattern is None or _is_of_letters(pattern)) and _is_carried(_ASCII, charset)

    def odd(self, column: Column) -> Mask | None:
        """Return which texts are not plain; None where all are. Expects what `CellColumns.said` returns."""
        letters = _bytes_of(column)
        odd = letters.translate(None, self._letters)
        may_be_rounded = self._rounded is not None and _may_be_rounded(letters)
        del letters  # a column may hold very long texts
        found = self._with_odd_letters(column, odd) if odd else None
        if may_be_rounded:
            found = either(found, mask(pc.match_substring_regex(column, self._rounded)))
        if self._longest is not None and (pc.max(pc.binary_length(column)).as_py() or 0) > self._longest:
            found = either(found, mask(pc.greater(pc.utf8_length(column), self._longest)))
        return found

    def _with_odd_letters(self, column: Column, odd: bytes) -> Mask | None:
        found: Mask | None = mask(pc.invert(pc.match_substring_regex(column, self._plain)))
        if self._pattern:
            found = either(found, mask(pc.invert(pc.match_substring_regex(column, self._pattern))))
        if self._charset and not odd.isascii():
            texts = column.to_pylist()
            not_carried = [text is not None and not _is_carried(text, self._charset) for text in texts]
            found = either(found, np.array(not_carried, np.bool_))
        return found


def mask(truths: Column) -> Mask:
    """Return truths for numpy; what is not known is not true."""
    known = pc.fill_null(truths, False) if truths.null_count else truths
    found: Mask = known.to_numpy(zero_copy_only=False)
    return found


def either(one: Mask | None, other: Mask | None) -> Mask | None:
    """Return where one or the other is true."""
    if one is None or other is None:
        return other if one is None else one
    return one | other


def _letters(rule: Rule) -> tuple[bytes, str | None]:
    """Return the ASCII letters that a rule lets pass, and its pattern as RE2 writes it."""
    pattern = rule.get("pattern")
    if pattern is None:
        return _ASCII.encode(), None
    letters = "".join(letter for letter in _ASCII if re.fullmatch(pattern, letter))
    return letters.encode(), re.sub(r"\\u([0-9a-f]{4})", r"\\x{\1}", pattern)


def _is_of_letters(pattern: str) -> bool:
    match = _LETTERS.fullmatch(pattern)
    # Doubled, some signs mean more than themselves to some engines.
    return match is not None and not any(sign * 2 in match[1] for sign in "-~^ ")


def _is_carried(text: str, charset: str) -> bool:
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def _may_be_rounded(data: bytes) -> bool:
    """Tell whether there is a letter without which no text looks rounded."""
    return b"." in data or b"e" in data or b"E" in data


def _bytes_of(column: Column) -> bytes:
    """Return the texts of a column one after the other."""
    ends, letters = letters_of(column)
    return letters[ends[0] : ends[-1]].tobytes()
