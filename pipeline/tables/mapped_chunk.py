"""A mapped chunk: payloads and invalid rows of a chunk, passed from mapping to the ledger."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from pipeline.model import Api, BadRow, Balance, Filtered, Invalid, Mapped, ObjectState, Payload, digest
from pipeline.tables.rows import ArrowRows
from pipeline.tables.text_columns import Column

DIGEST = pa.binary(16)
"""The type of what `pipeline.model.digest` returns."""

_COLUMNS: dict[str, pa.DataType] = {
    "at": pa.int32(),
    "part": pa.int32(),
    "request_key": pa.string(),
    "identity": pa.string(),
    "key_is_derived": pa.bool_(),
    "digest": DIGEST,
    "body": pa.binary(),
    "lane": DIGEST,
    "refund_of": pa.string(),
    "card": DIGEST,
    "points": pa.int64(),
    "version": pa.string(),
    "agreement": pa.string(),
    "openid": pa.string(),
}

USERS = ("agreement", "openid")
"""The columns that are looked at once, when the rows are staged."""

PAYLOAD = pa.schema(_COLUMNS)
"""
One payload of a row: `at` is the place of its row, `part` its number within the row.

`digest` is the body's digest; null if the key is derived, because the key then identifies the content. A balance is
stored as card, points and version. The identity of a state is its object.
"""


@dataclass(frozen=True, slots=True)
class OriginOfRow:
    """
    The origin of a fixed row: its run's number and its row number in that run.

    `contents` are digests of the origin's content (see `MappedChunk.contents`), empty if the ledger no longer has
    them. `request_key` is the origin's key. `payloads` are those of the origin as the job maps it now, none if it is
    invalid.
    """

    run_no: int
    row_no: int
    contents: tuple[bytes, ...] = field(repr=False)
    request_key: str | None = field(repr=False)
    payloads: tuple[Payload, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class MappedChunk:
    """
    The mapped rows of a chunk. A place is a row's index in the chunk, from 0.

    - `numbers`: row numbers in the file
    - `request_keys`: the key of each row, null if it has none
    - `payloads`: rows of PAYLOAD, in row order
    - `others`: invalid rows and unreadable records, by place
    - `cells`: returns the cells of the row at a place
    - `filtered`: places of rows that the job's filter excludes
    - `file_lines`: the file line where each row begins, if the file has lines
    - `origins`: origins of fixed rows, by place
    - `contents`: returns digests that identify the content of the row at a place in any later input
    """

    api: Api
    numbers: range
    request_keys: Column = field(repr=False)
    payloads: ArrowRows
    others: Mapping[int, Invalid | BadRow] = field(repr=False)
    cells: Callable[[int], tuple[str | None, ...]] = field(repr=False)
    filtered: frozenset[int] = frozenset()
    file_lines: Sequence[int] | None = field(default=None, repr=False)
    origins: Mapping[int, OriginOfRow] = field(default_factory=dict)
    contents: Callable[[int], tuple[bytes, ...]] = field(default=lambda _place: (), repr=False)

    def __len__(self) -> int:
        return len(self.numbers)

    def at(self, place: int) -> Mapped | BadRow:
        """Return the mapped row at a place."""
        other = self.others.get(place)
        if other is not None:
            return other
        if place in self.filtered:
            return Filtered(self.request_keys[place].as_py())
        low, high = np.searchsorted(self.payloads.numbers("at"), (place, place + 1)).tolist()
        return tuple(self._payload(n) for n in range(low, high))

    def _payload(self, n: int) -> Payload:
        found = {name: self.payloads.values(name)[n] for name in PAYLOAD.names}
        card, points, version = found["card"], found["points"], found["version"]
        same = ("request_key", "identity", "body", "lane", "refund_of", *USERS)
        return Payload(
            api=self.api,
            **{name: found[name] for name in same},
            balance=None if card is None else Balance(card, int(points), version),
            key_is_derived=bool(found["key_is_derived"]),
            state=ObjectState(found["identity"], version) if self.api is Api.STATE else None,
        )


def key_of_row(payloads: tuple[Payload, ...]) -> str:
    """Return the key of a row. A row with several payloads has the keys <key>-1 ... <key>-n."""
    key = payloads[0].request_key
    return key if len(payloads) == 1 else key.rpartition("-")[0]


def line_of(at: int, part: int, payload: Payload) -> tuple[object, ...]:
    """Return a payload as a row of PAYLOAD."""
    balance, state = payload.balance, payload.state
    version = state.version if state else None
    return (
        at, part, payload.request_key, payload.identity, payload.key_is_derived,
        None if payload.key_is_derived else digest(payload.body), payload.body, payload.lane, payload.refund_of,
        *((None, None, version) if balance is None else (balance.card, balance.points, balance.version)),
        payload.agreement, payload.openid,
    )  # fmt: skip
