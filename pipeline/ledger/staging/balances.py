"""Balances of cards in a staged chunk: which are sent, and under which keys."""

from bisect import bisect_left
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.ledger.records import Rekey, RunRecord, position
from pipeline.ledger.rules.admission import (
    Card,
    Conflict,
    KnownDelivery,
    OtherSenders,
    Skip,
    admit,
    is_overtaken,
    is_unchanged,
)
from pipeline.ledger.rules.cards import cards_of, cards_with_dues, note_repeated_balances
from pipeline.ledger.rules.dependencies import is_a_newer_one_due
from pipeline.ledger.rules.known_deliveries import known_deliveries_of
from pipeline.ledger.staging.staged_chunk import RowDecision, StagedChunk
from pipeline.ledger.store.port import Connection
from pipeline.model import Balance

# Whether a run that began earlier is still staging.
_IS_EARLIER_RUN_STAGING = """
SELECT EXISTS (SELECT 1 FROM runs WHERE account_no = ? AND api = ? AND run_no < ? AND act = 'staging')
"""
# Whether a run was to send a key and a later run, before a position, another balance of the card.
_IS_DUE_BEFORE_ANOTHER = """
SELECT EXISTS (
    SELECT 1 FROM dues AS d JOIN runs AS r USING (run_no)
    JOIN dues AS o ON o.card = d.card AND o.identity <> d.identity AND o.position > d.position
    WHERE r.account_no = ? AND d.card = ? AND d.identity = ? AND o.position < ?
)
"""
# Whether any run was to send a key.
_IS_DUE = """
SELECT EXISTS (SELECT 1 FROM dues AS d JOIN runs AS r USING (run_no) WHERE r.account_no = ? AND d.identity = ?)
"""


class _StagedBalance(NamedTuple):
    """A balance in a chunk: `n` is the index of its part, `at` that of its row. A key made from a row has no digest."""

    n: int
    at: int
    identity: str
    digest: bytes | None
    balance: Balance


def _balances_of(chunk: StagedChunk, indexes: npt.NDArray[np.intp]) -> list[_StagedBalance]:
    """Return the balances of some parts of a chunk."""
    parts = chunk.parts.take(indexes)
    balances = map(Balance, *map(parts.values, ("card", "points", "version")))
    return list(map(_StagedBalance, indexes.tolist(), *map(parts.values, ("at", "identity", "digest")), balances))


def decide_balances(connection: Connection, run: RunRecord, chunk: StagedChunk, others: OtherSenders | None) -> None:
    """Skip balances that the platform has already, or that a newer one has overtaken."""
    indexes = chunk.due_parts()
    due = chunk.parts.take(indexes)
    card_of_part = due.values("card")
    cards = cards_of(connection, run, card_of_part)
    cards_to_send = cards_with_dues(connection, card_of_part, only_open=True)
    is_own_key = ~due.numbers("key_is_derived")
    known = known_deliveries_of(connection, run, due.take(np.flatnonzero(is_own_key)).values("identity"))
    is_known_card = np.fromiter(
        (card in cards or card in cards_to_send for card in card_of_part), np.bool_, len(card_of_part)
    )
    for staged in _balances_of(chunk, indexes[is_known_card | is_own_key]):
        if staged.digest is not None:
            _judge_key(chunk, staged.at, known.known(staged.identity), staged.digest)
        position, card = row_position(run, chunk, staged.at), cards.get(staged.balance.card)
        is_contested = staged.balance.card in cards_to_send
        if is_contested and is_a_newer_one_due(connection, run, staged.balance, position):
            _skip(chunk, staged.at, RowDecision.SUPERSEDED)
        elif card is not None:
            _judge_balance(chunk, staged, position, card, others, is_contested=is_contested)


def _judge_key(chunk: StagedChunk, at: int, known: KnownDelivery | None, digest: bytes) -> None:
    match admit(known, digest):
        case Conflict(message) if not chunk.waits_for_a_fix(at):
            chunk.refuse(at, message)
        case Skip():
            chunk.decisions[at] = RowDecision.ALREADY_SUCCEEDED


def _judge_balance(
    chunk: StagedChunk,
    staged: _StagedBalance,
    position: int,
    card: Card,
    others: OtherSenders | None,
    *,
    is_contested: bool,
) -> None:
    # Most balances are the one that was sent last, which nothing can have overtaken.
    if staged.identity != card.newest_identity and is_overtaken(staged.balance, position, staged.identity, card):
        _skip(chunk, staged.at, RowDecision.SUPERSEDED)
    elif is_unchanged(staged.balance, card, others):
        _skip(chunk, staged.at, RowDecision.UNCHANGED)
        chunk.confirmed[staged.n] = is_contested or (staged.balance.version or "") > (card.newest_version or "")


def _skip(chunk: StagedChunk, at: int, decision: RowDecision) -> None:
    """Skip a row that is still due."""
    if chunk.decisions[at] == RowDecision.DUE:
        chunk.decisions[at] = decision


def note_confirmed(connection: Connection, run: RunRecord, chunk: StagedChunk) -> None:
    """
    Note when an export says again what the platform has: no balance from before may be sent after that.

    Nothing is written where it would change nothing: the export is not newer, and no run has an earlier balance of the
    card to send, or may get one.
    """
    if RowDecision.UNCHANGED not in chunk.decisions and not chunk.confirmed:
        return
    noted = {n for n, has_to_be_noted in chunk.confirmed.items() if has_to_be_noted}
    if may_stage_before(connection, run):
        unchanged = np.flatnonzero((chunk.decisions_by_row() == RowDecision.UNCHANGED)[chunk.parts.numbers("at")])
        noted = {*chunk.confirmed, *unchanged.tolist()}
    parts = chunk.parts.take(np.array(sorted(noted), np.intp))
    note_repeated_balances(
        connection,
        run,
        (
            (card, version, row_position(run, chunk, at))
            for at, version, card in zip(*map(parts.values, ("at", "version", "card")), strict=True)
        ),
    )


def may_stage_before(connection: Connection, run: RunRecord) -> bool:
    """Return whether a run that began earlier is still staging, or will stage again: it may get earlier dues."""
    found = connection.execute(_IS_EARLIER_RUN_STAGING, (run.account_no, run.api, run.run_no))
    return bool(found.fetchone()[0])


def give_unused_keys(
    connection: Connection, run: RunRecord, chunk: StagedChunk, rekey: Rekey, others: OtherSenders | None
) -> None:
    """
    Give balances that come back another key than the one they were sent under before.

    A key made from a row is the same whenever the row is. If another balance was sent since, or an earlier run is
    still to send one, the platform would answer the old key from memory and keep that other balance. So the key counts
    how often the balance came back. If others send balances too, no key serves two exports: another balance may have
    been sent after any request.
    """
    indexes = chunk.due_parts()
    derived = _balances_of(chunk, indexes[chunk.parts.numbers("key_is_derived")[indexes]])
    known = known_deliveries_of(connection, run, [staged.identity for staged in derived])
    known_cards = cards_with_dues(connection, [staged.balance.card for staged in derived], only_open=False)
    for staged in derived:
        if staged.identity in known or staged.balance.card in known_cards:
            key = _unused_key(connection, run, staged, row_position(run, chunk, staged.at), others)
            if key != staged.identity:
                body = rekey(chunk.parts.values("body")[staged.n], key)
                chunk.parts.change(staged.n, request_key=key, identity=key, body=body)
                chunk.rows.change(staged.at, request_key=key)


def _unused_key(
    connection: Connection, run: RunRecord, staged: _StagedBalance, before: int, others: OtherSenders | None
) -> str:
    """
    Return the first key that is unused; or the last used one, if that is the balance last sent for the card.

    If others send balances too, the key is unused.
    """
    identity, card = staged.identity, staged.balance.card

    def numbered(times: int) -> str:
        return identity if times == 1 else f"{identity}-{times}"

    def is_used(times: int) -> bool:
        key = numbered(times)
        if key in known_deliveries_of(connection, run, [key]):
            return True
        if others is not None:
            return _is_due(connection, run, key)
        return _is_due_before_another(connection, run, card, key, before)

    # A balance that is sent each night has hundreds of keys after a year: double, then bisect.
    most = 1
    while is_used(most):
        most *= 2
    times = bisect_left(range(most), True, most // 2 + 1, key=lambda n: not is_used(n))
    newest = cards_of(connection, run, [card]).get(card)
    is_newest = newest is not None and newest.newest_identity == numbered(times - 1)
    return numbered(times - 1) if times > 1 and is_newest and others is None else numbered(times)


def _is_due_before_another(connection: Connection, run: RunRecord, card: bytes, key: str, before: int) -> bool:
    found = connection.execute(_IS_DUE_BEFORE_ANOTHER, (run.account_no, card, key, before))
    return bool(found.fetchone()[0])


def _is_due(connection: Connection, run: RunRecord, key: str) -> bool:
    return bool(connection.execute(_IS_DUE, (run.account_no, key)).fetchone()[0])


def row_position(run: RunRecord, chunk: StagedChunk, at: int) -> int:
    """Return the position of a row of a chunk among all rows ever staged."""
    return position(run.run_no, chunk.first_row_no + at)
