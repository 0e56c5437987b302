"""The statements of the tables `slices` and `blocks`. Each is a transaction of its own, under its slice's fence."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

import orjson

from pipeline.errors import LedgerError
from pipeline.language import t
from pipeline.ledger.records import RunRecord
from pipeline.ledger.store.lease import IsGone
from pipeline.ledger.store.port import Connection, Cursor, json_of

# A lease of a job is raised by 1 with each takeover; fences of its slices begin so many bits above.
_FENCE_BITS = 20

_INSERT = "INSERT INTO slices (run_no, slice_no, file_no, cut, fence) VALUES (?, ?, ?, ?, ?)"
# Take a slice that nobody has. Its fence grows, so that a former owner can't write any more. A slice that is locked is
# being taken or finished.
_TAKE = """
UPDATE slices SET fence = fence + 1, holder = ?, expires_at = clock_timestamp() + ? * interval '1 second'
WHERE (run_no, slice_no) = (
    SELECT s.run_no, s.slice_no FROM slices AS s JOIN runs AS r USING (run_no)
    WHERE s.run_no = ? AND s.slice_no = ? AND s.state IN ('open', 'found') AND s.expires_at < clock_timestamp()
        AND r.act = 'staging'
    FOR UPDATE OF s SKIP LOCKED
)
RETURNING file_no, fence, cut, place, findings
"""
_OWN = "run_no = ? AND slice_no = ? AND fence = ? AND state IN ('open', 'found')"
_RENEW = f"UPDATE slices SET expires_at = clock_timestamp() + ? * interval '1 second' WHERE {_OWN}"
_RELEASE = f"UPDATE slices SET expires_at = '-infinity' WHERE {_OWN}"
_FINISH = f"""
UPDATE slices SET state = 'staged', rows = ?, invalid = ?, filtered = ?, parts = ?, blocks = ?, encoding = ?,
    sha256 = ?, unfixed = ?
WHERE {_OWN}
"""
_IS_FINISHED = "SELECT state = 'staged' AND fence = ? FROM slices WHERE run_no = ? AND slice_no = ?"
# Have the rows of a staged slice written, by any process.
_SET_FINDINGS = """
UPDATE slices SET state = 'found', place = ?, findings = ?, expires_at = '-infinity'
WHERE run_no = ? AND slice_no = ? AND fence = ? AND state = 'staged'
"""
_END = f"UPDATE slices SET state = 'written', counts = ? WHERE {_OWN}"
# Twice, if the answer to the first time was lost with the connection.
_INSERT_BLOCK = """
INSERT INTO blocks (run_no, slice_no, fence, block_no, rows, notes, chunk) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""
_SLICES = """
SELECT rows, invalid, filtered, parts, blocks, encoding, sha256, unfixed, slice_no, file_no, fence, state, counts, cut
FROM slices WHERE run_no = ? ORDER BY slice_no
"""
# Slices that nobody has, of runs whose driver is alive.
_OPEN = """
SELECT r.run_id, r.job, s.slice_no FROM slices AS s JOIN runs AS r USING (run_no) JOIN jobs AS j USING (run_id)
WHERE s.state IN ('open', 'found') AND s.expires_at < clock_timestamp() AND r.act = 'staging' AND j.expires_at > ?
ORDER BY s.run_no, s.slice_no
"""
_NOTES = "SELECT rows, notes FROM blocks WHERE run_no = ? AND slice_no = ? AND fence = ? AND block_no = ?"
_CHUNK = "SELECT chunk FROM blocks WHERE run_no = ? AND slice_no = ? AND fence = ? AND block_no = ?"
_COUNT_BLOCKS = "SELECT count(*) FROM blocks WHERE run_no = ? AND slice_no = ? AND fence = ?"
_REOPEN = """
UPDATE slices SET state = 'open', fence = fence + 1, expires_at = '-infinity', cut = ?
WHERE run_no = ? AND slice_no = ? AND fence = ?
"""


_HELD = """
SELECT slice_no, fence, holder FROM slices
WHERE run_no = ? AND state IN ('open', 'found') AND expires_at > clock_timestamp()
"""


@dataclass(frozen=True, slots=True)
class NewSlice:
    """A slice to be staged: its file, and its cut, which says how it is read (as JSON)."""

    slice_no: int
    file_no: int
    cut: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenSlice:
    """A slice that no process has: the id of its run, its job and its number."""

    run_id: str
    job: str
    slice_no: int


class SliceState(StrEnum):
    """How far a slice has come: to be staged, staged, with findings from all rows to be written, and written."""

    OPEN = "open"
    STAGED = "staged"
    FOUND = "found"
    WRITTEN = "written"


@dataclass(frozen=True, slots=True)
class SlicePlace:
    """
    The place of a staged slice in its run.

    `rows` are the rows of the run before it, `rows_of_file` those of its file, `dues` the most dues of the run before
    it. It has so many `blocks`, under the fence `fence`.
    """

    slice_no: int
    fence: int
    blocks: int
    rows: int
    rows_of_file: int
    dues: int


@dataclass(frozen=True, slots=True)
class TakenSlice:
    """
    A slice that a process has, under a fence.

    With `place` and `findings` its rows are to be written, else it is to be staged.
    """

    slice_no: int
    file_no: int
    fence: int
    cut: Mapping[str, Any] = field(repr=False)
    place: SlicePlace | None = None
    findings: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class SliceResult:
    """
    What a process has found in a slice; `parts` are payloads that may be due.

    `sha256` is that of the whole file, empty if another slice has it. `unfixed` are the fixed rows that its rows were
    found to be, by position.
    """

    rows: int
    invalid: int
    filtered: int
    parts: int
    blocks: int
    encoding: str | None
    sha256: str
    unfixed: frozenset[int]


@dataclass(frozen=True, slots=True)
class SliceRecord(SliceResult):
    """One line of the table `slices`. Its result is empty until it is staged; `counts` is JSON of a written slice."""

    slice_no: int
    file_no: int
    fence: int
    state: SliceState
    counts: str
    cut: Mapping[str, Any] = field(repr=False)

    @classmethod
    def staged(cls, new: NewSlice, result: SliceResult) -> Self:
        """Return a slice that was staged, without a fence."""
        found: dict[str, Any] = {each.name: getattr(result, each.name) for each in fields(SliceResult)}
        return cls(
            **found,
            slice_no=new.slice_no,
            file_no=new.file_no,
            fence=0,
            state=SliceState.STAGED,
            counts="",
            cut=new.cut,
        )


def write_slices(connection: Connection, run: RunRecord, slices: Sequence[NewSlice], fence: int) -> None:
    """Write the slices of a run, all open. `fence` is that of the job: no two drivers give the same fences."""
    connection.executemany(
        _INSERT,
        [(run.run_no, each.slice_no, each.file_no, _json(each.cut), fence << _FENCE_BITS) for each in slices],
    )


def slices_of(connection: Connection, run: RunRecord) -> list[SliceRecord]:
    """Return the slices of a run, in order."""
    return [_record(*line) for line in connection.execute(_SLICES, (run.run_no,))]


def _record(*line: Any) -> SliceRecord:
    values: dict[str, Any] = dict(zip((each.name for each in fields(SliceRecord)), line, strict=True))
    unfixed, state, cut = frozenset(orjson.loads(values["unfixed"])), SliceState(values["state"]), values["cut"]
    return SliceRecord(**{**values, "unfixed": unfixed, "state": state, "cut": orjson.loads(cut)})


def open_slices(connection: Connection, now: str) -> list[OpenSlice]:
    """Return each slice that nobody has, of runs whose driver has its job at a time, oldest runs first."""
    return [OpenSlice(*line) for line in connection.execute(_OPEN, (now,))]


def take(connection: Connection, run: RunRecord, slice_no: int, owner: str, seconds: float) -> TakenSlice | None:
    """Take a slice for some seconds; None if another process has it, or if it is staged."""
    line = connection.execute(_TAKE, (owner, seconds, run.run_no, slice_no)).fetchone()
    if line is None:
        return None
    file_no, fence, cut, place, findings = line
    return TakenSlice(
        slice_no,
        file_no,
        fence,
        orjson.loads(cut),
        SlicePlace(**orjson.loads(place)) if place else None,
        findings or b"",
    )


def renew(connection: Connection, run: RunRecord, taken: TakenSlice, seconds: float) -> bool:
    """Keep a slice for some seconds from now; return whether it is still this process's."""
    return connection.execute(_RENEW, (seconds, *_own(run, taken))).rowcount == 1


def release(connection: Connection, run: RunRecord, taken: TakenSlice) -> None:
    """Leave an open slice to others."""
    connection.execute(_RELEASE, _own(run, taken))


def write_block(
    connection: Connection, run: RunRecord, taken: TakenSlice, block_no: int, rows: int, data: tuple[bytes, bytes]
) -> None:
    """Write a block, notes and chunk, with its number of rows. It counts once the slice is finished."""
    connection.execute(_INSERT_BLOCK, (run.run_no, taken.slice_no, taken.fence, block_no, rows, *data))


def finish(
    connection: Connection,
    run: RunRecord,
    taken: TakenSlice,
    result: SliceResult,
) -> bool:
    """
    Finish a slice with what was found.

    Returns False if another process has taken it since: then nothing of it counts.
    """
    *values, unfixed = astuple(result)
    if connection.execute(_FINISH, (*values, json_of(sorted(unfixed)), *_own(run, taken))).rowcount == 1:
        return True
    # The answer to the first statement may have been lost with the connection.
    line = connection.execute(_IS_FINISHED, (taken.fence, run.run_no, taken.slice_no)).fetchone()
    return line is not None and bool(line[0])


def has_all_blocks(connection: Connection, run: RunRecord, staged: SliceRecord) -> bool:
    """Return whether the blocks of a staged slice are there. A crash of the server empties their table."""
    found = connection.execute(_COUNT_BLOCKS, (run.run_no, staged.slice_no, staged.fence)).fetchone()
    return bool(found[0] == staged.blocks)


def read_notes(connection: Connection, run: RunRecord, staged: SlicePlace, block_no: int) -> tuple[int, bytes]:
    """Return the number of rows of a block, and its notes. Raises LedgerError if the server has lost it."""
    rows, notes = _block(connection.execute(_NOTES, (run.run_no, staged.slice_no, staged.fence, block_no)))
    return int(rows), bytes(notes)


def set_findings(connection: Connection, run: RunRecord, place: SlicePlace, findings: bytes) -> None:
    """Have the rows of a staged slice written, with what was found among all rows of the run."""
    values = (_json(asdict(place)), findings, run.run_no, place.slice_no, place.fence)
    connection.execute(_SET_FINDINGS, values)


def end(connection: Connection, run: RunRecord, taken: TakenSlice, counts: str) -> bool:
    """End a slice whose rows are written, with their counts; return False if another process has taken it since."""
    return connection.execute(_END, (counts, *_own(run, taken))).rowcount == 1


def read_chunk(connection: Connection, run: RunRecord, staged: SlicePlace, block_no: int) -> bytes:
    """Return the chunk of a block. Raises LedgerError if the server has lost it."""
    (chunk,) = _block(connection.execute(_CHUNK, (run.run_no, staged.slice_no, staged.fence, block_no)))
    return bytes(chunk)


def _block(found: Cursor) -> Any:
    line = found.fetchone()
    if line is None:
        raise LedgerError(
            t("the ledger's server restarted while the run was deciding; nothing was sent: resume the run")
        )
    return line


def reopen(connection: Connection, run: RunRecord, staged: SliceRecord, unfixed: frozenset[int]) -> None:
    """Have a slice staged once more; `unfixed` are fixed rows that rows of earlier slices were found to be."""
    cut = {**staged.cut, "unfixed": sorted(unfixed)}
    connection.execute(_REOPEN, (_json(cut), run.run_no, staged.slice_no, staged.fence))


def slices_of_dead(connection: Connection, run: RunRecord, is_gone: IsGone) -> list[tuple[int, int]]:
    """Return number and fence of each slice whose process has surely ended."""
    held = connection.execute(_HELD, (run.run_no,)).fetchall()
    return [(slice_no, fence) for slice_no, fence, owner in held if is_gone(owner)]


def release_all(connection: Connection, run: RunRecord, slices: Sequence[tuple[int, int]]) -> None:
    """Leave slices to others, before their leases end; each is named by number and fence."""
    for slice_no, fence in slices:
        connection.execute(_RELEASE, (run.run_no, slice_no, fence))


def _own(run: RunRecord, taken: TakenSlice) -> tuple[int, int, int]:
    return run.run_no, taken.slice_no, taken.fence


def _json(cut: Mapping[str, Any]) -> str:
    return orjson.dumps(cut).decode()
