"""The parts of a gateway.do answer (docs/platform/alipay-gateway-state-sync.md, Answer)."""

from dataclasses import dataclass, field

import orjson

from pipeline.signing.alipay.top_level import top_level
from pipeline.signing.json_object import parse_object


@dataclass(frozen=True, slots=True)
class GatewayAnswer:
    """
    The parts of an answer.

    `node` is the raw value of the response node. The signature covers exactly these bytes, including the quotation
    marks of an encrypted node.
    """

    node: bytes = field(repr=False)
    sign: str | None = field(repr=False)
    cert_sn: str | None

    @property
    def is_encrypted(self) -> bool:
        """Whether the node is a text (encrypted) and not an object."""
        return self.node.startswith(b'"')


def read_answer(body: bytes, method: str, *, double_byte: bool) -> GatewayAnswer | None:
    """Return the parts of an answer to this method; None if the body is no such answer."""
    members = top_level(body, double_byte=double_byte)
    if members is None:
        return None
    node = members.get(f"{method.replace('.', '_')}_response".encode(), members.get(b"error_response"))
    if node is None:
        return None
    return GatewayAnswer(node, _text(members.get(b"sign")), _text(members.get(b"alipay_cert_sn")))


def is_error(content: bytes | None) -> bool:
    """Return whether the JSON has another code than that of a successful call."""
    code = (parse_object(content) or {}).get("code") if content is not None else None
    return code is not None and str(code) != "10000"


def text_of(raw: bytes) -> str | None:
    """Return the text of a raw JSON value; None if it is empty or no text."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, str) and value else None


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else text_of(raw)
