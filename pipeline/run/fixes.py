"""Fixed rows: linked to their origins before they are mapped."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from pipeline.language import counted, t
from pipeline.ledger.history.origins import Origin
from pipeline.map import MappingRules, RoundedIds, RowContents
from pipeline.model import BadRow, Fault, Invalid, Row
from pipeline.tables.chunk import Chunk
from pipeline.tables.mapped_chunk import MappedChunk, OriginOfRow, key_of_row
from pipeline.tables.text_columns import listed

_log = logging.getLogger("backfill")


class OriginLookup(Protocol):
    """Finds rows of earlier runs."""

    def origins(self, marks: Iterable[str]) -> Mapping[str, Origin]:
        """Return the origins by mark, without marks that name no row to fix."""
        ...


@dataclass(frozen=True, slots=True)
class LinkedChunk:
    """A chunk, and the origins of its fixed rows by place."""

    chunk: Chunk
    origins: Mapping[int, Origin]


class Fixes:
    """The fixed rows of one input: finds their origins, and refuses ids that a spreadsheet rounded."""

    def __init__(self, ledger: OriginLookup, rules: MappingRules, columns: tuple[str, ...]) -> None:
        self._ledger = ledger
        self._rules = rules
        self._rounded = RoundedIds(rules, columns)
        self._columns = columns
        self._contents: dict[tuple[str, ...], RowContents] = {}
        self._unknown = 0

    def link(self, chunk: Chunk) -> LinkedChunk:
        """Link the rows of a chunk to their origins; rows with a rounded id become bad rows."""
        if chunk.marks is None:
            return LinkedChunk(chunk, {})
        marks = listed(chunk.marks)
        known = self._ledger.origins({mark for mark in marks if mark})
        origins = {at: known[mark] for at, mark in enumerate(marks) if mark in known}
        self._unknown += len(marks) - len(origins)
        places = [at for at in origins if at not in chunk.bad]
        judged = ((at, self._bad(row, origins[at])) for at, row in zip(places, chunk.rows_at(places), strict=True))
        refused = {at: bad for at, bad in judged if bad is not None}
        return LinkedChunk(replace(chunk, bad={**chunk.bad, **refused}), origins)

    def _bad(self, row: Row, origin: Origin) -> BadRow | None:
        """Return a bad row with the original ids, for its next fix; None if no id is rounded."""
        rounded = self._rounded.find(row.cells, origin.columns, origin.cells) if origin.cells is not None else []
        if not rounded:
            return None
        cells = list(row.cells)
        fault = Fault(rounded[0].fault.code, "; ".join(each.fault.message for each in rounded))
        for each in rounded:
            cells[each.column] = each.original
        return BadRow(row.number, fault, tuple(cells))

    def with_contents(self, mapped: MappedChunk, origins: Mapping[int, Origin]) -> MappedChunk:
        """Return the chunk with the content digests of its rows and of their origins."""
        return replace(
            mapped,
            origins={at: self._origin(origin) for at, origin in origins.items()},
            contents=lambda at: self._contents_in(self._columns).of(mapped.cells(at)),
        )

    def _contents_in(self, columns: tuple[str, ...]) -> RowContents:
        # Made on first use: nobody calls this if no row was ever fixed.
        if columns not in self._contents:
            self._contents[columns] = RowContents(self._rules, columns)
        return self._contents[columns]

    def _origin(self, origin: Origin) -> OriginOfRow:
        if origin.cells is None:
            return OriginOfRow(origin.run_no, origin.row_no, (), None)
        of_origin = self._contents_in(origin.columns)
        mapped, contents = of_origin.mapped(origin.cells), of_origin.of(origin.cells)
        if isinstance(mapped, Invalid):
            return OriginOfRow(origin.run_no, origin.row_no, contents, mapped.request_key)
        return OriginOfRow(origin.run_no, origin.row_no, contents, key_of_row(mapped), mapped)

    def log_unknown(self, name: str) -> None:
        """Log the number of rows without a known origin in a file of fixed rows."""
        if self._unknown:
            rows = counted(self._unknown, "1 row", "{count:,} rows")
            _log.warning(
                t(
                    "{name}: {rows} without a known origin in `_row`; processed like rows of an export",
                    name=name,
                    rows=rows,
                )
            )
