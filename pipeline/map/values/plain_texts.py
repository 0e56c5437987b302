"""Plain texts of a column: they keep the rule of their field, and need no escape in JSON."""

import re

import numpy as np
import numpy.typing as npt

from pipeline.map.values.cells import FULL_WIDTH, INVISIBLE
from pipeline.map.values.constraints import Schema
from pipeline.tables.text_columns import Column, letters_of, pc

Mask = npt.NDArray[np.bool_]

_KNOWN = {"type", "minLength", "maxLength", "pattern"}
# A pattern that is one repeated character class, so that each character can be checked by itself.
_LETTERS = re.compile(r"\^\[(\^?(?:[A-Za-z0-9_ !~-]|\\u[0-9a-f]{4})+)\]\*\$")
_ASCII = "".join(letter for letter in map(chr, range(0x20, 0x7F)) if letter not in '"\\')
# Characters that JSON escapes or a schema may refuse, and U+FFFD. _BLANK: white space of str.strip() beside U+0020 and
# control characters.
_ODD = r'\x{0}-\x{1f}"\\\x{7f}-\x{9f}\x{fffd}'
_BLANK = r"\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
_PLAIN = f"^[^{_ODD}{_BLANK}](?:[^{_ODD}]*[^{_ODD}{_BLANK}])?$"
_ODD_ID = f"{_ODD}{INVISIBLE}{FULL_WIDTH}"
_PLAIN_ID = f"^[^{_ODD_ID}{_BLANK}](?:[^{_ODD_ID}]*[^{_ODD_ID}{_BLANK}])?$"


class PlainTexts:
    """
    Separates plain texts from odd ones, which the caller reads one by one.

    A plain text keeps the rule, has no white space around it, needs no escape in JSON, and can be encoded in the
    charset. A plain id also has no invisible or full-width character. `rounded` is the pattern of texts that may have
    lost digits.
    """

    def __init__(self, rule: Schema, charset: str, *, is_id: bool = False, rounded: str | None = None) -> None:
        self._letters, self._pattern = _letters(rule)
        self._plain = _PLAIN_ID if is_id else _PLAIN
        self._rounded = rounded
        self._longest = rule.get("maxLength")
        self._charset = None if charset == "utf-8" else charset

    @staticmethod
    def knows(rule: Schema, charset: str) -> bool:
        """Return whether this class can check the rule, and the charset can encode ASCII."""
        pattern = rule.get("pattern")
        is_known = rule.keys() <= _KNOWN and rule.get("type") == "string" and rule.get("minLength", 0) <= 1
        return is_known and (pattern is None or _is_of_letters(pattern)) and _is_encodable(_ASCII, charset)

    def odd(self, column: Column) -> Mask | None:
        """Return the mask of odd texts; None if all are plain. Expects the result of `CellColumns.texts`."""
        ends, data = letters_of(column)
        letters = data[ends[0] : ends[-1]].tobytes()
        odd = letters.translate(None, self._letters)
        # Every rounded text has one of these characters.
        may_be_rounded = self._rounded is not None and any(sign in letters for sign in (b".", b"e", b"E"))
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
            not_encodable = [text is not None and not _is_encodable(text, self._charset) for text in texts]
            found = either(found, np.array(not_encodable, np.bool_))
        return found


def mask(truths: Column) -> Mask:
    """Return a boolean column as a numpy mask; null counts as false."""
    known = pc.fill_null(truths, False) if truths.null_count else truths
    found: Mask = known.to_numpy(zero_copy_only=False)
    return found


def either(one: Mask | None, other: Mask | None) -> Mask | None:
    """Return the union of two masks; None is an empty mask."""
    if one is None or other is None:
        return other if one is None else one
    return one | other


def _letters(rule: Schema) -> tuple[bytes, str | None]:
    """Return the ASCII characters that a rule allows, and its pattern in RE2 syntax."""
    pattern = rule.get("pattern")
    if pattern is None:
        return _ASCII.encode(), None
    letters = "".join(letter for letter in _ASCII if re.fullmatch(pattern, letter))
    return letters.encode(), re.sub(r"\\u([0-9a-f]{4})", r"\\x{\1}", pattern)


def _is_of_letters(pattern: str) -> bool:
    match = _LETTERS.fullmatch(pattern)
    # Some regex engines give these signs a meaning when they are doubled.
    return match is not None and not any(sign * 2 in match[1] for sign in "-~^ ")


def _is_encodable(text: str, charset: str) -> bool:
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        return False
    return True
