"""
The text that a cell means: without what spreadsheets and other programs put around it, or nothing.

Only ids, numbers, times and fixed words are bare: freed of a spreadsheet's text prefix and of invisible characters at
their ends. A name or a JSON text keeps them.
"""

import re
from collections.abc import Set

from pipeline.map.faults import Unreadable

UNSEEN = "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
"""Soft hyphen, zero-width characters, direction marks and BOM, as a class of a regular expression."""
WIDE = "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"
"""The full-width digits and letters, as a class of a regular expression."""
TEXT_PREFIXES = "'`="
"""The first characters of what keeps a spreadsheet from reading a number."""
PREFIXED = r"""(?s)^(?:['`](.*)|="(.*)")$"""
"""A cell with a text prefix: its value is one group, and the other one is empty."""

_WHITE_SPACE = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_AROUND = _WHITE_SPACE + "".join(
    chr(code)
    for first, last in re.findall("(.)(?:-(.))?", UNSEEN)
    for code in range(ord(first), ord(last or first) + 1)
)  # fmt: skip
_PREFIXED = re.compile(PREFIXED)
_UNSEEN = re.compile(f"[{UNSEEN}]")
_WIDE = re.compile(f"[{WIDE}]")
_WIDE_OR_SIGN = re.compile("[\uff01-\uff5e]")


def cell_text(cell: str, nulls: Set[str], *, is_bare: bool) -> str:
    """Return the text of a cell without what is around it; empty where it is empty or a word for `no value`."""
    text = cell.strip(_AROUND if is_bare else None)
    if text in nulls:
        return ""
    if not is_bare or text[:1] not in TEXT_PREFIXES:
        return text
    prefixed = _PREFIXED.fullmatch(text)
    inner = (prefixed[1] or prefixed[2] or "").strip(_AROUND) if prefixed else text
    return "" if inner in nulls else inner


def refuse_unusual(text: str, wide: re.Pattern[str] = _WIDE) -> None:
    """Raise Unreadable for a character that nobody sees, or that only looks like a usual one; the fault names it."""
    if text.isascii():
        return
    if unseen := _UNSEEN.search(text):
        raise Unreadable(f"holds {_code_point(unseen[0])}, a character that nobody sees; remove it", "unseen_character")
    if found := wide.search(text):
        raise Unreadable(
            f"holds {_code_point(found[0])}, a full-width character; write it half-width", "full_width_character"
        )


def refuse_unusual_number(text: str) -> None:
    """As `refuse_unusual`, for what is no number or time: a full-width sign is refused, too."""
    refuse_unusual(text, _WIDE_OR_SIGN)


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X}"
