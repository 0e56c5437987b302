"""Deciding what of a staged run must not, or need not, be sent, once all of it is read; and writing down the rest."""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import repeat

import orjson

from pipeline.ledger.history.origins import write_origins
from pipeline.ledger.history.skipped_rows import Pack, write_pack
from pipeline.ledger.records import RunRecord
from pipeline.ledger.rules.admission import Admission, Go, Skip, admit
from pipeline.ledger.rules.known_deliveries import past_of
from pipeline.ledger.rules.objects import object_of
from pipeline.ledger.staging.balances import Rekey, give_unused_keys, note_confirmed, place_of, sift_balances
from pipeline.ledger.staging.recognised import write_variants
from pipeline.ledger.staging.staged_chunk import Fate, Leaf
from pipeline.ledger.staging.staging import Findings
from pipeline.ledger.staging.states import give_up_states, note_unchanged, sift_states
from pipeline.model import Api, Fault, Status, digest
from pipeline.tables.rows import Lines

# As `_fault` says it of a row that is not invalid.
_NOT_INVALID = (None,) * 7


def sift_and_write(
    connection: sqlite3.Connection, run: RunRecord, leaf: Leaf, findings: Findings, rekey: Rekey
) -> None:
    """Sift a leaf and write it: what is due with its bytes, what is invalid with its cells, the rest in packs."""
    sift(connection, run, leaf, findings)
    if run.api is Api.POINTS:
        note_confirmed(connection, run, leaf)
        give_unused_keys(connection, run, leaf, rekey)
    if run.api is Api.STATE:
        note_unchanged(connection, run, leaf)
    _write_packs(connection, run, leaf)
    _insert_rows(connection, run, leaf, (Fate.DUE, Fate.INVALID))
    _insert_dues(connection, run, leaf)
    write_variants(connection, run, leaf)
    write_origins(connection, run, {leaf.first_row_no + at: origin for at, origin in leaf.origins.items()})


def give_up(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf, open_as: tuple[str, str]) -> None:
    """
    Write a leaf of a run that ends before its first request, with the code and message of what it did not come to.

    That is unsent; unknown, where an earlier attempt may have been applied; skipped, where it was delivered.
    """
    in_doubt = give_up_states(connection, run, leaf) if run.api is Api.STATE else set[int]()
    for at, admissions in _admissions(connection, run, leaf).items():
        if all(isinstance(admission, Skip) for admission in admissions):
            leaf.fates[at] = Fate.ALREADY_SUCCEEDED
        elif any(isinstance(admission, Go) and admission.doubt for admission in admissions):
            in_doubt.add(at)
    _write_packs(connection, run, leaf)
    _pack(connection, run, leaf, sorted(in_doubt), (Status.UNKNOWN, *open_as))
    unsent = [at for at in leaf.places_of(Fate.DUE) if at not in in_doubt]
    _pack(connection, run, leaf, unsent, (Status.UNSENT, *open_as))
    _insert_rows(connection, run, leaf, (Fate.INVALID,))
    write_origins(connection, run, {leaf.first_row_no + at: origin for at, origin in leaf.origins.items()})


def _admissions(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf) -> dict[int, list[Admission]]:
    """Return whether the ledger would let the parts of each due row go out."""
    due = leaf.parts.take(leaf.due_parts())
    identities = due.values("identity")
    past = past_of(connection, run, identities)
    admissions: dict[int, list[Admission]] = {}
    for at, identity, content in zip(due.values("at"), identities, _digests(due), strict=True):
        admissions.setdefault(at, []).append(admit(past.known(identity), content))
    return admissions


def _digests(parts: Lines) -> list[bytes]:
    """Return the digest of each body, also where the key tells nearly as much."""
    bodies = parts.values("body")
    return [known or digest(bodies[n]) for n, known in enumerate(parts.values("digest"))]


def sift(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf, findings: Findings) -> None:
    """Decide the fates of a leaf's rows. The ledger is only read."""
    findings.apply(connection, run, leaf)
    if run.api is Api.POINTS:
        sift_balances(connection, run, leaf)
    if run.api is Api.STATE:
        sift_states(connection, run, leaf)


def _write_packs(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf) -> None:
    for fate in sorted(set(leaf.fates) - {Fate.DUE, Fate.INVALID}):
        _pack(connection, run, leaf, leaf.places_of(Fate(fate)), (Status.SKIPPED, Fate(fate).code, ""))


def _pack(
    connection: sqlite3.Connection, run: RunRecord, leaf: Leaf, places: Sequence[int], told: tuple[Status, str, str]
) -> None:
    if places:
        keys, lines = leaf.rows.values("request_key"), leaf.file_lines
        row_nos, source_rows = [leaf.first_row_no + at for at in places], [leaf.source_rows[at] for at in places]
        # Nobody looks for a skipped row.
        of_file = None if lines is None or told[0] is Status.SKIPPED else [lines[at] for at in places]
        pack = Pack(leaf.file_no, *told, row_nos, source_rows, [keys[at] for at in places], of_file)
        write_pack(connection, run, pack)


def _insert_rows(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf, kept: Sequence[Fate]) -> None:
    keys, lines = leaf.rows.values("request_key"), leaf.file_lines
    connection.executemany(
        "INSERT INTO rows (run_no, row_no, file_no, source_row, request_key, cells, file_line, status, code, message,"
        " field, heading, rule, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (run.run_no, leaf.first_row_no + at, leaf.file_no, leaf.source_rows[at], keys[at],
             orjson.dumps(leaf.cells[at]).decode(), lines and lines[at],
             *(_fault(leaf.faults[at]) if at in leaf.faults else _NOT_INVALID))
            for at in leaf.places_of(*kept)
        ),
    )  # fmt: skip


def _fault(fault: Fault) -> tuple[str | None, ...]:
    """Return status, code, message, field, heading, rule and value of an invalid row."""
    return (Status.INVALID, fault.code, fault.message, fault.field, fault.column, fault.rule, fault.value)


def _insert_dues(connection: sqlite3.Connection, run: RunRecord, leaf: Leaf) -> None:
    due = leaf.parts.take(leaf.due_parts())
    places = due.values("at")
    told = ("body", "lane", "refund_of", "card", "points", "version")
    connection.executemany(
        "INSERT INTO dues (run_no, row_no, part, position, request_key, identity, key_is_derived, digest, body, lane,"
        " refund_of, card, points, version, object) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        zip(
            repeat(run.run_no), [leaf.first_row_no + at for at in places], due.values("part"),
            [place_of(run, leaf, at) for at in places],
            due.values("request_key"), due.values("identity"), due.values("key_is_derived"), _digests(due),
            *map(due.values, told), _objects(run, due), strict=False,
        ),
    )  # fmt: skip


def _objects(run: RunRecord, due: Lines) -> Iterable[str | None]:
    return map(object_of, due.values("identity")) if run.api is Api.STATE else repeat(None)
