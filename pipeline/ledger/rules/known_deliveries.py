"""What the ledger knows of many deliveries, or many cards, asked for at once."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson

from pipeline.ledger.records import DeliveryState, RunRecord
from pipeline.ledger.rules.admission import Card, KnownDelivery

# SQLite takes 32,766 values in one question.
_ASKED_AT_ONCE = 10_000
# Passed over, a line costs a few times less than found by its name.
_MOST_BETWEEN = 4
# Told as in the index, word for word: else it would not be used.
_IS_OPEN = " AND coalesce(status, '') NOT IN ('succeeded', 'skipped')"


@dataclass(frozen=True, slots=True)
class KnownDeliveries:
    """
    What is known of some identities: the digest of each that was delivered, and whatever else is known of others.

    Nearly all are delivered or unknown, and a digest is cheaper than the whole of what is known.
    """

    delivered: Mapping[str, bytes] = field(repr=False)
    others: Mapping[str, KnownDelivery] = field(repr=False)

    def known(self, identity: str) -> KnownDelivery | None:
        """Return what is known of one identity."""
        digest = self.delivered.get(identity)
        return self.others.get(identity) if digest is None else KnownDelivery(DeliveryState.SUCCEEDED, digest)

    def __contains__(self, identity: str) -> bool:
        return identity in self.delivered or identity in self.others

    def __bool__(self) -> bool:
        return bool(self.delivered or self.others)


def known_deliveries_of(connection: sqlite3.Connection, run: RunRecord, identities: Iterable[str]) -> KnownDeliveries:
    """Return what the ledger knows of these identities, for the run's account and API."""
    found = connection.execute(
        "SELECT d.identity, d.state, d.digest, d.successor FROM json_each(?) AS asked"
        " CROSS JOIN deliveries AS d ON d.account_no = ? AND d.api = ? AND d.identity = asked.value",
        (orjson.dumps(list(identities)).decode(), run.account_no, run.api),
    ).fetchall()
    delivered = {identity: digest for identity, state, digest, _ in found if state == DeliveryState.SUCCEEDED}
    return KnownDeliveries(delivered, _others(connection, run, [line for line in found if line[0] not in delivered]))


def _others(
    connection: sqlite3.Connection, run: RunRecord, lines: Iterable[tuple[str, str, bytes, str | None]]
) -> dict[str, KnownDelivery]:
    """Return what is known of deliveries told by identity, state, digest and successor."""
    return {
        identity: KnownDelivery(DeliveryState(state), digest, *last_successor(connection, run, successor))
        for identity, state, digest, successor in lines
    }


def known_deliveries_among(
    connection: sqlite3.Connection, run: RunRecord, identities: Sequence[str]
) -> KnownDeliveries:
    """
    Return what the ledger knows of these identities, and maybe of some between them.

    An export that comes again names keys that stand side by side in the ledger, and a new one names keys where there
    are none: either is told quicker by going from the first to the last than key by key.
    """
    if not identities:
        return KnownDeliveries({}, {})
    asked = sorted(identities)
    between = "FROM deliveries WHERE account_no = ? AND api = ? AND identity BETWEEN ? AND ?"
    reported = (run.account_no, run.api, asked[0], asked[-1])
    most = _MOST_BETWEEN * len(asked)
    (count,) = connection.execute(f"SELECT count(*) FROM (SELECT 1 {between} LIMIT ?)", (*reported, most)).fetchone()
    if count == most:
        return known_deliveries_of(connection, run, asked)
    if not count:
        return KnownDeliveries({}, {})
    is_delivered = f"AND state = '{DeliveryState.SUCCEEDED}'"
    delivered = dict(connection.execute(f"SELECT identity, digest {between} {is_delivered}", reported))
    is_other = f"AND state <> '{DeliveryState.SUCCEEDED}'"
    others = connection.execute(f"SELECT identity, state, digest, successor {between} {is_other}", reported).fetchall()
    return KnownDeliveries(delivered, _others(connection, run, others))


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
    asked = f"SELECT DISTINCT card FROM dues WHERE card IS NOT NULL{_IS_OPEN if only_open else ''} AND card IN "
    return {
        card
        for some in _some_at_once(cards)
        for (card,) in connection.execute(f"{asked}({', '.join('?' * len(some))})", some)
    }


def balances_held(
    connection: sqlite3.Connection, run: RunRecord, cards: Sequence[bytes]
) -> list[tuple[bytes, int, str, int]]:
    """Return card, points, version and position of what the platform surely holds: of these cards, and some between."""
    asked = (
        "SELECT card, confirmed_points, coalesce(newest_version, ''), newest_position FROM cards"
        " WHERE account_no = ? AND NOT unsettled AND confirmed_points IS NOT NULL AND card"
    )
    return _in_order(connection, asked, cards, run.account_no)


def open_cards_among(connection: sqlite3.Connection, cards: Sequence[bytes]) -> list[bytes]:
    """Return the cards that some run may yet send a balance for: of these cards, and some between."""
    asked = f"SELECT DISTINCT card FROM dues WHERE card IS NOT NULL{_IS_OPEN} AND card"
    return [card for (card,) in _in_order(connection, asked, cards)]


def _in_order(connection: sqlite3.Connection, asked: str, cards: Sequence[bytes], *reported: object) -> list[Any]:
    """Ask for all cards from the first to the last; by their names, where there are many others between them."""
    most = _MOST_BETWEEN * len(cards)
    found = connection.execute(
        f"{asked} BETWEEN ? AND ? ORDER BY card LIMIT ?", (*reported, cards[0], cards[-1], most)
    ).fetchall()
    if len(found) < most:
        return found
    return connection.execute(
        f"{asked} IN ({', '.join('?' * len(cards))}) ORDER BY card", (*reported, *cards)
    ).fetchall()


def _some_at_once(values: Sequence[bytes]) -> Iterator[tuple[bytes, ...]]:
    left = iter(values)
    while some := tuple(islice(left, _ASKED_AT_ONCE)):
        yield some
