"""Deciding what of a staged run must not, or need not, be sent, once all of it is read; and writing down the rest."""

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from pipeline.ledger.admission import Admission, Go, Skip, admit
from pipeline.ledger.balances import Rekey, give_unused_keys, note_confirmed, position, sift_balances
from pipeline.ledger.leaf import Fate, Leaf
from pipeline.ledger.packs import Pack, write_pack
from pipeline.ledger.past import past_of
from pipeline.ledger.records import RunRecord
from pipeline.model import Api, Status

# It imports numpy, which takes a tenth of a second, and only a run's first act needs that.
if TYPE_CHECKING:
    from pipeline.ledger.staging import Findings


def sift_and_write(
    connection: sqlite3.Connection, run: RunRecord, leaf: Leaf, findings: "Findings", rekey: Rekey
) -> None:
    """Sift a leaf and write it: what is due with its bytes, what is invalid with its cells, the rest in packs."""
    sift(connection, run, leaf, findings)
    if run.api is Api.POINTS:
        note_confirmed(connection, run, leaf)
        give_unused_keys(connection, run, leaf, rekey)
    _write_packs(connection, run, leaf)
    _insert_rows(connection, run, leaf, (Fate.DUE, Fate.INVALID))
    _insert_dues(connection, run, leaf)


def give_up(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf, open_as: tuple[str, str]) -> None:
    """
    Write a leaf of a run that ends before its first request, with the code and message of what it did not come to.

    That is unsent; unknown, where an earlier attempt may have been applied; skipped, where it was delivered.
    """
    in_doubt: list[int] = []
    for at, admissions in _admissions(connection, run, leaf).items():
        if all(isinstance(admission, Skip) for admission in admissions):
            leaf.fates[at] = Fate.ALREADY_SUCCEEDED
        elif any(isinstance(admission, Go) and admission.doubt for admission in admissions):
            in_doubt.append(at)
    _write_packs(connection, run, leaf)
    _pack(connection, run, leaf, in_doubt, (Status.UNKNOWN, *open_as))
    unsent = sorted({at for at, fate in enumerate(leaf.fates) if fate == Fate.DUE}.difference(in_doubt))
    _pack(connection, run, leaf, unsent, (Status.UNSENT, *open_as))
    _insert_rows(connection, run, leaf, (Fate.INVALID,))


def _admissions(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf) -> dict[int, list[Admission]]:
    """Return whether the ledger would let the parts of each due row go out."""
    parts, due = leaf.parts, list(leaf.due_parts())
    past = past_of(connection, run, [parts.identities[n] for n in due])
    admissions: dict[int, list[Admission]] = {}
    for n in due:
        admissions.setdefault(parts.at[n], []).append(admit(past.known(parts.identities[n]), parts.digests[n]))
    return admissions


def sift(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf, findings: "Findings") -> None:
    """Decide the fates of a leaf's rows. The ledger is only read."""
    findings.apply(connection, run, leaf)
    if run.api is Api.POINTS:
        sift_balances(connection, run, leaf)


def _write_packs(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf) -> None:
    for fate in sorted(set(leaf.fates) - {Fate.DUE, Fate.INVALID}):
        places = [at for at, one in enumerate(leaf.fates) if one == fate]
        _pack(connection, run, leaf, places, (Status.SKIPPED, Fate(fate).code, ""))


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
