"""
The queries of Zhima Go as targets of a GET: path and query as they are signed and sent.

The facts: docs/platform/alipay-v3-cumulation-query.md.
"""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlencode

import orjson

CUMULATE_QUERY: Final = "/v3/zhima/merchant/zmgo/cumulate/query"
AGREEMENT_QUERY: Final = "/v3/zhima/credit/pe/zmgo/agreement/query"
PAGE_SIZE: Final = 20
"""Reports on a page: the most that the platform allows."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement, user and merchant of a report. `user` is the field that names the user, and its value."""

    agreement_no: str = field(repr=False)
    user: tuple[str, str] = field(repr=False)
    partner_id: str = field(repr=False)

    @property
    def private(self) -> tuple[str, ...]:
        """The values that no message may show."""
        return (self.agreement_no, self.user[1])


def agreement_of(body: bytes) -> Agreement:
    """Return the agreement of a report, from the JSON that was sent."""
    fields = orjson.loads(body)
    user = next((name, fields[name]) for name in ("user_id", "open_id") if fields.get(name))
    return Agreement(fields["agreement_no"], user, fields["partner_id"])


def reports_target(agreement: Agreement, page_no: int) -> str:
    """Return the target that lists the reports of an agreement; pages count from 1."""
    name, value = agreement.user
    return _target(
        CUMULATE_QUERY,
        {
            "agreement_id": agreement.agreement_no,
            name: value,
            "provider_pid": agreement.partner_id,
            "need_detail": "true",
            "page_no": str(page_no),
            "page_size": str(PAGE_SIZE),
        },
    )


def agreement_target(agreement_no: str) -> str:
    """Return the target that asks for the state of an agreement. It changes nothing at the platform."""
    return _target(AGREEMENT_QUERY, {"agreement_id": agreement_no})


def _target(path: str, parameters: dict[str, str]) -> str:
    return f"{path}?{urlencode(parameters, quote_via=quote)}"
