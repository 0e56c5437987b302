"""
What the ledger knows of cards: their balances are sent as they are, not as differences.

The table `cards` has a line for each card: the balance last confirmed, and which balance was last sent. `unsettled`
means that something was sent since which may have been applied. While it is, `before_*` keep the balance sent before.
`sent_at` is the first intent of the balance last sent.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.ledger.records import DeliveryState, Due, RunRecord
from pipeline.ledger.rules.admission import Card, OtherSenders
from pipeline.ledger.store.port import Connection

# Other cards that may lie between those wanted, as a multiple of these. Reading past a card is a few times cheaper
# than finding it by name.
_MOST_BETWEEN = 4

# What the ledger knows of some cards; a condition on `card` follows, as in the next three.
_CARDS = """
SELECT card, confirmed_points, unsettled, newest_identity, newest_version, newest_position, sent_at FROM cards
WHERE account_no = ? AND card
"""
# Balances that the platform surely has.
_SURE_BALANCES = """
SELECT card, confirmed_points, coalesce(newest_version, ''), newest_position FROM cards
WHERE account_no = ? AND unsettled = 0 AND confirmed_points IS NOT NULL AND card
"""
# The same, where others may send balances too: only those sent within a time.
_SURE_BALANCES_SENT = """
SELECT card, confirmed_points, coalesce(newest_version, ''), newest_position FROM cards
WHERE account_no = ? AND unsettled = 0 AND confirmed_points IS NOT NULL AND sent_at BETWEEN ? AND ? AND card
"""
# Cards for which a run had a balance to send.
_CARDS_WITH_DUES = "SELECT DISTINCT card FROM dues WHERE card IS NOT NULL AND card"
# Cards for which a run may still send a balance. The condition is that of the index `dues_open_by_card`, word for word:
# otherwise SQLite does not use it.
_OPEN_CARDS = """
SELECT DISTINCT card FROM dues
WHERE card IS NOT NULL AND coalesce(status, '') NOT IN ('succeeded', 'skipped') AND card
"""
# A balance is about to be sent: it becomes the newest, and the newest becomes the one before.
_INTEND = """
INSERT INTO cards (account_no, card, unsettled, newest_identity, newest_version, newest_position, sent_at)
VALUES (?, ?, 1, ?, ?, ?, ?)
ON CONFLICT (account_no, card) DO UPDATE SET unsettled = 1, newest_identity = excluded.newest_identity,
    newest_version = excluded.newest_version, newest_position = excluded.newest_position,
    sent_at = excluded.sent_at,
    before_identity = cards.newest_identity, before_version = cards.newest_version,
    before_position = cards.newest_position, before_unsettled = cards.unsettled
WHERE cards.newest_identity <> excluded.newest_identity
"""
# A later export says what the platform has already: the balance counts as new as that export. The time of change is
# that of the newer one of both, if it has one, by the rule of `is_overtaken`.
_REPEAT = """
UPDATE cards
SET newest_position = CASE WHEN :position > newest_position THEN :position ELSE newest_position END,
    newest_version = CASE WHEN coalesce(newest_version < :version, newest_position < :position)
        THEN :version ELSE newest_version END
WHERE account_no = :account_no AND card = :card
"""
# The newest balance is sent again: it counts as new as the later export.
_INTEND_AGAIN = f"{_REPEAT} AND newest_identity = :identity"
# The newest balance is confirmed. After a resync the platform may answer a key of the export from memory, while it has
# a balance that was sent later. So such a key proves only a balance that changed after the resync.
_CONFIRM = """
UPDATE cards SET confirmed_points = ?, unsettled = (
    SELECT CASE WHEN g.generation > 1 AND d.key_is_derived = 0 AND coalesce(d.version, '') <= g.begun_at
        THEN 1 ELSE 0 END
    FROM dues AS d CROSS JOIN generations AS g WHERE d.due_no = ? ORDER BY g.generation DESC LIMIT 1
)
WHERE account_no = ? AND card = ? AND newest_identity = ?
"""
# The newest balance was surely not applied: the one sent before is the newest again. When that was is not kept.
_TAKE_BACK = """
UPDATE cards SET newest_identity = before_identity, newest_version = before_version,
    newest_position = before_position, unsettled = before_unsettled, sent_at = NULL
WHERE account_no = ? AND card = ? AND newest_identity = ? AND before_identity IS NOT NULL
"""
# The same, where none was sent before: nothing is known of the card any more.
_FORGET = """
DELETE FROM cards
WHERE account_no = ? AND card = ? AND newest_identity = ? AND before_identity IS NULL AND confirmed_points IS NULL
"""


def cards_of(connection: Connection, run: RunRecord, cards: Sequence[bytes]) -> dict[bytes, Card]:
    """Return what the ledger knows of these cards; cards for which nothing was ever sent are left out."""
    query = f"{_CARDS} {_among(cards)}"
    found = connection.execute(query, (run.account_no, *cards))
    return {card: Card(points, bool(unsettled), *newest) for card, points, unsettled, *newest in found}


def cards_with_dues(connection: Connection, cards: Sequence[bytes], *, only_open: bool) -> set[bytes]:
    """Return those of the cards that a run has or had a balance for; with `only_open` one that may still be sent."""
    query = f"{_OPEN_CARDS if only_open else _CARDS_WITH_DUES} {_among(cards)}"
    return {card for (card,) in connection.execute(query, cards)}


def sure_balances(
    connection: Connection, run: RunRecord, cards: Sequence[bytes], others: OtherSenders | None = None
) -> list[tuple[bytes, int, str, int]]:
    """
    Return card, points, version and position of the balances that the platform surely has.

    `cards` are in order. The result has these cards and maybe some between them.
    """
    if others is None:
        return _in_order(connection, _SURE_BALANCES, cards, run.account_no)
    return _in_order(connection, _SURE_BALANCES_SENT, cards, run.account_no, others.since, others.now)


def open_cards_among(connection: Connection, cards: Sequence[bytes]) -> list[bytes]:
    """Return cards for which a run may still send a balance: of these cards, and maybe some between them."""
    return [card for (card,) in _in_order(connection, _OPEN_CARDS, cards)]


def _in_order(connection: Connection, query: str, cards: Sequence[bytes], *values: object) -> list[Any]:
    """Read all cards from the first to the last. If there are many others between them, read them by name."""
    most = _MOST_BETWEEN * len(cards)
    found = connection.execute(
        f"{query} BETWEEN ? AND ? ORDER BY card LIMIT ?", (*values, cards[0], cards[-1], most)
    ).fetchall()
    if len(found) < most:
        return found
    return connection.execute(f"{query} {_among(cards)} ORDER BY card", (*values, *cards)).fetchall()


def _among(cards: Sequence[bytes]) -> str:
    """Return the condition for these cards, which are those of a chunk at most: SQLite takes up to 32,766 values."""
    return f"IN ({', '.join('?' * len(cards)) or 'NULL'})"


def intend_balance(connection: Connection, run: RunRecord, due: Due, now: int) -> None:
    """Note that a balance is about to be sent: from here on the platform may have it. `now`: seconds since 1970."""
    if due.balance is None:
        return
    card, version = due.balance.card, due.balance.version
    connection.execute(_INTEND, (run.account_no, card, due.identity, version, due.position, now))
    of_card = {"account_no": run.account_no, "card": card, "identity": due.identity}
    repeated = {**of_card, "version": version, "position": due.position}
    connection.execute(_INTEND_AGAIN, repeated)


def settle_balance(connection: Connection, run: RunRecord, due: Due, leaves: DeliveryState | None) -> None:
    """Note how the delivery of a balance ended; `leaves` is what the ledger knows of it now."""
    if due.balance is None or leaves is DeliveryState.UNKNOWN:
        return
    key = (run.account_no, due.balance.card, due.identity)
    if leaves is DeliveryState.SUCCEEDED:
        connection.execute(_CONFIRM, (due.balance.points, due.due_no, *key))
    else:
        connection.execute(_TAKE_BACK, key)
        connection.execute(_FORGET, key)


def note_repeated_balances(
    connection: Connection, run: RunRecord, balances: Iterable[tuple[bytes, str | None, int]]
) -> None:
    """Note that a later export says what the platform has already: card, version and position of each balance."""
    connection.executemany(
        _REPEAT,
        (
            {"account_no": run.account_no, "card": card, "version": version, "position": position}
            for card, version, position in balances
        ),
    )
