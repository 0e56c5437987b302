"""How faults are worded: nearest names, and what may be shown."""

import json
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

_BARE = re.compile(r"[\w-]{1,60}")
# An AES key, an APIv3 key, a token and a private key with or without its frame; hardly ever a path or a variable.
# Keys of these two lengths count also without a digit: one in forty has none.
_LIKE_A_SECRET = re.compile(
    r"(?=.*\d)[A-Za-z0-9+/=]{24,}|[A-Za-z0-9+/]{22}==|[A-Za-z0-9]{32}|.*(-----|[\r\n]).*|.{300,}", re.DOTALL
)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that was probably meant, whatever its case; None if none is near."""
    by_fold = {known.casefold(): known for known in names}
    matches = get_close_matches(name[:60].casefold(), by_fold, n=1)
    return by_fold[matches[0]] if matches else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the end of a fault: `; did you mean NAME?`, or nothing."""
    meant = nearest(name, names)
    return f"; did you mean {quoted(meant)}?" if meant is not None else ""


def listed(names: Sequence[str], word: str) -> str:
    """Return `a, b or c`, with `word` as the `or`."""
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def quoted(name: str) -> str:
    """Return a name of the user's as TOML writes it: bare where it can be, and never longer than a line."""
    if _BARE.fullmatch(name):
        return name
    return json.dumps(name if len(name) <= 60 else f"{name[:57]}...", ensure_ascii=False)


def dotted(names: Iterable[str]) -> str:
    """Return the name of a table as its header writes it."""
    return ".".join(map(quoted, names))


def looks_secret(value: str) -> bool:
    """Tell whether a value that should say where a secret lies may be the secret itself; then it is never shown."""
    return bool(_LIKE_A_SECRET.fullmatch(value.strip(" ")))
