"""What the rows of a chunk became: what mapping gives and the ledger takes."""

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
One payload of a row: `at` is the row's place, `part` the payload's among those of its row.

`digest` is that of the body; it is left out where the key is derived, which nearly always tells all there is to tell. A
balance is parted in card, points and version; of a state the identity is the object.
"""


@dataclass(frozen=True, slots=True)
class OriginOfRow:
    """
    The row that a fixed row stands for, by the numbers of its run and in its run.

    `contents` are digests of what it says, as `Sheet.contents` gives them, none where that is not known any more;
    `request_key` is the key it was known by.
    """

    run_no: int
    row_no: int
    contents: tuple[bytes, ...] = field(repr=False)
    request_key: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class MappedChunk:
    """
    What the rows of a chunk became, numbered as in `numbers`.

    `payloads` are lines of PAYLOAD in the order of their rows, `request_keys` those by which the rows themselves are
    known, null where there is none. `others` says by place what is wrong with a row, or which record could not be
    read. `cells` gives the cells of the row at a place. `filtered` are the places of rows that the job does not want.
    `file_lines` are those of the chunk. `contents` gives the digests by which the row at a place is known wherever it
    comes again, and `origins` say by place which row of an earlier run a fixed row stands for.
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
        """Return what one row became."""
        other = self.others.get(place)
        if other is not None:
            return other
        if place in self.filtered:
            return Filtered(self.request_keys[place].as_py())
        low, high = np.searchsorted(self.payloads.numbers("at"), (place, place + 1)).tolist()
        return tuple(self._payload(n) for n in range(low, high))

    def _payload(self, n: int) -> Payload:
        names = ("request_key", "identity", "body", "lane", "refund_of")
        key, identity, body, lane, refund_of = (self.payloads.values(name)[n] for name in names)
        card, points, version = (self.payloads.values(name)[n] for name in ("card", "points", "version"))
        agreement, openid = (self.payloads.values(name)[n] for name in USERS)
        balance = None if card is None else Balance(card, int(points), version)
        is_derived = bool(self.payloads.values("key_is_derived")[n])
        return Payload(
            api=self.api,
            request_key=key,
            identity=identity,
            body=body,
            lane=lane,
            refund_of=refund_of,
            balance=balance,
            key_is_derived=is_derived,
            state=ObjectState(identity, version) if self.api is Api.STATE else None,
            agreement=agreement,
            openid=openid,
        )


def key_of_row(payloads: tuple[Payload, ...]) -> str:
    """Return the key by which a row is known: done n times, it goes out under <key>-1 ... <key>-n."""
    key = payloads[0].request_key
    return key if len(payloads) == 1 else key.rpartition("-")[0]


def line_of(at: int, part: int, payload: Payload) -> tuple[object, ...]:
    """Return a payload as a line of PAYLOAD."""
    balance, state = payload.balance, payload.state
    version = state.version if state else None
    return (
        at, part, payload.request_key, payload.identity, payload.key_is_derived,
        None if payload.key_is_derived else digest(payload.body), payload.body, payload.lane, payload.refund_of,
        *((None, None, version) if balance is None else (balance.card, balance.points, balance.version)),
        payload.agreement, payload.openid,
    )  # fmt: skip
