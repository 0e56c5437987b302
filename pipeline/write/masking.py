"""How the platforms' own words are made fit for ledger, report and log."""

import re
from collections.abc import Iterable

_MASK = "***"
_SHORTEST_PRIVATE = 4  # a shorter value would mask half of every sentence
_USER_INFO = re.compile(r"//[^/\s@]+@")
_DIGITS = re.compile(r"\d{12,}")
# Names of hosts know no case, and we write them small; ids are of both cases, or of digits alone.
_HOST_AND_PORT = r"(?<![\w.-])(?:(?!\d{12})[a-z0-9-]+\.)+(?!\d{12})[a-z0-9-]+:\d{1,5}\b"
_ID_LIKE = r"(?=[\w-]*\d|[\w-]*[A-Z][\w-]*[a-z]|[\w-]*[a-z][\w-]*[A-Z])[\w-]{20,}"
_SHOWN_OR_MASKED = re.compile(f"(?P<shown>{_HOST_AND_PORT})|{_ID_LIKE}", re.ASCII)


def safe_text(text: str, private: Iterable[str] = (), *, limit: int = 300) -> str:
    """
    Return a foreign text that may be kept and shown: one line, at most `limit` characters, no user's id in it.

    Masked are the `private` values that were sent (of four characters or more), digits from twelve in a row
    (user ids, agreements, cards), words of twenty or more characters that hold a digit or both cases (open ids,
    tokens), and what stands before @ in a URL. A word all in one case stays: the platforms' own codes are such. So does
    a host with its port.
    """
    if not text:
        return text
    line = " ".join(printable(without(private, text), in_place=" ").split())
    line = _USER_INFO.sub(f"//{_MASK}@", line)
    line = _SHOWN_OR_MASKED.sub(lambda found: found["shown"] or _MASK, _DIGITS.sub(_MASK, line))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


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
