"""Stray answers: a server or proxy sends them behind the answer to a request."""

import random
from dataclasses import dataclass, replace

from pipeline.model import Api, Reply, Trust

_SOON_SECONDS, _LATER_SECONDS = 0.03, 3.0


@dataclass(frozen=True, slots=True)
class Stray:
    """A second answer, and when the client can read it."""

    reply: Reply
    arrives_at: float


class Strays:
    """
    Decides which answers are followed by a stray one.

    A stray answer refuses a row or the caller, says that an idle connection is closed, or repeats the signed answer. A
    generator of its own leaves scenarios without strays unchanged.
    """

    def __init__(self, api: Api, share: float, seed: int) -> None:
        self._api = api
        self._share = share
        self._chance = random.Random(f"strays of {seed}")

    def end_faults(self) -> None:
        """Send no more of them."""
        self._share = 0.0

    def after(self, reply: Reply, now: float) -> Stray | None:
        """Return the stray answer behind this one, which came at `now`."""
        if not self._share or self._chance.random() >= self._share:
            return None
        delay = self._chance.uniform(0.0, self._chance.choice([_SOON_SECONDS, _LATER_SECONDS]))
        said = self._chance.choice([_refusal(self._api), _error(403), _error(408), reply])
        return Stray(replace(said, is_fresh=False), now + delay)


def _refusal(api: Api) -> Reply:
    if api is Api.STATE:
        body = b'{"code": "40004", "msg": "Business Failed", "sub_code": "ZMDATA.BIZ_DATA_ERROR"}'
        return Reply(200, {"trust": Trust.VERIFIED}, body)
    code = b"PARAM_ERROR" if api.sends_balances else b"INVALID_PARAMETER"
    return Reply(400, {"trust": Trust.UNSIGNED_ERROR}, b'{"code": "%s", "message": "x"}' % code)


def _error(status: int) -> Reply:
    return Reply(status, {"trust": Trust.UNSIGNED_ERROR}, b"")
