"""Parts of fault messages: nearest names, lists, quoted names, and a check for secrets."""

import json
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from pipeline.language import t

_BARE = re.compile(r"[\w-]{1,60}")
# An AES key, an APIv3 key, a token, or a private key with or without its PEM frame; rarely a path or a variable. Texts
# of the lengths of AES and APIv3 keys count without a digit too, because 1 in 40 keys has none.
_LIKE_A_SECRET = re.compile(
    r"(?=.*\d)[A-Za-z0-9+/=]{24,}|[A-Za-z0-9+/]{22}==|[A-Za-z0-9]{32}|.*(-----|[\r\n]).*|.{300,}", re.DOTALL
)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that was probably meant, ignoring case; None if none is near."""
    by_fold = {known.casefold(): known for known in names}
    matches = get_close_matches(name[:60].casefold(), by_fold, n=1)
    return by_fold[matches[0]] if matches else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the end of a fault: `; did you mean NAME?`, or nothing."""
    meant = nearest(name, names)
    return t("; did you mean {meant}?", meant=quoted(meant)) if meant is not None else ""


def listed(names: Sequence[str], word: str) -> str:
    """Return `a, b or c`, with `word` in place of `or`."""
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def quoted(name: str) -> str:
    """Return a user's name as TOML writes it, without quotes where possible, cut to 60 characters."""
    if _BARE.fullmatch(name):
        return name
    return json.dumps(name if len(name) <= 60 else f"{name[:57]}...", ensure_ascii=False)


def dotted(names: Iterable[str]) -> str:
    """Return the dotted name of a table, as its header writes it."""
    return ".".join(map(quoted, names))


def looks_secret(value: str) -> bool:
    """Return whether a value that should name a secret's place may be the secret itself; it is then not shown."""
    return bool(_LIKE_A_SECRET.fullmatch(value.strip(" ")))
