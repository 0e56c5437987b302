"""Names of Alipay parameters in `biz_data`: the gateway may take such a row for an attack."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from pipeline.language import counted, t

# docs/platform/alipay-gateway-state-sync.md, section 2. The list of the third party is not complete.
_PARAMETERS = frozenset({"body", "subject", "service", "out_trade_no", "seller_id", "total_fee"})


@dataclass(slots=True)
class ParameterNames:
    """Counts the bodies of states that have such names, and keeps the first name."""

    rows: int = 0
    first: str | None = None

    def look(self, bodies: Iterable[bytes]) -> None:
        """Look at the bodies of some states."""
        for body in bodies:
            found = next((name for name in _names(_biz_data(body)) if name in _PARAMETERS), None)
            if found is not None:
                self.rows += 1
                self.first = self.first or found

    def warnings(self) -> list[str]:
        """Return the warning about the names; none where no row has one."""
        if self.first is None:
            return []
        rows = counted(self.rows, "1 row to send has", "{count:,} rows to send have")
        return [
            t(
                "{rows} the name of an Alipay parameter in biz_data, first {first}; Alipay may refuse such a row "
                "(isv.suspected-attack). Try one with --limit, or agree on other names with the product's owner",
                rows=rows,
                first=self.first,
            )
        ]


def _biz_data(body: bytes) -> Any:
    return orjson.loads(orjson.loads(body)["biz_data"])


def _names(value: Any) -> Iterator[str]:
    """Yield the names of a JSON value and of all objects in it."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _names(each)
