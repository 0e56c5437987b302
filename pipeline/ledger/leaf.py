"""One chunk of rows as it was read and mapped, column by column, and what is decided about each of its rows."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field, fields
from enum import IntEnum
from itertools import compress, count
from typing import Any

from pipeline.model import BadRow, Invalid, Payload, digest
from pipeline.sheet import Sheet

KEY_CONFLICT = "key_conflict"


class Fate(IntEnum):
    """What is to become of a row. All but DUE and INVALID are skipped, and bear the fate's name as their code."""

    DUE = 0
    INVALID = 1
    ALREADY_SUCCEEDED = 2
    DUPLICATE_ROW = 3
    SUPERSEDED = 4
    UNCHANGED = 5

    @property
    def code(self) -> str:
        """The code that the outcome of a skipped row bears."""
        return self.name.lower()


_IS_DUE = bytes(fate == Fate.DUE for fate in range(256))


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

    `cells` are those of the rows that stay open, by place. What is decided is written into `fates`, and for an invalid
    row code and message into `faults`, by its place. `dropped` are parts that an earlier row sends; `confirmed` are
    parts that say what the platform holds already, and whether that has to be noted: it is of a later time, or somebody
    has another balance of the card to send (of what was found unchanged for all rows at once, only where it has to be);
    `in_doubt` are parts that an earlier attempt may have delivered.
    """

    file_no: int
    first_row_no: int
    source_rows: list[int]
    request_keys: list[str | None] = field(repr=False)
    cells: dict[int, tuple[str | None, ...]] = field(repr=False)
    fates: bytearray
    faults: dict[int, tuple[str, str]]
    parts: Parts
    dropped: set[int] = field(default_factory=set)
    confirmed: dict[int, bool] = field(default_factory=dict)
    in_doubt: set[int] = field(default_factory=set)

    def due_parts(self) -> Iterator[int]:
        """Yield the places of the parts that are to be delivered."""
        is_due, dropped = self.fates.translate(_IS_DUE), self.dropped
        due = compress(count(), map(is_due.__getitem__, self.parts.at))
        return (n for n in due if n not in dropped) if dropped else due

    def refuse(self, at: int, message: str) -> None:
        """Make a row invalid, whose request key stands for something else."""
        self.invalidate(at, KEY_CONFLICT, message)

    def invalidate(self, at: int, code: str, message: str) -> None:
        """Make a row invalid."""
        self.fates[at] = Fate.INVALID
        self.faults[at] = (code, message)


def leaf_of(file_no: int, first_row_no: int, sheet: Sheet) -> Leaf:
    """Return a sheet as it is staged, with no cells yet."""
    leaf = Leaf(
        file_no,
        first_row_no,
        list(sheet.numbers),
        list(sheet.request_keys),
        {},
        bytearray(len(sheet)),
        {},
        _parts_of(sheet),
    )
    for at, other in sheet.others.items():
        match other:
            case BadRow(_, fault):
                leaf.invalidate(at, fault.code, fault.message)
            case Invalid(_, key):
                leaf.request_keys[at] = key
                leaf.invalidate(at, other.code, other.message)
            case _:
                # A task done n times goes out under <key>-1 ... <key>-n; the row itself is known by <key>.
                leaf.request_keys[at] = other[0].request_key.rpartition("-")[0]
                for part, payload in enumerate(other):
                    _add_part(leaf.parts, at, part, payload)
    _put_in_order(leaf.parts)
    return leaf


def _parts_of(sheet: Sheet) -> Parts:
    """Return the payloads of the rows that have exactly one."""
    columns: tuple[Sequence[Any], ...] = (
        sheet.request_keys, sheet.identities, sheet.keys_are_derived, sheet.digests, sheet.bodies, sheet.lanes,
        sheet.refunds_of, sheet.cards, sheet.points, sheet.versions,
    )  # fmt: skip
    at = [place for place, key in enumerate(sheet.request_keys) if key is not None]
    if len(at) < len(sheet):
        columns = tuple([column[place] for place in at] for column in columns)
    return Parts(at, [0] * len(at), *map(list, columns))


def _put_in_order(parts: Parts) -> None:
    """Put the payloads in the order of their rows, which is that in which they are sent."""
    order = sorted(range(len(parts.at)), key=parts.at.__getitem__)
    if order != list(range(len(order))):
        for column in fields(parts):
            values = getattr(parts, column.name)
            values[:] = [values[n] for n in order]


def _add_part(parts: Parts, at: int, part: int, payload: Payload) -> None:
    balance = payload.balance
    values = (
        at, part, payload.request_key, payload.identity, payload.key_is_derived, digest(payload.body), payload.body,
        payload.lane, payload.refund_of, *((None,) * 3 if balance is None else astuple(balance)),
    )  # fmt: skip
    for column, value in zip(fields(parts), values, strict=True):
        getattr(parts, column.name).append(value)
