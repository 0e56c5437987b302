"""
The text of a cell, without the marks that spreadsheets and other programs put around it.

A text prefix, and invisible characters at the ends, are removed only for bare fields: ids, numbers, times and enum
words. Names and JSON texts keep them.
"""

import re
from collections.abc import Set

from pipeline.language import t
from pipeline.map.faults import Unreadable
from pipeline.tables.text_columns import WHITE_SPACE

INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
"""Characters that Unicode ignores by default, as a class of a regular expression: zero width, direction marks, BOM."""
FULL_WIDTH = "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"
"""The full-width digits and letters, as a class of a regular expression."""
TEXT_PREFIXES = "'`="
"""The first characters of text prefixes, which keep a spreadsheet from reading a number."""
PREFIXED = r"""(?s)^(?:['`](.*)|="(.*)")$"""
"""The pattern of a cell with a text prefix. One group is the value, the other one is empty."""

_AROUND = WHITE_SPACE + "".join(
    chr(code)
    for first, last in re.findall("(.)(?:-(.))?", INVISIBLE)
    for code in range(ord(first), ord(last or first) + 1)
)
_PREFIXED = re.compile(PREFIXED)
_INVISIBLE = re.compile(f"[{INVISIBLE}]")
_FULL_WIDTH = re.compile(f"[{FULL_WIDTH}]")
_FULL_WIDTH_OR_SIGN = re.compile("[\uff01-\uff5e]")


def cell_text(cell: str, nulls: Set[str], *, is_bare: bool) -> str:
    """Return the text of a cell without the marks around it; an empty text for an empty cell or a null value."""
    text = cell.strip(_AROUND if is_bare else None)
    if text in nulls:
        return ""
    if not is_bare or text[:1] not in TEXT_PREFIXES:
        return text
    prefixed = _PREFIXED.fullmatch(text)
    inner = (prefixed[1] or prefixed[2] or "").strip(_AROUND) if prefixed else text
    return "" if inner in nulls else inner


def refuse_confusable(text: str, wide: re.Pattern[str] = _FULL_WIDTH) -> str:
    """Return a text as it is; raise Unreadable for an invisible or full-width character, with its code point."""
    if text.isascii():
        return text
    if unseen := _INVISIBLE.search(text):
        raise Unreadable(
            t("holds {unseen}, an invisible character; remove it", unseen=_code_point(unseen[0])), "unseen_character"
        )
    if found := wide.search(text):
        raise Unreadable(
            t("holds {found}, a full-width character; write it half-width", found=_code_point(found[0])),
            "full_width_character",
        )
    return text


def refuse_confusable_number(text: str) -> None:
    """As `refuse_confusable`, for numbers and times: full-width signs are refused too."""
    refuse_confusable(text, _FULL_WIDTH_OR_SIGN)


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X}"
