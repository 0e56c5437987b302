"""The facts about a request that are needed to read its answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from pipeline.model import Api

JsonScalar = str | int | float | bool | None

_BALANCE = ("out_request_no", "point_balance")
_ECHOED = {Api.CUMULATION: ("out_biz_no",), Api.STATE: (), Api.POINTS: _BALANCE, Api.BRAND_POINTS: _BALANCE}
_PRIVATE = ("user_id", "open_id", "openid", "user_card_code", "agreement_no")


@dataclass(frozen=True, slots=True)
class SentRequest:
    """
    The facts about a request that are needed to read its answer.

    `echo` has the values that a true answer repeats. `private` has the users' ids, which no text may repeat.
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
    fields = orjson.loads(body)
    return SentRequest(
        api=api,
        request_key=request_key,
        echo={name: fields[name] for name in _ECHOED[api]},
        private=tuple(str(fields[name]) for name in _PRIVATE if fields.get(name)),
        brand_id=brand_id,
    )
