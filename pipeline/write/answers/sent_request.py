"""The facts about a request that are needed to read its answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from pipeline.model import Api
from pipeline.resources import private_fields

JsonScalar = str | int | float | bool | None

_BALANCE = ("out_request_no", "point_balance")
_ECHOED = {Api.CUMULATION: ("out_biz_no",), Api.STATE: (), Api.POINTS: _BALANCE, Api.BRAND_POINTS: _BALANCE}


@dataclass(frozen=True, slots=True)
class SentRequest:
    """
    The facts about a request that are needed to read its answer.

    `echo` has the values that a true answer repeats. `private` has those that no text may repeat.
    `brand_id` is the caller's brand, which its requests do not name: an answer need not, but names no other.
    """

    api: Api
    request_key: str
    echo: Mapping[str, JsonScalar] = field(default_factory=dict)
    private: tuple[str, ...] = field(default=(), repr=False)
    brand_id: str | None = field(default=None, repr=False)

    @property
    def is_echoed(self) -> bool:
        """Whether a true answer repeats values of its request."""
        return bool(self.echo)


def sent_request_of(api: Api, request_key: str, body: bytes, brand_id: str | None = None) -> SentRequest:
    """Return the facts about a JSON body that the mapping made; `brand_id` is that of a brand's own account."""
    fields, private = orjson.loads(body), private_fields()
    return SentRequest(
        api=api,
        request_key=request_key,
        echo={name: fields[name] for name in _ECHOED[api]},
        private=tuple(str(value) for name, value in fields.items() if name in private and value),
        brand_id=brand_id,
    )
