"""Tying fixed rows to the rows that they stand for, before they are mapped."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from pipeline.ledger.history.origins import Origin
from pipeline.map import MappingRules, RoundedIds, RowContents
from pipeline.model import BadRow, Fault, Row
from pipeline.tables.chunk import Chunk
from pipeline.tables.mapped_chunk import MappedChunk, OriginOfRow
from pipeline.tables.text_columns import listed

_log = logging.getLogger("backfill")


class KnowsOrigins(Protocol):
    """Whatever knows the rows of earlier runs."""

    def origins(self, marks: Iterable[str]) -> Mapping[str, Origin]:
        """Return the rows that marks stand for; one that names no row to fix is left out."""
        ...


@dataclass(frozen=True, slots=True)
class Tied:
    """A chunk, and by place the origins of its fixed rows."""

    chunk: Chunk
    origins: Mapping[int, Origin]


class Fixes:
    """The fixed rows of one input: their origins, and the ids that a spreadsheet spoiled on the way."""

    def __init__(self, ledger: KnowsOrigins, rules: MappingRules, columns: tuple[str, ...]) -> None:
        self._ledger = ledger
        self._rules = rules
        self._rounded = RoundedIds(rules, columns)
        self._columns = columns
        self._contents: RowContents | None = None
        self._of_origins: dict[tuple[str, ...], RowContents] = {}
        self._unknown = 0

    def tie(self, chunk: Chunk) -> Tied:
        """Tie the rows of a chunk to their origins; refuse those with an id that came back rounded."""
        if chunk.marks is None:
            return Tied(chunk, {})
        marks = listed(chunk.marks)
        known = self._ledger.origins({mark for mark in marks if mark})
        origins = {at: known[mark] for at, mark in enumerate(marks) if mark in known}
        self._unknown += len(marks) - len(origins)
        places = [at for at in origins if at not in chunk.bad]
        judged = ((at, self._bad(row, origins[at])) for at, row in zip(places, chunk.rows_at(places), strict=True))
        refused = {at: bad for at, bad in judged if bad is not None}
        return Tied(replace(chunk, bad={**chunk.bad, **refused}), origins)

    def _bad(self, row: Row, origin: Origin) -> BadRow | None:
        """Return a row with its spoiled ids as they were: what is written for its next fix."""
        spoiled = self._rounded.find(row.cells, origin.columns, origin.cells) if origin.cells is not None else []
        if not spoiled:
            return None
        cells = list(row.cells)
        for each in spoiled:
            cells[each.column] = each.original
        return BadRow(row.number, _joined([each.fault for each in spoiled]), tuple(cells))

    def known_by_content(self, mapped: MappedChunk, origins: Mapping[int, Origin]) -> MappedChunk:
        """Return a sheet that tells by what its rows, and the rows that they fix, are known again."""
        return replace(
            mapped,
            origins={at: self._origin(origin) for at, origin in origins.items()},
            contents=lambda at: self._contents_of(mapped.cells(at)),
        )

    def _contents_of(self, cells: tuple[str | None, ...]) -> tuple[bytes, ...]:
        # Where nothing was ever fixed nobody asks.
        if self._contents is None:
            self._contents = RowContents(self._rules, self._columns)
        return self._contents.of(cells)

    def _origin(self, origin: Origin) -> OriginOfRow:
        if origin.cells is None:
            return OriginOfRow(origin.run_no, origin.row_no, (), None)
        if origin.columns not in self._of_origins:
            self._of_origins[origin.columns] = RowContents(self._rules, origin.columns)
        of_origin = self._of_origins[origin.columns]
        key = of_origin.key_of(origin.cells)
        return OriginOfRow(origin.run_no, origin.row_no, of_origin.of(origin.cells), key)

    def tell(self, name: str) -> None:
        """Log how many rows of a file of fixed rows stand for none that is known."""
        if self._unknown:
            rows = "1 row" if self._unknown == 1 else f"{self._unknown:,} rows"
            _log.warning("%s: %s with no known row in the column _row; handled like rows of an export", name, rows)


def _joined(faults: list[Fault]) -> Fault:
    return Fault(faults[0].code, "; ".join(fault.message for fault in faults))
