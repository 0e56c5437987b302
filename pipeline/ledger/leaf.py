"""One chunk of rows as it was read and mapped, column by column, and what is decided about each of its rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from pipeline.ledger.records import StagedRow
from pipeline.model import Status, digest

KEY_CONFLICT = "key_conflict"


class Fate(IntEnum):
    """What is to become of a row. All but DUE and INVALID are skipped, and bear the fate's name as their code."""

    DUE = 0
    INVALID = 1
    ALREADY_SUCCEEDED = 2
    DUPLICATE_ROW = 3
    SUPERSEDED = 4
    UNCHANGED = 5


@dataclass(frozen=True, slots=True)
class Parts:
    """
    The payloads of a leaf's rows; entry n of every column is about the same one.

    `at` is the row's place in the leaf, `part` the payload's among those of its row.
    """

    at: list[int] = field(default_factory=list)
    part: list[int] = field(default_factory=list)
    request_keys: list[str] = field(default_factory=list, repr=False)
    identities: list[str] = field(default_factory=list, repr=False)
    are_derived: list[bool] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list, repr=False)
    bodies: list[bytes] = field(default_factory=list, repr=False)
    lanes: list[bytes] = field(default_factory=list, repr=False)
    refunds_of: list[str | None] = field(default_factory=list, repr=False)
    cards: list[bytes | None] = field(default_factory=list, repr=False)
    points: list[int | None] = field(default_factory=list)
    versions: list[str | None] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Leaf:
    """
    The rows of one chunk, numbered in the run from `first_row_no`; entry n of every column is about the same row.

    What is decided is written into `fates`, and for an invalid row code and message into `faults`, by its place.
    `dropped` are parts that an earlier row sends; `confirmed` are parts that say what the platform holds already, and
    whether they say so of a later time.
    """

    file_no: int
    first_row_no: int
    source_rows: list[int]
    request_keys: list[str | None] = field(repr=False)
    cells: list[tuple[str | None, ...]] = field(repr=False)
    fates: bytearray
    faults: dict[int, tuple[str, str]]
    parts: Parts
    dropped: set[int] = field(default_factory=set)
    confirmed: dict[int, bool] = field(default_factory=dict)

    def due_parts(self) -> Iterator[int]:
        """Yield the places of the parts that are to be delivered."""
        fates, dropped = self.fates, self.dropped
        return (n for n, at in enumerate(self.parts.at) if fates[at] == Fate.DUE and n not in dropped)

    def refuse(self, at: int, message: str) -> None:
        """Make a row invalid, whose request key stands for something else."""
        self.fates[at] = Fate.INVALID
        self.faults[at] = (KEY_CONFLICT, message)


def leaf_of(file_no: int, first_row_no: int, rows: Sequence[StagedRow]) -> Leaf:
    """Return rows side by side."""
    leaf = Leaf(
        file_no,
        first_row_no,
        [row.source_row for row in rows],
        [row.request_key for row in rows],
        [row.cells for row in rows],
        bytearray(Fate.INVALID if row.status is Status.INVALID else Fate.DUE for row in rows),
        {at: (row.code or "", row.message or "") for at, row in enumerate(rows) if row.status is Status.INVALID},
        Parts(),
    )
    for at, row in enumerate(rows):
        _add_parts(leaf.parts, at, row)
    return leaf


def _add_parts(parts: Parts, at: int, row: StagedRow) -> None:
    for part, payload in enumerate(row.payloads):
        parts.at.append(at)
        parts.part.append(part)
        parts.request_keys.append(payload.request_key)
        parts.identities.append(payload.identity)
        parts.are_derived.append(payload.key_is_derived)
        parts.digests.append(digest(payload.body))
        parts.bodies.append(payload.body)
        parts.lanes.append(payload.lane)
        parts.refunds_of.append(payload.refund_of)
        balance = payload.balance
        parts.cards.append(None if balance is None else balance.card)
        parts.points.append(None if balance is None else balance.points)
        parts.versions.append(None if balance is None else balance.version)
