"""Tying fixed rows to their origins before they are mapped."""

import logging
from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo

import pytest

from pipeline.ledger.history.origins import Origin
from pipeline.map import MappingRules, bind_chunks
from pipeline.model import Api, BadRow, Export, Row
from pipeline.run.fixes import Fixes
from pipeline.tables.chunk import Chunk
from pipeline.tables.mapped_chunk import OriginOfRow
from pipeline.tables.text_columns import column_of
from tests.acceptance.workspace import order

COLUMNS = tuple(order(1))
CONSTANTS = {"partner_id": "2088000000000000", "amount_name": "消费金额"}
RULES = MappingRules(Export.ORDERS, Api.CUMULATION, {}, {}, CONSTANTS, ZoneInfo("Asia/Shanghai"))


class Known:
    """Knows the origins of some marks."""

    def __init__(self, origins: Mapping[str, Origin]) -> None:
        self._origins = origins

    def origins(self, marks: Iterable[str]) -> Mapping[str, Origin]:
        return {mark: self._origins[mark] for mark in marks if mark in self._origins}


def cells(number: int, **changes: str) -> tuple[str | None, ...]:
    return tuple(text or None for text in order(number, **changes).values())


def chunk_of(*rows: tuple[tuple[str | None, ...], str | None]) -> Chunk:
    chunk = Chunk.of_rows(COLUMNS, [Row(number, one) for number, (one, _) in enumerate(rows, 1)])
    return Chunk(chunk.columns, chunk.first, chunk.texts, chunk.bad, marks=column_of(mark for _, mark in rows))


def test_rows_are_tied_and_spoiled_ones_refused_with_their_ids_put_back() -> None:
    """A row whose id came back rounded is bad, and has the id as it was; the others are as they came."""
    origins = {"one": Origin(1, 5, COLUMNS, cells(1)), "two": Origin(1, 7, COLUMNS, cells(2))}
    fixes = Fixes(Known(origins), RULES, COLUMNS)
    spoiled = cells(2, agreement_no="2.02551E+19", trade_amount="2.00")

    tied = fixes.tie(chunk_of((cells(1, trade_amount="1.00"), "one"), (spoiled, "two"), (cells(3), None)))

    assert tied.origins == {0: origins["one"], 1: origins["two"]}
    assert list(tied.chunk.bad) == [1]
    bad = tied.chunk.bad[1]
    assert isinstance(bad, BadRow)
    assert (bad.number, bad.fault.code, bad.cells) == (2, "id_rounded", cells(2, trade_amount="2.00"))


def test_rows_are_known_by_what_they_say() -> None:
    """A row and its origin have the same contents where they say the same, in whatever order the columns stand."""
    turned = tuple(reversed(COLUMNS))
    origins = {"one": Origin(1, 5, turned, tuple(reversed(cells(1)))), "gone": Origin(1, 6, COLUMNS, None)}
    fixes = Fixes(Known(origins), RULES, COLUMNS)
    tied = fixes.tie(chunk_of((cells(1), "one"), (cells(2), "gone")))

    mapped = fixes.known_by_content(bind_chunks(RULES, COLUMNS)(tied.chunk), tied.origins)

    assert mapped.origins == {0: OriginOfRow(1, 5, mapped.contents(0), "A1"), 1: OriginOfRow(1, 6, (), None)}
    assert (len(mapped.contents(0)), set(mapped.contents(0)).isdisjoint(mapped.contents(1))) == (2, True)


def test_rows_without_a_known_origin_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    """The log says of a file how many rows stand for none that is known, and nothing of an export."""
    fixes = Fixes(Known({}), RULES, COLUMNS)
    fixes.tell("export.csv")
    fixes.tie(chunk_of((cells(1), "one"), (cells(2), None)))

    with caplog.at_level(logging.WARNING, "backfill"):
        fixes.tell("fixed.csv")

    assert caplog.messages == ["fixed.csv: 2 rows with no known row in the column _row; handled like rows of an export"]
