"""Lanes that hang together become one, and dues are read so many at once as memory has room for."""

import sqlite3
import threading
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ledger.delivering.queue import _pages, joined

lanes = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(lanes, lanes)))
def test_lanes_that_hang_together_become_one(pairs: list[tuple[str, str]]) -> None:
    """Two lanes become one where a chain of pairs leads from the one to the other, and only there."""
    together = {lane: {lane} for lane in "abcdefgh"}
    for one, other in pairs:
        both = together[one] | together[other]
        together.update(dict.fromkeys(both, both))

    found = joined(pairs)

    named = {lane: found.get(lane, lane) for lane in "abcdefgh"}
    assert all((named[one] == named[other]) == (other in together[one]) for one in named for other in named)
    assert all(found[lane] != lane for lane in found)


@pytest.mark.parametrize(
    ("size", "pages"),
    [
        pytest.param(10, [(1, 4), (5, 8), (9, 9)], id="small-bodies"),
        pytest.param(60, [(1, 2), (3, 4), (5, 6), (7, 8), (9, 9)], id="large-bodies"),
        pytest.param(500, [(n, n) for n in range(1, 10)], id="bodies-larger-than-a-page"),
    ],
)
def test_a_page_of_dues_holds_no_more_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch, size: int, pages: list[tuple[int, int]]
) -> None:
    """Few dues are read at once where their bodies are large."""
    monkeypatch.setattr("pipeline.ledger.delivering.queue._PAGE", 4)
    monkeypatch.setattr("pipeline.ledger.delivering.queue._HELD_BYTES", 100)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE dues (due_no INTEGER PRIMARY KEY, body BLOB)")
        connection.execute("CREATE TEMP TABLE queue (due_no INTEGER)")
        for due_no in range(1, 10):
            connection.execute("INSERT INTO dues VALUES (?, ?)", (due_no, bytes(size)))
            connection.execute("INSERT INTO queue VALUES (?)", (due_no,))

        assert list(_pages(connection, threading.Lock())) == pages
