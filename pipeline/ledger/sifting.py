"""Sifting out of what was staged what need not, or must not, be sent."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from pipeline.ledger.admission import Card, Conflict, Skip, admit, is_overtaken, is_unchanged
from pipeline.ledger.deliveries import card_of, known
from pipeline.ledger.precedence import is_a_newer_one_due
from pipeline.ledger.records import RunRecord
from pipeline.ledger.staging import KEY_CONFLICT
from pipeline.model import Api, Balance, Export, Status, digest

_PAGE = 1000


def sift(connection: sqlite3.Connection, run: RunRecord, rekey: Callable[[bytes, str], bytes]) -> None:
    """
    Take out what must not be sent twice within a run, and balances that need not be sent at all.

    `rekey` puts another request key into a body. Runs once, after all rows are staged.
    """
    if run.export is Export.TASKS:
        _sift_counted_otherwise(connection, run)
    _sift_repeated_identities(connection, run)
    if run.api is Api.POINTS:
        _sift_superseded(connection, run)
        _sift_by_card(connection, run, rekey)
    _join_lanes(connection, run)


def _close(
    connection: sqlite3.Connection, run: RunRecord, row_nos: Sequence[int], status: Status, code: str, message: str
) -> None:
    asked = (run.run_no, orjson.dumps(list(row_nos)).decode())
    where = " WHERE run_no = ? AND row_no IN (SELECT value FROM json_each(?))"
    cells = ", cells = NULL" if status is Status.SKIPPED else ""
    connection.execute(
        f"UPDATE rows SET status = ?, code = ?, message = ?{cells}{where}",
        (status, code, message, *asked),
    )
    connection.execute("DELETE FROM dues" + where, asked)


def _sift_counted_otherwise(connection: sqlite3.Connection, run: RunRecord) -> None:
    """Leave of each task the form of `times` that comes first: see `_counted_otherwise`."""
    unlike = connection.execute(
        "SELECT row_no FROM (SELECT row_no, is_one, first_value(is_one) OVER (PARTITION BY key ORDER BY row_no)"
        " AS first FROM (SELECT d.row_no, w.request_key AS key, d.identity = w.request_key AS is_one FROM dues AS d"
        " JOIN rows AS w USING (run_no, row_no) WHERE d.run_no = ? AND d.part = 0)) WHERE is_one <> first",
        (run.run_no,),
    ).fetchall()
    _close(
        connection, run, [row_no for (row_no,) in unlike], Status.INVALID, KEY_CONFLICT,
        "an earlier row of this run counts the same task in another form of `times`; give this row another key",
    )  # fmt: skip


def _sift_repeated_identities(connection: sqlite3.Connection, run: RunRecord) -> None:
    """
    Leave only the first due of each identity.

    A derived key is left out: it says nothing but what the balance says. A row of which some parts are new stays.
    """
    repeated = connection.execute(
        "SELECT d.due_no, d.row_no, d.digest = f.digest,"
        " (SELECT count(*) FROM dues AS a WHERE a.run_no = d.run_no AND a.row_no = d.row_no)"
        " FROM dues AS d JOIN (SELECT identity, min(due_no) AS first FROM dues"
        " WHERE run_no = ? AND NOT key_is_derived GROUP BY identity HAVING count(*) > 1) AS g USING (identity)"
        " JOIN dues AS f ON f.due_no = g.first WHERE d.run_no = ? AND d.due_no > g.first AND d.row_no <> f.row_no",
        (run.run_no, run.run_no),
    ).fetchall()
    unlike = {row_no for _, row_no, same, _ in repeated if not same}
    _close(
        connection, run, sorted(unlike), Status.INVALID, KEY_CONFLICT,
        "an earlier row of this run has the same request key and other content; give this row another key",
    )  # fmt: skip
    if run.api is Api.POINTS:
        # Equal rows of one card: the last one is the newest, see below.
        return
    parts = Counter(row_no for _, row_no, _, _ in repeated)
    whole = [row_no for _, row_no, _, count in repeated if row_no not in unlike and parts[row_no] == count]
    _close(connection, run, whole, Status.SKIPPED, "duplicate_row", "")
    connection.executemany("DELETE FROM dues WHERE due_no = ?", [(due_no,) for due_no, _, _, _ in repeated])


def _sift_superseded(connection: sqlite3.Connection, run: RunRecord) -> None:
    older = connection.execute(
        "SELECT row_no, identity = newest AND NOT key_is_derived FROM (SELECT row_no, identity, key_is_derived,"
        " row_number() OVER by_age AS place, first_value(identity) OVER by_age AS newest FROM dues WHERE run_no = ?"
        " WINDOW by_age AS (PARTITION BY card ORDER BY version IS NOT NULL DESC, version DESC, position DESC))"
        " WHERE place > 1",
        (run.run_no,),
    ).fetchall()
    _close(connection, run, [n for n, is_same in older if not is_same], Status.SKIPPED, "superseded", "")
    _close(connection, run, [n for n, is_same in older if is_same], Status.SKIPPED, "duplicate_row", "")


@dataclass(frozen=True, slots=True)
class _StagedBalance:
    due_no: int
    row_no: int
    identity: str
    key_is_derived: bool
    body: bytes = field(repr=False)
    position: int
    balance: Balance


def _balances(connection: sqlite3.Connection, run: RunRecord) -> Iterator[_StagedBalance]:
    last = -1
    while True:
        page = connection.execute(
            "SELECT due_no, row_no, identity, key_is_derived, body, position, card, points, version FROM dues"
            " WHERE run_no = ? AND row_no > ? ORDER BY row_no LIMIT ?",
            (run.run_no, last, _PAGE),
        ).fetchall()
        for line in page:
            yield _StagedBalance(line[0], line[1], line[2], bool(line[3]), line[4], line[5], Balance(*line[6:]))
        if not page:
            return
        last = page[-1][1]


def _sift_by_card(connection: sqlite3.Connection, run: RunRecord, rekey: Callable[[bytes, str], bytes]) -> None:
    for staged in _balances(connection, run):
        card = card_of(connection, run.account_no, staged.balance.card)
        close = _fate(connection, run, staged, card)
        if close is not None:
            _close(connection, run, [staged.row_no], *close)
            _note_confirmed(connection, run, staged, card)
        elif staged.key_is_derived:
            _give_unused_key(connection, run, staged, card.newest_identity if card is not None else None, rekey)


def _note_confirmed(connection: sqlite3.Connection, run: RunRecord, staged: _StagedBalance, card: Card | None) -> None:
    """Note how late an export still says what the platform holds: no balance from before may be sent any more."""
    if not is_unchanged(staged.balance, card) or is_overtaken(staged.balance, staged.position, staged.identity, card):
        return
    # `main`: a plan reads the real ledger's cards under this name, and must not write there.
    connection.execute(
        "UPDATE main.cards SET newest_position = max(newest_position, ?),"
        " newest_version = CASE WHEN ? > newest_version THEN ? ELSE newest_version END"
        " WHERE account_no = ? AND card = ?",
        (staged.position, staged.balance.version, staged.balance.version, run.account_no, staged.balance.card),
    )


def _fate(
    connection: sqlite3.Connection, run: RunRecord, staged: _StagedBalance, card: Card | None
) -> tuple[Status, str, str] | None:
    """Say as what the newest balance of a card is closed, None where it is to be sent."""
    if not staged.key_is_derived:
        match admit(known(connection, run, [staged.identity]).get(staged.identity), digest(staged.body)):
            case Conflict(message):
                return Status.INVALID, KEY_CONFLICT, message
            case Skip(code):
                return Status.SKIPPED, code, ""
    is_late = is_overtaken(staged.balance, staged.position, staged.identity, card)
    if is_late or is_a_newer_one_due(connection, run, staged.balance, staged.position):
        return Status.SKIPPED, "superseded", ""
    return (Status.SKIPPED, "unchanged", "") if is_unchanged(staged.balance, card) else None


def _give_unused_key(
    connection: sqlite3.Connection,
    run: RunRecord,
    staged: _StagedBalance,
    newest: str | None,
    rekey: Callable[[bytes, str], bytes],
) -> None:
    """
    Keep a balance that comes back from being taken for the one sent earlier.

    A key made from the row is the same whenever the row is. If another balance was sent since, or is still to be sent
    by an earlier run, the platform would answer the old key from memory and keep that other balance; so the key counts
    how often the balance came back.
    """
    last, times = None, 1
    key = staged.identity
    while known(connection, run, [key]) or _is_due_before_another(connection, run, staged, key):
        last, times = key, times + 1
        key = f"{staged.identity}-{times}"
    if last is not None:
        key = last if last == newest else key
    if key != staged.identity:
        body = rekey(staged.body, key)
        connection.execute(
            "UPDATE dues SET request_key = ?, identity = ?, body = ?, digest = ? WHERE due_no = ?",
            (key, key, body, digest(body), staged.due_no),
        )
        connection.execute(
            "UPDATE rows SET request_key = ? WHERE run_no = ? AND row_no = ?", (key, run.run_no, staged.row_no)
        )


def _is_due_before_another(connection: sqlite3.Connection, run: RunRecord, staged: _StagedBalance, key: str) -> bool:
    """Return whether an earlier run was to send this key, and a later one, before this, another balance of the card."""
    asked = (run.account_no, staged.balance.card, key, staged.position)
    found = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM dues AS d JOIN runs AS r USING (run_no) JOIN dues AS o ON o.card = d.card"
        " AND o.identity <> d.identity AND o.position > d.position WHERE r.account_no = ? AND d.card = ?"
        " AND d.identity = ? AND o.position < ?)",
        asked,
    ).fetchone()
    return bool(found[0])


def _join_lanes(connection: sqlite3.Connection, run: RunRecord) -> None:
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
