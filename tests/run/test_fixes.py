"""Fixed rows: linked to their origins before they are mapped."""

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


class FakeOrigins:
    """Returns the origins of given marks."""

    def __init__(self, origins: Mapping[str, Origin]) -> None:
        self._origins = origins

    def origins(self, marks: Iterable[str]) -> Mapping[str, Origin]:
        return {mark: self._origins[mark] for mark in marks if mark in self._origins}


def cells(number: int, **changes: str) -> tuple[str | None, ...]:
    return tuple(text or None for text in order(number, **changes).values())


def chunk_of(*rows: tuple[tuple[str | None, ...], str | None]) -> Chunk:
    chunk = Chunk.of_rows(COLUMNS, [Row(number, one) for number, (one, _) in enumerate(rows, 1)])
    return Chunk(chunk.columns, chunk.first, chunk.texts, chunk.bad, marks=column_of(mark for _, mark in rows))


def test_rows_are_linked_and_rounded_ids_are_refused() -> None:
    """A row with a rounded id becomes a bad row with the original id; other rows are unchanged."""
    origins = {"one": Origin(1, 5, COLUMNS, cells(1)), "two": Origin(1, 7, COLUMNS, cells(2))}
    fixes = Fixes(FakeOrigins(origins), RULES, COLUMNS)
    rounded = cells(2, agreement_no="2.02551E+19", trade_amount="2.00")

    linked = fixes.link(chunk_of((cells(1, trade_amount="1.00"), "one"), (rounded, "two"), (cells(3), None)))

    assert linked.origins == {0: origins["one"], 1: origins["two"]}
    assert list(linked.chunk.bad) == [1]
    bad = linked.chunk.bad[1]
    assert isinstance(bad, BadRow)
    assert (bad.number, bad.fault.code, bad.cells) == (2, "id_rounded", cells(2, trade_amount="2.00"))


def test_rows_are_identified_by_their_content() -> None:
    """A row and its origin with the same values have the same contents and payloads, for any order of columns."""
    reversed_columns = tuple(reversed(COLUMNS))
    origins = {"one": Origin(1, 5, reversed_columns, tuple(reversed(cells(1)))), "gone": Origin(1, 6, COLUMNS, None)}
    fixes = Fixes(FakeOrigins(origins), RULES, COLUMNS)
    linked = fixes.link(chunk_of((cells(1), "one"), (cells(2), "gone")))

    mapped = fixes.with_contents(bind_chunks(RULES, COLUMNS)(linked.chunk), linked.origins)
    payloads = mapped.at(0)

    assert isinstance(payloads, tuple)
    assert mapped.origins == {0: OriginOfRow(1, 5, mapped.contents(0), "A1", payloads), 1: OriginOfRow(1, 6, (), None)}
    assert (len(mapped.contents(0)), set(mapped.contents(0)).isdisjoint(mapped.contents(1))) == (2, True)


def test_rows_without_a_known_origin_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    """The number of rows without a known origin is logged for a file of fixed rows, but not for an export."""
    fixes = Fixes(FakeOrigins({}), RULES, COLUMNS)
    fixes.log_unknown("export.csv")
    fixes.link(chunk_of((cells(1), "one"), (cells(2), None)))

    with caplog.at_level(logging.WARNING, "backfill"):
        fixes.log_unknown("fixed.csv")

    assert caplog.messages == ["fixed.csv: 2 rows without a known origin in `_row`; processed like rows of an export"]
