"""The queue of dues: connected lanes become one, refunds follow their payments, a long lane is read in pages."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import LedgerError
from pipeline.ledger.batch_sizes import BatchSizes
from pipeline.ledger.delivering.queue import joined, lanes, refunds_after_payments
from pipeline.ledger.history import runs
from pipeline.ledger.records import NewRun
from pipeline.ledger.store.database import open_for_reading
from pipeline.model import Api, Export, LaneOrder, digest

T = TypeVar("T")

NAMES = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(NAMES, NAMES)))
def test_connected_lanes_become_one(pairs: list[tuple[str, str]]) -> None:
    """Two lanes become one exactly if a chain of pairs connects them."""
    together = {lane: {lane} for lane in "abcdefgh"}
    for one, other in pairs:
        both = together[one] | together[other]
        together.update(dict.fromkeys(both, both))

    found = joined(pairs)

    named = {lane: found.get(lane, lane) for lane in "abcdefgh"}
    assert all((named[one] == named[other]) == (other in together[one]) for one in named for other in named)
    assert all(found[lane] != lane for lane in found)


def in_order(lane: Sequence[tuple[str, str | None]]) -> list[str]:
    """Return the dues of a lane in the order of sending. Each has a name, and a refund the name of its payment."""
    number = {name: n for n, (name, _) in enumerate(lane)}
    refunds = [(n, number[payment]) for n, (_, payment) in enumerate(lane) if payment in number and payment is not None]
    turns = {refund: (after, behind) for refund, after, behind in refunds_after_payments(refunds)}
    return [lane[n][0] for n in sorted(range(len(lane)), key=lambda n: (*turns.get(n, (n, -1)), n))]


@pytest.mark.parametrize(
    ("lane", "order"),
    [
        pytest.param([("A", None), ("B", None)], "AB", id="source-order"),
        pytest.param([("A", None), ("R", "A"), ("B", None)], "ARB", id="a-refund-in-its-place"),
        pytest.param([("R", "A"), ("B", None), ("A", None), ("C", None)], "BARC", id="a-refund-too-early"),
        pytest.param([("S", "R"), ("R", "A"), ("A", None), ("B", None)], "ARSB", id="a-chain"),
        pytest.param([("R", "A"), ("S", "A"), ("A", None)], "ARS", id="two-of-one"),
        pytest.param([("R", "A"), ("A", None), ("B", None), ("S", "R")], "ARBS", id="behind-one-that-moved"),
        pytest.param([("R", "elsewhere"), ("A", None)], "RA", id="a-payment-elsewhere"),
        pytest.param([("R", "S"), ("S", "R"), ("A", None)], "ARS", id="a-circle-comes-last"),
        pytest.param([("R", "S"), ("S", "R"), ("T", "S"), ("A", None)], "ARST", id="and-what-hangs-on-it"),
        pytest.param([("R", "R"), ("A", None)], "AR", id="of-itself"),
    ],
)
def test_a_refund_follows_its_payment(lane: Sequence[tuple[str, str | None]], order: str) -> None:
    """Dues are sent in source order; a refund that comes before its payment is sent right after it."""
    assert in_order(lane) == list(order)


@given(st.lists(st.tuples(st.sampled_from("ABCDEF"), st.none() | st.sampled_from("ABCDEFX")), unique_by=lambda d: d[0]))
def test_no_refund_goes_before_its_payment(lane: list[tuple[str, str | None]]) -> None:
    """No due is sent before its payment, whatever the rows name, except in a circle."""
    payment_of = dict(lane)
    place = {name: n for n, name in enumerate(in_order(lane))}

    for name, payment in lane:
        chain, above = {name}, payment
        while above in payment_of and above not in chain:
            chain.add(above)
            above = payment_of[above]
        if payment in place and above not in chain:
            assert place[payment] < place[name]


@pytest.fixture
def connection() -> sqlite3.Connection:
    """A ledger in memory, with a run."""
    opened = open_for_reading(Path("nowhere"))
    runs.bind_account(opened, "zhima", "an app", 1)
    new = NewRun(
        run_id="RUN",
        job="orders",
        export=Export.ORDERS,
        api=Api.CUMULATION,
        account="zhima",
        limit_per_s=5.0,
        started_at="2025-11-21T00:00:00.000Z",
    )
    runs.begin(opened, new, 1)
    return opened


def add_dues(connection: sqlite3.Connection, of_lanes: str) -> None:
    """Add dues named A, B, C, ..., one for each lane in the text."""
    body = bytes(10)
    for number, (name, lane) in enumerate(zip("ABCDEFGH", of_lanes, strict=False), 1):
        connection.execute(
            "INSERT INTO dues (run_no, row_no, part, position, request_key, identity, key_is_derived, digest, body,"
            " lane) VALUES (1, ?, 0, ?, ?, ?, 0, ?, ?, ?)",
            (number, number, name, name, digest(body), body, lane.encode()),
        )


@pytest.mark.parametrize(
    ("sizes", "pages"),
    [
        pytest.param(BatchSizes(page_dues=100, page_bytes=1000), ["AB", "C", "DEFG", "H"], id="all-on-one-page"),
        pytest.param(
            BatchSizes(page_dues=3, page_bytes=1000), ["AB", "C", "(DEFG)", "H"], id="a-lane-longer-than-a-page"
        ),
        pytest.param(BatchSizes(page_dues=1, page_bytes=1000), ["(AB)", "C", "(DEFG)", "H"], id="pages-of-one"),
        pytest.param(BatchSizes(page_dues=100, page_bytes=15), ["AB", "C", "(DEFG)", "H"], id="large-bodies"),
        pytest.param(
            BatchSizes(page_dues=100, page_bytes=1), ["(AB)", "C", "(DEFG)", "H"], id="bodies-larger-than-a-page"
        ),
    ],
)
def test_a_lane_longer_than_a_page_is_read_in_pages(
    connection: sqlite3.Connection, sizes: BatchSizes, pages: list[str], tmp_path: Path
) -> None:
    """Each lane is complete and in order, for any size of page. Brackets mark lanes that are not in memory."""
    add_dues(connection, "11233334")

    def read(query: Callable[[sqlite3.Connection], T]) -> T:
        return query(connection)

    with closing(connection):
        found = [
            ("{}" if isinstance(lane, list) else "({})").format("".join(due.request_key for due in lane))
            for lane in lanes(read, runs.find(connection, "RUN"), LaneOrder.SOURCE, sizes=sizes, folder=tmp_path)
        ]

    assert found == pages


def test_a_due_that_another_process_settled_ends_the_queue(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """A process that was held up finds that a due of its queue has no body any more, and sends nothing more."""
    add_dues(connection, "12")

    def read(query: Callable[[sqlite3.Connection], T]) -> T:
        return query(connection)

    with closing(connection):
        found = lanes(
            read, runs.find(connection, "RUN"), LaneOrder.SOURCE, sizes=BatchSizes(page_dues=1), folder=tmp_path
        )
        assert [due.request_key for due in next(found)] == ["A"]
        connection.execute("UPDATE dues SET status = 'succeeded', body = NULL WHERE request_key = 'B'")
        with pytest.raises(LedgerError, match="taken over by another process while this one was held up"):
            next(found)
