"""The parameters of a gateway call (alipay-gateway-state-sync.md, sections 1 and 3)."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from pipeline.simulator.http.messages import Call

CHARSETS = frozenset({"utf-8", "gbk", "gb2312"})


def charset_of(call: Call) -> str | None:
    """Return the charset in the query; None if the gateway does not support it."""
    named = dict(parse_qsl(call.query, encoding="latin-1")).get("charset", "").lower()
    return named if named in CHARSETS else None


def parameters(call: Call, charset: str) -> Mapping[str, str] | None:
    """Return the parameters of query and form; None if bytes do not fit the charset or a name occurs twice."""
    try:
        pairs = [
            *parse_qsl(call.query, keep_blank_values=True, encoding=charset, errors="strict"),
            *parse_qsl(call.body.decode("ascii"), keep_blank_values=True, encoding=charset, errors="strict"),
        ]
    except ValueError:
        return None
    names = {name for name, _ in pairs}
    return dict(pairs) if len(names) == len(pairs) else None


def signed_text(given: Mapping[str, str], charset: str) -> bytes:
    """Return the signed bytes: all nonempty parameters but `sign`, sorted by name, unescaped, in the charset."""
    pairs = sorted((name, value) for name, value in given.items() if name != "sign" and value)
    return "&".join(f"{name}={value}" for name, value in pairs).encode(charset)
