"""Balances of cards: which of a staged leaf are sent, under which keys, and what else is noted of them."""

import sqlite3
from collections.abc import Callable

from pipeline.ledger.admission import Card, Conflict, Skip, admit, is_overtaken, is_unchanged
from pipeline.ledger.leaf import Fate, Leaf
from pipeline.ledger.past import Past, cards_of, cards_with_dues, past_of
from pipeline.ledger.precedence import is_a_newer_one_due
from pipeline.ledger.records import RunRecord
from pipeline.model import Balance, digest

Rekey = Callable[[bytes, str], bytes]
"""Puts another request key into a body."""


def sift_balances(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf) -> None:
    """Leave out what the platform holds already, or may not be told any more."""
    parts = leaf.parts
    due = list(leaf.due_parts())
    cards = cards_of(connection, run, [parts.cards[n] or b"" for n in due])
    past = past_of(connection, run, [parts.identities[n] for n in due if not parts.are_derived[n]])
    owed = cards_with_dues(connection, [parts.cards[n] or b"" for n in due], only_open=True)
    for n in due:
        if not parts.are_derived[n]:
            _judge_key(leaf, n, past)
        card = parts.cards[n] or b""
        if card in owed and is_a_newer_one_due(connection, run, _balance_of(leaf, n), place_of(run, leaf, n)):
            _skip(leaf, n, Fate.SUPERSEDED)
        elif card in cards:
            _judge_balance(run, leaf, n, cards[card], is_contested=card in owed)


def _judge_key(leaf: Leaf, n: int, past: Past) -> None:
    match admit(past.known(leaf.parts.identities[n]), leaf.parts.digests[n]):
        case Conflict(message):
            leaf.refuse(leaf.parts.at[n], message)
        case Skip():
            leaf.fates[leaf.parts.at[n]] = Fate.ALREADY_SUCCEEDED


def _judge_balance(run: RunRecord, leaf: Leaf, n: int, card: Card, *, is_contested: bool) -> None:
    balance, identity = _balance_of(leaf, n), leaf.parts.identities[n]
    # The very balance that was sent last, as most are, can't be overtaken.
    if identity != card.newest_identity and is_overtaken(balance, place_of(run, leaf, n), identity, card):
        _skip(leaf, n, Fate.SUPERSEDED)
    elif is_unchanged(balance, card):
        _skip(leaf, n, Fate.UNCHANGED)
        leaf.confirmed[n] = is_contested or (balance.version or "") > (card.newest_version or "")


def _skip(leaf: Leaf, n: int, fate: Fate) -> None:
    """Leave a row out, where nothing else is decided about it yet."""
    at = leaf.parts.at[n]
    if leaf.fates[at] == Fate.DUE:
        leaf.fates[at] = fate


def _balance_of(leaf: Leaf, n: int) -> Balance:
    """Return the balance that a part of the leaf tells."""
    return Balance(leaf.parts.cards[n] or b"", leaf.parts.points[n] or 0, leaf.parts.versions[n])


def note_confirmed(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf) -> None:
    """
    Note how late an export still says what the platform holds: no balance from before may be sent any more.

    Left out where it would change nothing: the export's own time says nothing new, and nobody has another balance of
    the card to send from before, nor may come to have one.
    """
    parts, fates = leaf.parts, leaf.fates
    if Fate.UNCHANGED not in fates and not leaf.confirmed:
        return
    noted = [n for n, counts in leaf.confirmed.items() if counts]
    if _may_stage_before(connection, run):
        noted = [n for n, at in enumerate(parts.at) if fates[at] == Fate.UNCHANGED or n in leaf.confirmed]
    connection.executemany(
        "UPDATE cards SET newest_position = max(newest_position, ?),"
        " newest_version = CASE WHEN ? > newest_version THEN ? ELSE newest_version END"
        " WHERE account_no = ? AND card = ?",
        (
            (place_of(run, leaf, n), parts.versions[n], parts.versions[n], run.account_no, parts.cards[n])
            for n in noted
        ),
    )  # fmt: skip


def _may_stage_before(connection: sqlite3.Connection, run: RunRecord) -> bool:
    """Return whether a run that began earlier has still to say what is due: it is staged now, or will be anew."""
    asked = "SELECT EXISTS (SELECT 1 FROM runs WHERE account_no = ? AND api = ? AND run_no < ? AND act = 'staging')"
    return bool(connection.execute(asked, (run.account_no, run.api, run.run_no)).fetchone()[0])


def give_unused_keys(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf, rekey: Rekey) -> None:
    """
    Keep balances that come back from being taken for the ones sent earlier.

    A key made from the row is the same whenever the row is. If another balance was sent since, or is still to be sent
    by an earlier run, the platform would answer the old key from memory and keep that other balance; so the key counts
    how often the balance came back.
    """
    parts = leaf.parts
    derived = [n for n in leaf.due_parts() if parts.are_derived[n]]
    past = past_of(connection, run, [parts.identities[n] for n in derived])
    met = cards_with_dues(connection, [parts.cards[n] or b"" for n in derived], only_open=False)
    for n in derived:
        if parts.identities[n] in past or parts.cards[n] in met:
            key = _unused_key(connection, run, leaf, n)
            if key != parts.identities[n]:
                _rekey(leaf, n, key, rekey)


def _unused_key(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf, n: int) -> str:
    identity, card = leaf.parts.identities[n], leaf.parts.cards[n] or b""
    before = place_of(run, leaf, n)
    last, times = None, 1
    key = identity
    while key in past_of(connection, run, [key]) or _is_due_before_another(connection, run, card, key, before):
        last, times = key, times + 1
        key = f"{identity}-{times}"
    newest = cards_of(connection, run, [card]).get(card)
    return last if last is not None and newest is not None and last == newest.newest_identity else key


def _is_due_before_another(connection: sqlite3.Connection, run: RunRecord, card: bytes, key: str, before: int) -> bool:
    """Return whether an earlier run was to send this key, and a later one, before this, another balance of the card."""
    found = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM dues AS d JOIN runs AS r USING (run_no) JOIN dues AS o ON o.card = d.card"
        " AND o.identity <> d.identity AND o.position > d.position WHERE r.account_no = ? AND d.card = ?"
        " AND d.identity = ? AND o.position < ?)",
        (run.account_no, card, key, before),
    ).fetchone()
    return bool(found[0])


def _rekey(leaf: Leaf, n: int, key: str, rekey: Rekey) -> None:
    parts = leaf.parts
    leaf.request_keys[parts.at[n]] = parts.request_keys[n] = parts.identities[n] = key
    parts.bodies[n] = rekey(parts.bodies[n], key)
    parts.digests[n] = digest(parts.bodies[n])


def position(run_no: int, row_no: int) -> int:
    """Return the place of a row among all rows ever staged."""
    return (run_no << 40) | row_no


def place_of(run: RunRecord, leaf: Leaf, n: int) -> int:
    """Return the place of a part of a leaf among all rows ever staged."""
    return position(run.run_no, leaf.first_row_no + leaf.parts.at[n])
