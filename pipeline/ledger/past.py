"""What the ledger knows of many deliveries, or many cards, asked for at once."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import orjson

from pipeline.ledger.admission import Card, Known
from pipeline.ledger.records import DeliveryState, RunRecord

# SQLite takes 32,766 values in one question.
_ASKED_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Past:
    """
    What is known of some identities: the digest of each that was delivered, and whatever else is known of others.

    Nearly all are delivered or unknown, and a digest is cheaper than the whole of what is known.
    """

    delivered: Mapping[str, bytes] = field(repr=False)
    others: Mapping[str, Known] = field(repr=False)

    def known(self, identity: str) -> Known | None:
        """Return what is known of one identity."""
        digest = self.delivered.get(identity)
        return self.others.get(identity) if digest is None else Known(DeliveryState.SUCCEEDED, digest)

    def __contains__(self, identity: str) -> bool:
        return identity in self.delivered or identity in self.others

    def __bool__(self) -> bool:
        return bool(self.delivered or self.others)


def past_of(connection: sqlite3.Connection, run: RunRecord, identities: Iterable[str]) -> Past:
    """Return what the ledger knows of these identities, for the run's account and API."""
    found = connection.execute(
        "SELECT d.identity, d.state, d.digest, d.successor FROM json_each(?) AS asked"
        " CROSS JOIN deliveries AS d ON d.account_no = ? AND d.api = ? AND d.identity = asked.value",
        (orjson.dumps(list(identities)).decode(), run.account_no, run.api),
    ).fetchall()
    delivered = {identity: digest for identity, state, digest, _ in found if state == DeliveryState.SUCCEEDED}
    others = {
        identity: Known(DeliveryState(state), digest, *last_successor(connection, run, successor))
        for identity, state, digest, successor in found
        if identity not in delivered
    }
    return Past(delivered, others)


def last_successor(
    connection: sqlite3.Connection, run: RunRecord, successor: str | None
) -> tuple[str | None, DeliveryState | None]:
    """Return the last of the keys that followed one another, and how the delivery stands under it."""
    last, state = None, None
    while successor is not None:
        line = connection.execute(
            "SELECT state, successor FROM deliveries WHERE account_no = ? AND api = ? AND identity = ?",
            (run.account_no, run.api, successor),
        ).fetchone()
        last, (state, successor) = successor, line or (None, None)
    return last, None if state is None else DeliveryState(state)


def cards_of(connection: sqlite3.Connection, run: RunRecord, cards: Sequence[bytes]) -> dict[bytes, Card]:
    """Return what the ledger knows of these cards; those for which nothing was ever sent are left out."""
    return {
        card: Card(points, bool(unsettled), *newest)
        for some in _some_at_once(cards)
        for card, points, unsettled, *newest in connection.execute(
            "SELECT card, confirmed_points, unsettled, newest_identity, newest_version, newest_position FROM cards"
            f" WHERE account_no = ? AND card IN ({', '.join('?' * len(some))})",
            (run.account_no, *some),
        )
    }


def cards_with_dues(connection: sqlite3.Connection, cards: Sequence[bytes], *, only_open: bool) -> set[bytes]:
    """Return those of the cards that some run has, or had, a balance to send for; `only_open`: and may send yet."""
    # Told as in the index, word for word: else it would not be used.
    is_open = " AND coalesce(status, '') NOT IN ('succeeded', 'skipped')" if only_open else ""
    asked = f"SELECT DISTINCT card FROM dues WHERE card IS NOT NULL{is_open} AND card IN "
    return {
        card
        for some in _some_at_once(cards)
        for (card,) in connection.execute(f"{asked}({', '.join('?' * len(some))})", some)
    }


def _some_at_once(values: Sequence[bytes]) -> Iterator[tuple[bytes, ...]]:
    left = iter(values)
    while some := tuple(islice(left, _ASKED_AT_ONCE)):
        yield some
