"""Deciding what of a staged run must not, or need not, be sent, once all of it is read; and writing down the rest."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import orjson

from pipeline.ledger.admission import Card, Conflict, Skip, admit, is_overtaken, is_unchanged
from pipeline.ledger.deliveries import card_of, known
from pipeline.ledger.leaf import Fate, Leaf
from pipeline.ledger.packs import Pack, write_pack
from pipeline.ledger.past import Past, cards_of, cards_with_dues, past_of
from pipeline.ledger.precedence import is_a_newer_one_due
from pipeline.ledger.records import DeliveryState, RunRecord
from pipeline.model import Api, Balance, Status, digest

# It imports numpy, which takes a tenth of a second, and only a run's first act needs that.
if TYPE_CHECKING:
    from pipeline.ledger.repeats import Repeats

Rekey = Callable[[bytes, str], bytes]
_IN_DOUBT = (DeliveryState.SENDING, DeliveryState.UNKNOWN)


def sift_and_write(
    connection: sqlite3.Connection, run: RunRecord, leaf: Leaf, repeats: "Repeats", rekey: Rekey
) -> None:
    """Sift a leaf and write it: what is due with its bytes, what is invalid with its cells, the rest in packs."""
    sift(connection, run, leaf, repeats)
    if run.api is Api.POINTS:
        _note_confirmed(connection, run, leaf)
        give_unused_keys(connection, run, leaf, rekey)
    _write_packs(connection, run, leaf)
    _insert_rows(connection, run, leaf, (Fate.DUE, Fate.INVALID))
    _insert_dues(connection, run, leaf)


def give_up(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf, open_as: tuple[str, str]) -> None:
    """
    Write a leaf of a run that ends before its first request, with the code and message of what it did not come to.

    That is unsent; unknown, where an earlier attempt may have been applied; skipped, where it was delivered.
    """
    fates, left = leaf.fates, _how_dues_stand(connection, run, leaf)
    delivered = {at for at, stands in left.items() if stands == {DeliveryState.SUCCEEDED}}
    for at in delivered:
        fates[at] = Fate.ALREADY_SUCCEEDED
    in_doubt = {at for at, stands in left.items() if not stands.isdisjoint(_IN_DOUBT)}
    _write_packs(connection, run, leaf)
    _pack(connection, run, leaf, sorted(in_doubt), (Status.UNKNOWN, *open_as))
    unsent = [at for at, fate in enumerate(fates) if fate == Fate.DUE and at not in in_doubt]
    _pack(connection, run, leaf, unsent, (Status.UNSENT, *open_as))
    _insert_rows(connection, run, leaf, (Fate.INVALID,))


def _how_dues_stand(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf) -> dict[int, set[DeliveryState | None]]:
    """Return how the deliveries of each due row stand, None among them for one that the ledger does not know."""
    parts, due = leaf.parts, list(leaf.due_parts())
    past = past_of(connection, run, [parts.identities[n] for n in due])
    stands: dict[int, set[DeliveryState | None]] = {}
    for n in due:
        known = past.known(parts.identities[n])
        is_same = known is not None and known.digest == parts.digests[n]
        stands.setdefault(parts.at[n], set()).add(known.state if known and is_same else None)
    return stands


def sift(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf, repeats: "Repeats") -> None:
    """Decide the fates of a leaf's rows. The ledger is only read."""
    repeats.apply(leaf)
    if run.api is Api.POINTS:
        _sift_balances(connection, run, leaf)


def _sift_balances(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf) -> None:
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
        if card in owed and is_a_newer_one_due(connection, run, balance_of(leaf, n), _position(run, leaf, n)):
            _skip(leaf, n, Fate.SUPERSEDED)
        elif card in cards:
            _judge_balance(run, leaf, n, cards[card])


def _judge_key(leaf: Leaf, n: int, past: Past) -> None:
    match admit(past.known(leaf.parts.identities[n]), leaf.parts.digests[n]):
        case Conflict(message):
            leaf.refuse(leaf.parts.at[n], message)
        case Skip():
            leaf.fates[leaf.parts.at[n]] = Fate.ALREADY_SUCCEEDED


def _judge_balance(run: RunRecord, leaf: Leaf, n: int, card: Card) -> None:
    balance, identity = balance_of(leaf, n), leaf.parts.identities[n]
    # The very balance that was sent last, as most are, can't be overtaken.
    if identity != card.newest_identity and is_overtaken(balance, _position(run, leaf, n), identity, card):
        _skip(leaf, n, Fate.SUPERSEDED)
    elif is_unchanged(balance, card):
        _skip(leaf, n, Fate.UNCHANGED)
        leaf.confirmed[n] = (balance.version or "") > (card.newest_version or "")


def _skip(leaf: Leaf, n: int, fate: Fate) -> None:
    """Leave a row out, where nothing else is decided about it yet."""
    at = leaf.parts.at[n]
    if leaf.fates[at] == Fate.DUE:
        leaf.fates[at] = fate


def _position(run: RunRecord, leaf: Leaf, n: int) -> int:
    return position(run.run_no, leaf.first_row_no + leaf.parts.at[n])


def balance_of(leaf: Leaf, n: int) -> Balance:
    """Return the balance that a part of the leaf tells."""
    return Balance(leaf.parts.cards[n] or b"", leaf.parts.points[n] or 0, leaf.parts.versions[n])


def position(run_no: int, row_no: int) -> int:
    """Return the place of a row among all rows ever staged."""
    return (run_no << 40) | row_no


def _write_packs(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf) -> None:
    for fate in sorted(set(leaf.fates) - {Fate.DUE, Fate.INVALID}):
        places = [at for at, one in enumerate(leaf.fates) if one == fate]
        _pack(connection, run, leaf, places, (Status.SKIPPED, Fate(fate).name.lower(), ""))


def _pack(
    connection: sqlite3.Connection, run: RunRecord, leaf: Leaf, places: Sequence[int], told: tuple[Status, str, str]
) -> None:
    if places:
        columns = (
            [leaf.first_row_no + at for at in places],
            [leaf.source_rows[at] for at in places],
            [leaf.request_keys[at] for at in places],
        )
        write_pack(connection, run, Pack(leaf.file_no, *told, *columns))


def _insert_rows(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf, kept: Sequence[Fate]) -> None:
    connection.executemany(
        "INSERT INTO rows (run_no, row_no, file_no, source_row, request_key, status, code, message, cells)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (run.run_no, leaf.first_row_no + at, leaf.file_no, leaf.source_rows[at], leaf.request_keys[at],
             *_told(leaf, at), orjson.dumps(leaf.cells[at]).decode())
            for at, fate in enumerate(leaf.fates) if fate in kept
        ),
    )  # fmt: skip


def _told(leaf: Leaf, at: int) -> tuple[str | None, str | None, str | None]:
    return (Status.INVALID, *leaf.faults[at]) if at in leaf.faults else (None, None, None)


def _insert_dues(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf) -> None:
    p, first = leaf.parts, leaf.first_row_no
    connection.executemany(
        "INSERT INTO dues (run_no, row_no, part, position, request_key, identity, key_is_derived, digest, body, lane,"
        " refund_of, card, points, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (run.run_no, first + p.at[n], p.part[n], position(run.run_no, first + p.at[n]), p.request_keys[n],
             p.identities[n], p.are_derived[n], p.digests[n], p.bodies[n], p.lanes[n], p.refunds_of[n], p.cards[n],
             p.points[n], p.versions[n])
            for n in leaf.due_parts()
        ),
    )  # fmt: skip


def _note_confirmed(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf) -> None:
    """
    Note how late an export still says what the platform holds: no balance from before may be sent any more.

    Left out where it would change nothing: the export's own time says nothing new, and nobody has another balance of
    the card to send from before, nor may come to have one.
    """
    if not leaf.confirmed:
        return
    cards = {n: leaf.parts.cards[n] or b"" for n in leaf.confirmed}
    if _may_stage_before(connection, run):
        contested = set(cards.values())
    else:
        contested = cards_with_dues(connection, list(cards.values()), only_open=True)
    connection.executemany(
        "UPDATE cards SET newest_position = max(newest_position, ?),"
        " newest_version = CASE WHEN ? > newest_version THEN ? ELSE newest_version END"
        " WHERE account_no = ? AND card = ?",
        (
            (_position(run, leaf, n), leaf.parts.versions[n],
             leaf.parts.versions[n], run.account_no, cards[n])
            for n, is_later in leaf.confirmed.items() if is_later or cards[n] in contested
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
    before = _position(run, leaf, n)
    last, times = None, 1
    key = identity
    while known(connection, run, [key]) or _is_due_before_another(connection, run, card, key, before):
        last, times = key, times + 1
        key = f"{identity}-{times}"
    newest = card_of(connection, run.account_no, card)
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


def join_lanes(connection: sqlite3.Connection, run: RunRecord) -> None:
    """Let a refund and its payment share a lane also where the export names other users for them."""
    while True:
        split = connection.execute(
            "SELECT r.lane, p.lane FROM dues AS r JOIN dues AS p ON p.identity = r.refund_of AND p.run_no = r.run_no"
            " WHERE r.run_no = ? AND r.refund_of IS NOT NULL AND p.lane <> r.lane LIMIT 1",
            (run.run_no,),
        ).fetchone()
        if split is None:
            return
        connection.execute("UPDATE dues SET lane = ? WHERE run_no = ? AND lane = ?", (split[1], run.run_no, split[0]))
