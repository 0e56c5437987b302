"""Deciding what of a staged run must not, or need not, be sent, once all of it is read; and writing down the rest."""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import repeat

import orjson

from pipeline.ledger.history.origins import write_origins
from pipeline.ledger.history.skipped_rows import SkippedRows, write_skipped_rows
from pipeline.ledger.records import RunRecord, position
from pipeline.ledger.rules.admission import Admission, Go, Skip, admit
from pipeline.ledger.rules.known_deliveries import known_deliveries_of
from pipeline.ledger.rules.objects import object_of
from pipeline.ledger.staging.balances import Rekey, decide_balances, give_unused_keys, note_confirmed
from pipeline.ledger.staging.recognised import write_variants
from pipeline.ledger.staging.staged_chunk import Fate, StagedChunk
from pipeline.ledger.staging.staging import Findings
from pipeline.ledger.staging.states import decide_states, give_up_states, note_unchanged
from pipeline.model import Api, Fault, Status, digest
from pipeline.tables.rows import ArrowRows

# As `_fault` says it of a row that is not invalid.
_NOT_INVALID = (None,) * 7


def decide_and_write(
    connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk, findings: Findings, rekey: Rekey
) -> None:
    """Sift a leaf and write it: what is due with its bytes, what is invalid with its cells, the rest in packs."""
    decide(connection, run, chunk, findings)
    if run.api is Api.POINTS:
        note_confirmed(connection, run, chunk)
        give_unused_keys(connection, run, chunk, rekey)
    if run.api is Api.STATE:
        note_unchanged(connection, run, chunk)
    _write_skipped_rows(connection, run, chunk)
    _insert_rows(connection, run, chunk, (Fate.DUE, Fate.INVALID))
    _insert_dues(connection, run, chunk)
    write_variants(connection, run, chunk)
    write_origins(connection, run, {chunk.first_row_no + at: origin for at, origin in chunk.origins.items()})


def give_up(connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk, open_as: tuple[str, str]) -> None:
    """
    Write a leaf of a run that ends before its first request, with the code and message of what it did not come to.

    That is unsent; unknown, where an earlier attempt may have been applied; skipped, where it was delivered.
    """
    in_doubt = give_up_states(connection, run, chunk) if run.api is Api.STATE else set[int]()
    for at, admissions in _admissions(connection, run, chunk).items():
        if all(isinstance(admission, Skip) for admission in admissions):
            chunk.fates[at] = Fate.ALREADY_SUCCEEDED
        elif any(isinstance(admission, Go) and admission.doubt for admission in admissions):
            in_doubt.add(at)
    _write_skipped_rows(connection, run, chunk)
    _skipped(connection, run, chunk, sorted(in_doubt), (Status.UNKNOWN, *open_as))
    unsent = [at for at in chunk.places_of(Fate.DUE) if at not in in_doubt]
    _skipped(connection, run, chunk, unsent, (Status.UNSENT, *open_as))
    _insert_rows(connection, run, chunk, (Fate.INVALID,))
    write_origins(connection, run, {chunk.first_row_no + at: origin for at, origin in chunk.origins.items()})


def _admissions(connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk) -> dict[int, list[Admission]]:
    """Return whether the ledger would let the parts of each due row go out."""
    due = chunk.parts.take(chunk.due_parts())
    identities = due.values("identity")
    earlier = known_deliveries_of(connection, run, identities)
    admissions: dict[int, list[Admission]] = {}
    for at, identity, content in zip(due.values("at"), identities, _digests(due), strict=True):
        admissions.setdefault(at, []).append(admit(earlier.known(identity), content))
    return admissions


def _digests(parts: ArrowRows) -> list[bytes]:
    """Return the digest of each body, also where the key tells nearly as much."""
    bodies = parts.values("body")
    return [known or digest(bodies[n]) for n, known in enumerate(parts.values("digest"))]


def decide(connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk, findings: Findings) -> None:
    """Decide the fates of a leaf's rows. The ledger is only read."""
    findings.apply(connection, run, chunk)
    if run.api is Api.POINTS:
        decide_balances(connection, run, chunk)
    if run.api is Api.STATE:
        decide_states(connection, run, chunk)


def _write_skipped_rows(connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk) -> None:
    for fate in sorted(set(chunk.fates) - {Fate.DUE, Fate.INVALID}):
        _skipped(connection, run, chunk, chunk.places_of(Fate(fate)), (Status.SKIPPED, Fate(fate).code, ""))


def _skipped(
    connection: sqlite3.Connection,
    run: RunRecord,
    chunk: StagedChunk,
    places: Sequence[int],
    reported: tuple[Status, str, str],
) -> None:
    if places:
        keys, lines = chunk.rows.values("request_key"), chunk.file_lines
        row_nos, source_rows = [chunk.first_row_no + at for at in places], [chunk.source_rows[at] for at in places]
        # Nobody looks for a skipped row.
        of_file = None if lines is None or reported[0] is Status.SKIPPED else [lines[at] for at in places]
        skipped = SkippedRows(chunk.file_no, *reported, row_nos, source_rows, [keys[at] for at in places], of_file)
        write_skipped_rows(connection, run, skipped)


def _insert_rows(connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk, kept: Sequence[Fate]) -> None:
    keys, lines = chunk.rows.values("request_key"), chunk.file_lines
    connection.executemany(
        "INSERT INTO rows (run_no, row_no, file_no, source_row, request_key, cells, file_line, status, code, message,"
        " field, heading, rule, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (run.run_no, chunk.first_row_no + at, chunk.file_no, chunk.source_rows[at], keys[at],
             orjson.dumps(chunk.cells[at]).decode(), lines and lines[at],
             *(_fault(chunk.faults[at]) if at in chunk.faults else _NOT_INVALID))
            for at in chunk.places_of(*kept)
        ),
    )  # fmt: skip


def _fault(fault: Fault) -> tuple[str | None, ...]:
    """Return status, code, message, field, heading, rule and value of an invalid row."""
    return (Status.INVALID, fault.code, fault.message, fault.field, fault.column, fault.rule, fault.value)


def _insert_dues(connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk) -> None:
    due = chunk.parts.take(chunk.due_parts())
    row_nos = [chunk.first_row_no + at for at in due.values("at")]
    reported = ("body", "lane", "refund_of", "card", "points", "version")
    connection.executemany(
        "INSERT INTO dues (run_no, row_no, part, position, request_key, identity, key_is_derived, digest, body, lane,"
        " refund_of, card, points, version, object, last_position)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        zip(
            repeat(run.run_no), row_nos, due.values("part"), [position(run.run_no, row_no) for row_no in row_nos],
            due.values("request_key"), due.values("identity"), due.values("key_is_derived"), _digests(due),
            *map(due.values, reported), *_of_states(run, chunk, due), strict=False,
        ),
    )  # fmt: skip


def _of_states(run: RunRecord, chunk: StagedChunk, due: ArrowRows) -> tuple[Iterable[str | None], Iterable[int | None]]:
    """Return the objects that states are of, and where a later row says the same as a state."""
    if run.api is not Api.STATE:
        return repeat(None), repeat(None)
    last = (chunk.last_rows.get(at) for at in due.values("at"))
    return map(object_of, due.values("identity")), (None if n is None else position(run.run_no, n) for n in last)
