"""The decision on a staged chunk, once all inputs are read: what is due, invalid or skipped. Then it is written."""

from collections.abc import Iterable, Sequence
from itertools import count, repeat

import orjson

from pipeline.ledger.history.origins import write_origins
from pipeline.ledger.history.skipped_rows import SkippedRows, write_skipped_rows
from pipeline.ledger.records import Rekey, RunRecord, position
from pipeline.ledger.rules.admission import Admission, Go, Skip, admit
from pipeline.ledger.rules.known_deliveries import known_deliveries_of
from pipeline.ledger.rules.objects import object_of
from pipeline.ledger.staging.balances import decide_balances, give_unused_keys, note_confirmed
from pipeline.ledger.staging.recognition import write_variants
from pipeline.ledger.staging.staged_chunk import RowDecision, StagedChunk
from pipeline.ledger.staging.staging import Findings
from pipeline.ledger.staging.states import decide_states, leave_out_states, note_unchanged
from pipeline.ledger.store.port import Connection, insert_many
from pipeline.model import Api, Fault, Status, digest
from pipeline.tables.rows import ArrowRows

# Write a row that stays open, or is invalid.
_INSERT_ROW = insert_many(
    "rows",
    "run_no, row_no, file_no, source_row, request_key, cells, file_line, status, code, message, "
    "field, heading, rule, value",
)
# Write what has to be delivered for one part of a row.
_DUE = (
    "run_no, row_no, part, position, request_key, identity, key_is_derived, digest, body, lane, "
    "refund_of, card, points, version, object, last_position"
)
_INSERT_DUE = insert_many("dues", _DUE)
_INSERT_NUMBERED_DUE = insert_many("dues", f"due_no, {_DUE}")


def decide_and_write(
    connection: Connection,
    run: RunRecord,
    chunk: StagedChunk,
    findings: Findings,
    rekey: Rekey,
    first_due_no: int | None = None,
) -> None:
    """
    Decide on a chunk and write it: dues with their bodies, invalid rows with their cells, skipped rows together.

    Dues are numbered from `first_due_no`; None: by the database, in the order in which they are written.
    """
    decide(connection, run, chunk, findings)
    if run.api.sends_balances:
        note_confirmed(connection, run, chunk)
        give_unused_keys(connection, run, chunk, rekey, findings.others)
    if run.api is Api.STATE:
        note_unchanged(connection, run, chunk)
    _write_skipped_rows(connection, run, chunk)
    _insert_rows(connection, run, chunk, (RowDecision.DUE, RowDecision.INVALID))
    _insert_dues(connection, run, chunk, first_due_no)
    write_variants(connection, run, chunk)
    write_origins(connection, run, chunk.origins)


def write_unsent(connection: Connection, run: RunRecord, chunk: StagedChunk, open_as: tuple[str, str]) -> None:
    """
    Write a chunk of a run that ends before its first request; open rows get the code and message `open_as`.

    They are unsent; unknown, where an earlier attempt may have been applied; skipped, where they were delivered.
    """
    in_doubt = leave_out_states(connection, run, chunk) if run.api is Api.STATE else set[int]()
    for at, admissions in _admissions(connection, run, chunk).items():
        if all(isinstance(admission, Skip) for admission in admissions):
            chunk.decisions[at] = RowDecision.ALREADY_SUCCEEDED
        elif any(isinstance(admission, Go) and admission.doubt for admission in admissions):
            in_doubt.add(at)
    _write_skipped_rows(connection, run, chunk)
    _write_together(connection, run, chunk, sorted(in_doubt), (Status.UNKNOWN, *open_as))
    unsent = [at for at in chunk.indexes_of(RowDecision.DUE) if at not in in_doubt]
    _write_together(connection, run, chunk, unsent, (Status.UNSENT, *open_as))
    _insert_rows(connection, run, chunk, (RowDecision.INVALID,))
    write_origins(connection, run, chunk.origins)


def _admissions(connection: Connection, run: RunRecord, chunk: StagedChunk) -> dict[int, list[Admission]]:
    """Return, by row, whether the ledger admits each part of the due rows."""
    due = chunk.parts.take(chunk.due_parts())
    identities = due.values("identity")
    known = known_deliveries_of(connection, run, identities)
    admissions: dict[int, list[Admission]] = {}
    for at, identity, content in zip(due.values("at"), identities, _digests(due), strict=True):
        admissions.setdefault(at, []).append(admit(known.known(identity), content))
    return admissions


def _digests(parts: ArrowRows) -> list[bytes]:
    """Return the digest of each body; staging leaves out those of keys made from rows."""
    bodies = parts.values("body")
    return [staged or digest(bodies[n]) for n, staged in enumerate(parts.values("digest"))]


def decide(connection: Connection, run: RunRecord, chunk: StagedChunk, findings: Findings) -> None:
    """Decide on the rows of a chunk. The ledger is only read."""
    findings.apply(connection, run, chunk)
    if run.api.sends_balances:
        decide_balances(connection, run, chunk, findings.others)
    if run.api is Api.STATE:
        decide_states(connection, run, chunk)


def _write_skipped_rows(connection: Connection, run: RunRecord, chunk: StagedChunk) -> None:
    for decision in map(RowDecision, sorted(set(chunk.decisions) - {RowDecision.DUE, RowDecision.INVALID})):
        _write_together(connection, run, chunk, chunk.indexes_of(decision), (Status.SKIPPED, decision.code, ""))


def _write_together(
    connection: Connection,
    run: RunRecord,
    chunk: StagedChunk,
    indexes: Sequence[int],
    end: tuple[Status, str, str],
) -> None:
    """Write rows that share status, code and message as one line of the ledger."""
    if indexes:
        keys, lines = chunk.rows.values("request_key"), chunk.file_lines
        row_nos, source_rows = [chunk.first_row_no + at for at in indexes], [chunk.source_rows[at] for at in indexes]
        # Nobody looks for a skipped row in its file.
        file_lines = None if lines is None or end[0] is Status.SKIPPED else [lines[at] for at in indexes]
        skipped = SkippedRows(chunk.file_no, *end, row_nos, source_rows, [keys[at] for at in indexes], file_lines)
        write_skipped_rows(connection, run, skipped)


def _insert_rows(connection: Connection, run: RunRecord, chunk: StagedChunk, kept: Sequence[RowDecision]) -> None:
    keys, lines = chunk.rows.values("request_key"), chunk.file_lines
    connection.executemany(
        _INSERT_ROW,
        (
            (run.run_no, chunk.first_row_no + at, chunk.file_no, chunk.source_rows[at], keys[at],
             orjson.dumps(chunk.cells[at]).decode(), lines and lines[at],
             *_fault_columns(chunk.faults.get(at)))
            for at in chunk.indexes_of(*kept)
        ),
    )  # fmt: skip


def _fault_columns(fault: Fault | None) -> tuple[str | None, ...]:
    """Return status, code, message, field, heading, rule and value of a row, which are set if it is invalid."""
    if fault is None:
        return (None,) * 7
    return (Status.INVALID, fault.code, fault.message, fault.field, fault.column, fault.rule, fault.value)


def _insert_dues(connection: Connection, run: RunRecord, chunk: StagedChunk, first_due_no: int | None) -> None:
    due = chunk.parts.take(chunk.due_parts())
    row_nos = [chunk.first_row_no + at for at in due.values("at")]
    columns = ("body", "lane", "refund_of", "card", "points", "version")
    numbers = () if first_due_no is None else (count(first_due_no),)
    connection.executemany(
        _INSERT_DUE if first_due_no is None else _INSERT_NUMBERED_DUE,
        zip(
            *numbers,
            repeat(run.run_no), row_nos, due.values("part"), [position(run.run_no, row_no) for row_no in row_nos],
            due.values("request_key"), due.values("identity"), due.values("key_is_derived"), _digests(due),
            *map(due.values, columns), *_columns_of_states(run, chunk, due), strict=False,
        ),
    )  # fmt: skip


def _columns_of_states(
    run: RunRecord, chunk: StagedChunk, due: ArrowRows
) -> tuple[Iterable[str | None], Iterable[int | None]]:
    """Return `object` and `last_position` of states: the object of each, and the last row that says the same."""
    if run.api is not Api.STATE:
        return repeat(None), repeat(None)
    last = (chunk.last_rows.get(at) for at in due.values("at"))
    return map(object_of, due.values("identity")), (None if n is None else position(run.run_no, n) for n in last)
