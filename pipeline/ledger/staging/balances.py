"""Balances of cards: which of a staged leaf are sent, under which keys, and what else is noted of them."""

import sqlite3
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.ledger.records import RunRecord, position
from pipeline.ledger.rules.admission import Card, Conflict, KnownDelivery, Skip, admit, is_overtaken, is_unchanged
from pipeline.ledger.rules.dependencies import is_a_newer_one_due
from pipeline.ledger.rules.known_deliveries import cards_of, cards_with_dues, known_deliveries_of
from pipeline.ledger.staging.staged_chunk import RowDecision, StagedChunk
from pipeline.model import Balance

Rekey = Callable[[bytes, str], bytes]
"""Puts another request key into a body."""


class _Reported(NamedTuple):
    """A balance that a part of a leaf tells: `n` is the part's place, `at` its row's; a derived key needs no digest."""

    n: int
    at: int
    identity: str
    digest: bytes | None
    balance: Balance


def _reported(chunk: StagedChunk, places: npt.NDArray[np.intp]) -> list[_Reported]:
    """Return the balances that some parts of a leaf tell."""
    reported = chunk.parts.take(places)
    balances = map(Balance, *map(reported.values, ("card", "points", "version")))
    return list(map(_Reported, places.tolist(), *map(reported.values, ("at", "identity", "digest")), balances))


def decide_balances(connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk) -> None:
    """Leave out what the platform holds already, or may not be told any more."""
    places = chunk.due_parts()
    due = chunk.parts.take(places)
    of_rows = due.values("card")
    cards = cards_of(connection, run, of_rows)
    owed = cards_with_dues(connection, of_rows, only_open=True)
    is_own = ~due.numbers("key_is_derived")
    earlier = known_deliveries_of(connection, run, due.take(np.flatnonzero(is_own)).values("identity"))
    is_met = np.fromiter((card in cards or card in owed for card in of_rows), np.bool_, len(of_rows))
    for reported in _reported(chunk, places[is_met | is_own]):
        if reported.digest is not None:
            _judge_key(chunk, reported.at, earlier.known(reported.identity), reported.digest)
        place, card = row_position(run, chunk, reported.at), cards.get(reported.balance.card)
        is_contested = reported.balance.card in owed
        if is_contested and is_a_newer_one_due(connection, run, reported.balance, place):
            _skip(chunk, reported.at, RowDecision.SUPERSEDED)
        elif card is not None:
            _judge_balance(chunk, reported, place, card, is_contested=is_contested)


def _judge_key(chunk: StagedChunk, at: int, known: KnownDelivery | None, digest: bytes) -> None:
    match admit(known, digest):
        case Conflict(message) if not chunk.waits_for_a_fix(at):
            chunk.refuse(at, message)
        case Skip():
            chunk.decisions[at] = RowDecision.ALREADY_SUCCEEDED


def _judge_balance(chunk: StagedChunk, reported: _Reported, place: int, card: Card, *, is_contested: bool) -> None:
    # The very balance that was sent last, as most are, can't be overtaken.
    if reported.identity != card.newest_identity and is_overtaken(reported.balance, place, reported.identity, card):
        _skip(chunk, reported.at, RowDecision.SUPERSEDED)
    elif is_unchanged(reported.balance, card):
        _skip(chunk, reported.at, RowDecision.UNCHANGED)
        chunk.confirmed[reported.n] = is_contested or (reported.balance.version or "") > (card.newest_version or "")


def _skip(chunk: StagedChunk, at: int, decision: RowDecision) -> None:
    """Leave a row out, where nothing else is decided about it yet."""
    if chunk.decisions[at] == RowDecision.DUE:
        chunk.decisions[at] = decision


def note_confirmed(connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk) -> None:
    """
    Note how late an export still says what the platform holds: no balance from before may be sent any more.

    Left out where it would change nothing: the export's own time says nothing new, and nobody has another balance of
    the card to send from before, nor may come to have one.
    """
    if RowDecision.UNCHANGED not in chunk.decisions and not chunk.confirmed:
        return
    noted = {n for n, counts in chunk.confirmed.items() if counts}
    if may_stage_before(connection, run):
        unchanged = np.flatnonzero((chunk.decisions_by_row() == RowDecision.UNCHANGED)[chunk.parts.numbers("at")])
        noted = {*chunk.confirmed, *unchanged.tolist()}
    reported = chunk.parts.take(np.array(sorted(noted), np.intp))
    connection.executemany(
        "UPDATE cards SET newest_position = max(newest_position, ?),"
        " newest_version = CASE WHEN ? > newest_version THEN ? ELSE newest_version END"
        " WHERE account_no = ? AND card = ?",
        (
            (row_position(run, chunk, at), version, version, run.account_no, card)
            for at, version, card in zip(*map(reported.values, ("at", "version", "card")), strict=True)
        ),
    )


def may_stage_before(connection: sqlite3.Connection, run: RunRecord) -> bool:
    """Return whether a run that began earlier has still to say what is due: it is staged now, or will be anew."""
    asked = "SELECT EXISTS (SELECT 1 FROM runs WHERE account_no = ? AND api = ? AND run_no < ? AND act = 'staging')"
    return bool(connection.execute(asked, (run.account_no, run.api, run.run_no)).fetchone()[0])


def give_unused_keys(connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk, rekey: Rekey) -> None:
    """
    Keep balances that come back from being taken for the ones sent earlier.

    A key made from the row is the same whenever the row is. If another balance was sent since, or is still to be sent
    by an earlier run, the platform would answer the old key from memory and keep that other balance; so the key counts
    how often the balance came back.
    """
    places = chunk.due_parts()
    derived = _reported(chunk, places[chunk.parts.numbers("key_is_derived")[places]])
    earlier = known_deliveries_of(connection, run, [reported.identity for reported in derived])
    met = cards_with_dues(connection, [reported.balance.card for reported in derived], only_open=False)
    for reported in derived:
        if reported.identity in earlier or reported.balance.card in met:
            key = _unused_key(connection, run, reported, row_position(run, chunk, reported.at))
            if key != reported.identity:
                body = rekey(chunk.parts.values("body")[reported.n], key)
                chunk.parts.change(reported.n, request_key=key, identity=key, body=body)
                chunk.rows.change(reported.at, request_key=key)


def _unused_key(connection: sqlite3.Connection, run: RunRecord, reported: _Reported, before: int) -> str:
    identity, card = reported.identity, reported.balance.card
    last, times = None, 1
    key = identity
    while key in known_deliveries_of(connection, run, [key]) or _is_due_before_another(
        connection, run, card, key, before
    ):
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


def row_position(run: RunRecord, chunk: StagedChunk, at: int) -> int:
    """Return the place of a row of a leaf among all rows ever staged."""
    return position(run.run_no, chunk.first_row_no + at)
