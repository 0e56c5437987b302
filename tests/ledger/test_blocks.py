"""Waiting chunks and their notes as bytes: they come back as they were, and damage is found."""

from contextlib import suppress
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ledger.slices.blocks import chunk_as_bytes, chunk_of, notes_as_bytes, notes_of
from pipeline.ledger.staging.duplicates.find import NO_NOTES as NOTHING
from pipeline.ledger.staging.duplicates.find import PART, Notes
from pipeline.ledger.staging.staged_chunk import StagedChunk, Variant, staged_chunk
from pipeline.ledger.store.port import Damaged
from pipeline.map import MappingRules, bind_chunks
from pipeline.model import Api, Export, Row
from pipeline.tables.chunk import Chunk
from pipeline.tables.mapped_chunk import USERS
from tests.acceptance.workspace import order

CONSTANTS = {"partner_id": "2088000000000000", "amount_name": "消费金额"}
RULES = MappingRules(Export.ORDERS, Api.CUMULATION, {}, {}, CONSTANTS, ZoneInfo("Asia/Shanghai"))
RUN_NO, POSITION = 3, (3 << 40) + 2

either_way = pytest.mark.parametrize("compresses", [True, False], ids=["compressed", "plain"])


def staged() -> StagedChunk:
    """Return a chunk with due rows, an invalid row, a line for each row and a variant of a fixed row."""
    rows = [order(1), order(2, trade_amount="x"), order(3)]
    cells = [tuple(text or None for text in row.values()) for row in rows]
    chunk = Chunk.of_rows(tuple(rows[0]), [Row(number, one) for number, one in enumerate(cells, 1)])
    mapped = bind_chunks(RULES, chunk.columns)(replace(chunk, file_lines=[2, 3, 5]))
    made = staged_chunk(1, 1, mapped)
    part = (0, "A1", b"\x01" * 16, None, None, None)
    made.cells[1] = cells[1]
    made.variants[0] = Variant(POSITION, POSITION, (part,), (b"\x02" * 16,))
    return replace(made, parts=made.parts.without(*USERS))


def notes() -> Notes:
    """Return notes of 2 parts."""
    return replace(NOTHING, parts=np.array([((1, 2), (3, 4), 1, 0, 1), ((5, 6), (7, 8), 3, 0, 1)], PART))


def facts(chunk: StagedChunk) -> tuple[object, ...]:
    return (
        chunk.file_no, chunk.first_row_no, chunk.source_rows, chunk.rows.batch.to_pydict(), chunk.cells,
        bytes(chunk.decisions), chunk.faults, chunk.parts.batch.to_pydict(), list(chunk.file_lines or ()),
        chunk.variants,
    )  # fmt: skip


@either_way
def test_a_chunk_and_its_notes_come_back_as_they_were(*, compresses: bool) -> None:
    """Each column, fault, line and variant is the same; notes too."""
    chunk, noted = staged(), notes()
    states = [(1, "obj", "2025-01-01", b"\x03" * 16)]

    found = chunk_of(chunk_as_bytes(chunk, compresses=compresses), RUN_NO, moved=0, source=0)
    noted_again, states_again = notes_of(notes_as_bytes(noted, states, compresses=compresses))

    assert facts(found) == facts(chunk)
    assert states_again == states
    for name in Notes.__slots__:
        assert getattr(noted_again, name).tobytes() == getattr(noted, name).tobytes()


def test_rows_are_numbered_as_in_the_run() -> None:
    """A chunk of a later slice moves with its rows, and so does a variant that is a row of the run."""
    chunk = staged()

    found = chunk_of(chunk_as_bytes(chunk), RUN_NO, moved=100, source=40)

    assert (found.first_row_no, found.source_rows) == (101, range(41, 44))
    assert found.variants[0].position == POSITION + 100


@either_way
def test_a_block_that_was_cut_off_is_damaged(*, compresses: bool) -> None:
    """Wherever it ends, nothing of it is used."""
    for data, read in (
        (chunk_as_bytes(staged(), compresses=compresses), lambda part: chunk_of(part, RUN_NO, moved=0, source=0)),
        (notes_as_bytes(notes(), [], compresses=compresses), notes_of),
    ):
        for end in range(len(data)):
            with pytest.raises(Damaged):
                read(data[:end])


@either_way
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_changed_block_is_damaged_or_a_chunk(at: float, bit: int, *, compresses: bool) -> None:
    """A wrong bit gives no other error, and columns that can be read to their ends."""
    data = bytearray(chunk_as_bytes(staged(), compresses=compresses))
    data[int(at * len(data))] ^= 1 << bit

    with suppress(Damaged):
        facts(chunk_of(bytes(data), RUN_NO, moved=0, source=0))
