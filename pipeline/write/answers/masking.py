"""How the platforms' own words are made fit for ledger, report and log."""

import re
from collections.abc import Iterable

_MASK = "***"
_SHORTEST_PRIVATE = 4  # a shorter value would mask half of every sentence
_USER_INFO = re.compile(r"//[^/\s@]+@")
_DIGITS = re.compile(r"\d{12,}")
_HOST = r"//[a-z0-9.-]+(?::\d{1,5})?(?![\w.-])|(?<![\w.-])[a-z0-9][a-z0-9.-]*:\d{2,5}(?![\w.-])"
_ID_LIKE = r"(?=[\w-]*\d|[\w-]*[A-Z][\w-]*[a-z]|[\w-]*[a-z][\w-]*[A-Z])[\w-]{20,}"
_HOST_OR_ID = re.compile(rf"(?P<host>{_HOST})|{_ID_LIKE}", re.ASCII)
# An exception's name: capitals and at least two small letters in turn, maybe after an acronym. No random id is such.
_CLASS_NAME = re.compile(r"[A-Z]{0,6}(?:[A-Z][a-z]{2,})+")


def safe_text(text: str, private: Iterable[str] = (), *, limit: int = 300) -> str:
    """
    Return a foreign text that may be kept and shown: one line, at most `limit` characters, no user's id in it.

    Masked are the `private` values that were sent (of four characters or more), digits from twelve in a row
    (user ids, agreements, cards), words of twenty or more characters that hold a digit or both cases (open ids,
    tokens), and what stands before @ in a URL. A word all in one case stays: the platforms' own codes are such. So do
    the names of exceptions, and of hosts with their ports.
    """
    if not text:
        return text
    line = " ".join(printable(without(private, text), in_place=" ").split())
    line = _USER_INFO.sub(f"//{_MASK}@", line)
    line = _HOST_OR_ID.sub(_shown, _DIGITS.sub(_MASK, line))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _shown(found: re.Match[str]) -> str:
    return found[0] if found["host"] or _CLASS_NAME.fullmatch(found[0]) else _MASK


def printable(text: str, in_place: str = "") -> str:
    """Return a text in which something harmless, or nothing, stands for each sign that can't be printed."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else in_place for sign in text)


def without(private: Iterable[str], text: str) -> str:
    """Return a text in which the private values of four characters or more are masked."""
    if not text:
        return text
    for value in sorted(private, key=len, reverse=True):
        if len(value) >= _SHORTEST_PRIVATE:
            text = text.replace(value, _MASK)
    return text
