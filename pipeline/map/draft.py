"""A sheet while it is being filled, with many rows at once or row by row."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.chunk import Chunk
from pipeline.map.digests import digests_of_bodies
from pipeline.map.template import Refusal, filled
from pipeline.model import Api, BadRow, Invalid, Mapped, Payload
from pipeline.sheet import Sheet
from pipeline.texts import Column, cells_of, listed

Places = npt.NDArray[np.int64]

_COLUMNS = (
    *("request_keys", "identities", "bodies", "digests", "lanes"),
    *("refunds_of", "cards", "points", "versions", "keys_are_derived"),
)


class Draft:
    """A sheet that is being filled."""

    def __init__(self, api: Api, chunk: Chunk) -> None:
        self._api = api
        self._chunk = chunk
        self._columns = {name: np.full(len(chunk), None, object) for name in _COLUMNS}
        self._others: dict[int, Mapped | BadRow] = dict(chunk.bad)
        self._is_open = np.ones(len(chunk), np.bool_)
        self._is_open[list(chunk.bad)] = False

    def put(self, places: Places, columns: Mapping[str, Any]) -> None:
        """Write the rows at some places, column by column."""
        for name, values in columns.items():
            self._columns[name][places] = values
        self._is_open[places] = False

    def put_refused(self, places: Places, refusal: Refusal, texts: Mapping[str, Column]) -> None:
        """Write rows that can't be sent."""
        keys: Iterable[str | None] = (None,) * len(places)
        if refusal.request_key is not None:
            keys = listed(filled(refusal.request_key, texts, len(places)))
        for place, key in zip(places.tolist(), keys, strict=True):
            self._others[place] = Invalid(refusal.faults, key)
        self._is_open[places] = False

    def put_row(self, place: int, mapped: Mapped) -> None:
        """Write a row that was mapped by itself."""
        if isinstance(mapped, Invalid) or len(mapped) != 1:
            self._others[place] = mapped
            return
        for name, value in _parts_of(mapped[0]).items():
            self._columns[name][place] = value

    def open_places(self) -> list[int]:
        """Return the places of the rows that are still to be written."""
        places: list[int] = np.flatnonzero(self._is_open).tolist()
        return places

    def sheet(self) -> Sheet:
        """Return the whole."""
        numbers = range(self._chunk.first, self._chunk.first + len(self._chunk))
        columns = {name: values.tolist() for name, values in self._columns.items()}
        return Sheet(self._api, numbers, others=self._others, cells=_Cells(self._chunk).at, **columns)


class _Cells:
    """The cells of a chunk by row, taken out of their columns when the first is asked for."""

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk
        self._rows: list[tuple[str | None, ...]] = []

    def at(self, place: int) -> tuple[str | None, ...]:
        """Return the cells of the row at a place."""
        if place in self._chunk.bad:
            return self._chunk.bad[place].cells
        self._rows = self._rows or cells_of(self._chunk.texts)
        return self._rows[place]


def _parts_of(payload: Payload) -> dict[str, Any]:
    """Return a payload as the columns of a sheet hold it."""
    balance = payload.balance
    return {
        "request_keys": payload.request_key,
        "identities": payload.identity,
        "bodies": payload.body,
        "digests": digests_of_bodies([payload.body])[0],
        "lanes": payload.lane,
        "refunds_of": payload.refund_of,
        "cards": None if balance is None else balance.card,
        "points": None if balance is None else balance.points,
        "versions": None if balance is None else balance.version,
        "keys_are_derived": payload.key_is_derived,
    }
