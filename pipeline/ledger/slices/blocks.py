"""
A waiting chunk and its notes as bytes, and back.

The bytes come from a database that others may write to. So they are Arrow, JSON and plain numbers, which can't hold
code, and each is checked as it is read.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field

import numpy as np
import orjson
import pyarrow as pa

from pipeline.language import t
from pipeline.ledger.records import ROW_BITS, RunRecord
from pipeline.ledger.slices import table
from pipeline.ledger.slices.table import SlicePlace, SliceResult
from pipeline.ledger.staging.duplicates.find import AGREEMENT, BALANCE, PART, TASK, Duplicates, Notes
from pipeline.ledger.staging.duplicates.rulings import Rulings
from pipeline.ledger.staging.refunds import Retarget
from pipeline.ledger.staging.staged_chunk import ROW, RowDecision, StagedChunk, Variant
from pipeline.ledger.staging.staging import ChunkStager, Prepared
from pipeline.ledger.staging.states import NotedState
from pipeline.ledger.store.port import Connection, Damaged
from pipeline.model import Fault
from pipeline.tables.mapped_chunk import PAYLOAD, USERS, MappedChunk
from pipeline.tables.rows import ArrowRows

_PARTS = pa.schema([field for field in PAYLOAD if field.name not in USERS])
_KINDS = (PART, TASK, AGREEMENT, BALANCE)
# The fastest level: the disk of the server is slower.
_CODEC = pa.Codec("zstd", compression_level=1)
# A block: the size of all that follows, or 0 if it is not compressed; the number of pieces, and the size of each; the
# pieces. Each begins at a multiple of 8 bytes: numbers in other places are read slowly, or not at all.
_SIZE = struct.Struct(">Q")
# The most bytes that a block unpacks to: 100 times a large one.
_MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class StagedBlock:
    """A staged chunk of a slice and its notes, as bytes."""

    rows: int
    notes: bytes = field(repr=False)
    chunk: bytes = field(repr=False)


class BlockStager:
    """
    Stages the rows of a slice, chunk by chunk, as blocks, and counts them.

    Blocks that stay on this host are not compressed (`compresses`). Other options are as in `ChunkStager`.
    """

    def __init__(
        self,
        run: RunRecord,
        file_no: int,
        retarget: Retarget,
        *,
        unfixed: Iterable[int] = (),
        keeps_cells: bool = True,
        compresses: bool = True,
    ) -> None:
        self._file_no = file_no
        self._compresses = compresses
        self._stager = ChunkStager(run, retarget, keeps_cells=keeps_cells, unfixed=frozenset(unfixed))
        self._rows = self._invalid = self._filtered = self._parts = self.blocks = 0

    def prepare(self, connection: Connection, mapped: MappedChunk) -> Prepared:
        """Return the next rows of the slice as they wait. `connection` is only read. It may be called again."""
        return self._stager.stage(connection, self._file_no, self._rows + 1, mapped)

    def block(self, prepared: Prepared, mapped: MappedChunk) -> StagedBlock:
        """Count rows that were prepared, and return their block."""
        self.blocks += 1
        self._rows += len(mapped)
        self._invalid += prepared.invalid
        self._filtered += len(mapped.filtered)
        self._parts += len(prepared.chunk.parts)
        return StagedBlock(
            len(mapped),
            notes_as_bytes(prepared.notes, prepared.states, compresses=self._compresses),
            chunk_as_bytes(prepared.chunk, compresses=self._compresses),
        )

    def result(self, encoding: str | None, sha256: str) -> SliceResult:
        """Return what was found in the slice; `encoding` and `sha256` are as in `SliceResult`."""
        counts = (self._rows, self._invalid, self._filtered, self._parts, self.blocks)
        return SliceResult(*counts, encoding, sha256, self._stager.unfixed)


def chunk_as_bytes(chunk: StagedChunk, *, compresses: bool = True) -> bytes:
    """Return a waiting chunk as bytes. Chunks of fixed rows, which name their origins, have no such form."""
    facts = {
        "file_no": chunk.file_no,
        "first": chunk.first_row_no,
        "source": [chunk.source_rows.start, chunk.source_rows.stop],
        "cells": list(chunk.cells.items()),
        "faults": [(at, astuple(fault)) for at, fault in chunk.faults.items()],
        "variants": [(at, *_plain_variant(variant)) for at, variant in chunk.variants.items()],
    }
    lines = b"" if chunk.file_lines is None else np.diff(chunk.file_lines, prepend=0).astype(np.int64).tobytes()
    pieces = (orjson.dumps(facts), chunk.decisions, lines, _batch(chunk.rows), _batch(chunk.parts))
    return _packed(*pieces, compresses=compresses)


def chunk_of(data: bytes | memoryview, run_no: int, *, moved: int, source: int, is_own: bool = False) -> StagedChunk:
    """
    Return the chunk of its bytes. Raises Damaged.

    Its rows are numbered `moved` more in the run, and `source` more in the file, than in the slice. Texts of a block
    that is the program's own are not checked (`is_own`): so they are not even read where nobody needs them.
    """
    with _as_damaged():
        plain, decisions, lines, rows, parts = _unpacked(data)
        facts = orjson.loads(plain)
        first, end = facts["source"]
        chunk = StagedChunk(
            file_no=int(facts["file_no"]),
            first_row_no=int(facts["first"]) + moved,
            source_rows=range(first + source, end + source),
            rows=_rows(rows, ROW, is_own=is_own),
            cells={int(at): tuple(cells) for at, cells in facts["cells"]},
            decisions=bytearray(decisions),
            faults={int(at): Fault(*fault) for at, fault in facts["faults"]},
            parts=_rows(parts, _PARTS, is_own=is_own),
            file_lines=np.cumsum(np.frombuffer(lines, np.int64)).tolist() if lines else None,
            variants={int(at): _variant(run_no, moved, *variant) for at, *variant in facts["variants"]},
        )
        _check(chunk)
    return chunk


def load_chunk(connection: Connection, run: RunRecord, place: SlicePlace, block_no: int) -> StagedChunk:
    """Return a chunk of a slice, with its rows numbered as in the run and in the file."""
    data = table.read_chunk(connection, run, place, block_no)
    return chunk_of(data, run.run_no, moved=place.rows, source=place.rows_of_file)


def notes_as_bytes(notes: Notes, states: Sequence[NotedState], *, compresses: bool = True) -> bytes:
    """Return notes as bytes."""
    plain = [(row_no, obj, version, digest.hex()) for row_no, obj, version, digest in states]
    tables = (notes.parts, notes.tasks, notes.agreements, notes.balances)
    return _packed(orjson.dumps(plain), *(table.tobytes() for table in tables), compresses=compresses)


def notes_of(data: bytes | memoryview) -> tuple[Notes, list[NotedState]]:
    """Return the notes of their bytes. Raises Damaged."""
    with _as_damaged():
        plain, *tables = _unpacked(data)
        notes = Notes(*(np.frombuffer(table, kind) for table, kind in zip(tables, _KINDS, strict=True)))
        states = [
            (int(row_no), str(obj), str(version), bytes.fromhex(digest))
            for row_no, obj, version, digest in orjson.loads(plain)
        ]
    return notes, states


def findings_as_bytes(found: Duplicates) -> bytes:
    """Return what was found about the rows of a slice as bytes."""
    return _packed(found.rulings.of_row.tobytes(), found.dropped.tobytes(), compresses=True)


def findings_of(data: bytes, first_row_no: int) -> Duplicates:
    """Return what was found about rows from a number on. Raises Damaged."""
    with _as_damaged():
        of_row, dropped = _unpacked(data)
        rulings = Rulings(len(of_row), first_row_no)
        rulings.of_row[:] = np.frombuffer(of_row, np.uint8)
        return Duplicates(rulings, np.frombuffer(dropped, np.int64))


@contextmanager
def _as_damaged() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, OSError, EOFError, struct.error) as exc:
        raise Damaged(t("a block of a slice is not the one that was written")) from exc


def _check(chunk: StagedChunk) -> None:
    """Raise ValueError if the columns of a chunk do not belong together."""
    rows, lines, at = len(chunk.decisions), chunk.file_lines, chunk.parts.numbers("at")
    fit = rows == len(chunk.rows) == len(chunk.source_rows) and (lines is None or len(lines) == rows)
    are_inside = not len(at) or (at[0] >= 0 and at[-1] < rows and (np.diff(at) >= 0).all())
    if not (fit and are_inside and max(chunk.decisions, default=0) <= max(RowDecision)):
        raise ValueError(rows)


def _plain_variant(variant: Variant) -> tuple[object, ...]:
    parts = [[value.hex() if isinstance(value, bytes) else value for value in part] for part in variant.parts]
    return variant.first, variant.position, parts, [content.hex() for content in variant.contents]


def _variant(
    run_no: int, moved: int, first: int, position: int, parts: Sequence[Sequence[object]], contents: Sequence[str]
) -> Variant:
    """Return a variant. If it is a row of this run, it moves with the row."""
    if position >> ROW_BITS == run_no:
        position += moved
    return Variant(first, position, tuple(map(_part, parts)), tuple(map(bytes.fromhex, contents)))


def _part(plain: Sequence[object]) -> tuple[object, ...]:
    part, identity, digest, card, *balance = plain
    return part, identity, bytes.fromhex(str(digest)), None if card is None else bytes.fromhex(str(card)), *balance


def _batch(rows: ArrowRows) -> memoryview:
    return memoryview(rows.batch.serialize())


def _rows(data: memoryview, schema: pa.Schema, *, is_own: bool) -> ArrowRows:
    batch = pa.ipc.read_record_batch(pa.py_buffer(data), schema)
    # Offsets beyond the data would read other memory.
    batch.validate(full=not is_own)
    return ArrowRows(batch)


def _packed(*pieces: bytes | bytearray | memoryview, compresses: bool) -> bytes:
    sizes = b"".join(_SIZE.pack(len(piece)) for piece in pieces)
    padded = (part for piece in pieces for part in (piece, bytes(-len(piece) % _SIZE.size)))
    plain = b"".join([b"" if compresses else _SIZE.pack(0), _SIZE.pack(len(pieces)), sizes, *padded])
    return _SIZE.pack(len(plain)) + _CODEC.compress(plain, asbytes=True) if compresses else plain


def _unpacked(data: bytes | memoryview) -> list[memoryview]:
    """Return the pieces, without copying them."""
    (size,) = _SIZE.unpack_from(data)
    if size > _MOST_BYTES:
        raise ValueError(size)
    packed = memoryview(data)[_SIZE.size :]
    plain = memoryview(_CODEC.decompress(packed, size)) if size else packed
    (count,) = _SIZE.unpack_from(plain)
    at = (count + 1) * _SIZE.size
    if at > len(plain):
        raise ValueError(count)
    pieces = []
    for n in range(count):
        (length,) = _SIZE.unpack_from(plain, (n + 1) * _SIZE.size)
        pieces.append(plain[at : at + length])
        at += length + -length % _SIZE.size
    if at != len(plain):
        raise ValueError(at)
    return pieces
