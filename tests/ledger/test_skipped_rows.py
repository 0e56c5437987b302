"""Rows that share a line of the ledger are read in ranges."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import chain

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.ledger.history.inputs import add_input
from pipeline.ledger.history.outcomes import outcome_pages
from pipeline.ledger.history.skipped_rows import LAST_ROW, SkippedRows, write_skipped_rows
from pipeline.ledger.records import InputRecord, RunRecord
from pipeline.ledger.store.database import empty_ledger
from pipeline.model import Api, Export, Status

RUN = RunRecord(1, "RUN", "orders", Export.ORDERS, Api.CUMULATION, "zhima", 1, None, {}, 5.0, "")
CODES = ("already_succeeded", "duplicate_row", "filtered", "fixed_already")


@pytest.fixture(scope="module")
def ledger() -> Iterator[sqlite3.Connection]:
    """A ledger in which one run has an input."""
    with closing(empty_ledger()) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        add_input(connection, RUN, InputRecord(1, "a.csv", "a.csv", ("key",), 0, "00"))
        yield connection


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(CODES), min_size=1, max_size=12), min_size=1, max_size=3),
    st.sets(st.integers(2, 30), max_size=4),
)
@example([[CODES[0], CODES[1], CODES[2], CODES[3], CODES[0], CODES[1]]], {3})
@example([[CODES[0], CODES[1], CODES[2], CODES[1], CODES[0], CODES[2]]], {3})
def test_ranges_have_the_rows_of_one_pass(
    ledger: sqlite3.Connection, chunks: list[list[str]], starts: set[int]
) -> None:
    """Each row is read once and in its place, wherever ranges begin and however codes are mixed within a chunk."""
    ledger.execute("DELETE FROM packs")
    codes, before = list(chain.from_iterable(chunks)), 0
    for chunk in chunks:
        for code in sorted(set(chunk)):
            row_nos = [before + at for at, each in enumerate(chunk, 1) if each == code]
            keys = [f"K{row_no}" for row_no in row_nos]
            write_skipped_rows(ledger, RUN, SkippedRows(1, Status.SKIPPED, code, "", row_nos, row_nos, keys))
        before += len(chunk)

    firsts = [0, *sorted(starts)]
    ranges = zip(firsts, [*(first - 1 for first in firsts[1:]), LAST_ROW], strict=True)
    pages = list(chain.from_iterable(outcome_pages(ledger, RUN, *each) for each in ranges))

    rows = [(row.source_row, row.request_key, row.code) for page in pages for row in page]
    assert rows == [(row_no, f"K{row_no}", code) for row_no, code in enumerate(codes, 1)]
    assert all(map(len, pages))
