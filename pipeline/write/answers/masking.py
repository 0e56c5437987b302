"""Masking of platform texts, so that ledger, report and log show no user's id."""

import re
from collections.abc import Iterable

_MASK = "***"
_SHORTEST_PRIVATE = 4  # characters; masking shorter values would destroy ordinary words
_USER_INFO = re.compile(r"//[^/\s@]+@")
_DIGITS = re.compile(r"\d{12,}")
_HOST = r"//[a-z0-9.-]+(?::\d{1,5})?(?![\w.-])|(?<![\w.-])[a-z0-9][a-z0-9.-]*:\d{2,5}(?![\w.-])"
_HOST_OR_WORD = re.compile(rf"(?P<host>{_HOST})|[\w-]{{20,}}", re.ASCII)
# What a long word has that is an id.
_DIGIT, _CAPITAL, _SMALL = (re.compile(letters) for letters in ("[0-9]", "[A-Z]", "[a-z]"))
# The name of an exception: capitalised words, perhaps after an acronym. No random id looks like this.
_CLASS_NAME = re.compile(r"[A-Z]{0,6}(?:[A-Z][a-z]{2,})+")


def safe_text(text: str, private: Iterable[str] = (), *, limit: int = 300) -> str:
    """
    Return a platform's text that may be stored and shown: one line, at most `limit` characters, without user ids.

    It masks:

    - the `private` values that were sent, of 4 characters or more
    - 12 or more digits in a row (user ids, agreements, cards)
    - words of 20 or more characters with a digit or both cases (open ids, tokens)
    - user and password before @ in a URL

    Words in one case stay, since the platforms' codes look so. Names of exceptions and `host:port` stay as well.
    """
    if not text:
        return text
    line = " ".join(printable(mask_values(private, text), in_place=" ").split())
    line = _USER_INFO.sub(f"//{_MASK}@", line)
    line = _HOST_OR_WORD.sub(_mask_if_id, _DIGITS.sub(_MASK, line))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _mask_if_id(found: re.Match[str]) -> str:
    word = found[0]
    is_id_like = _DIGIT.search(word) or (_CAPITAL.search(word) and _SMALL.search(word))
    return _MASK if is_id_like and not found["host"] and not _CLASS_NAME.fullmatch(word) else word


def printable(text: str, in_place: str = "") -> str:
    """Return the text with each unprintable character replaced by `in_place`."""
    return text if text.isprintable() else "".join(char if char.isprintable() else in_place for char in text)


def mask_values(private: Iterable[str], text: str) -> str:
    """Return the text with private values of 4 characters or more masked."""
    if not text:
        return text
    for value in sorted(private, key=len, reverse=True):
        if len(value) >= _SHORTEST_PRIVATE:
            text = text.replace(value, _MASK)
    return text
