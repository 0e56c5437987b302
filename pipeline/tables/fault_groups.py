"""Groups of faults: same status and code, same rule of the same field."""

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field
from functools import partial
from typing import Any, NamedTuple

from pipeline.language import t
from pipeline.model import Status
from pipeline.redact import shown_row

LISTED_GROUPS = 50
MOST_KINDS = 1000
"""Limit of kinds in memory, because platforms may invent codes. Faults of further kinds are only counted."""


class FaultKind(NamedTuple):
    """The common values of a group of faults; `field`, `column` and `rule` are None if they do not apply."""

    status: Status
    code: str
    field: str | None = None
    column: str | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class FaultExample:
    """
    The first row of a group.

    `value` is the wrong value, as far as it may be shown; `message` has all faults of the row. `line` is the file line
    where the row begins, if the file has lines.
    """

    file: str
    row: int
    line: int | None = None
    value: str | None = field(default=None, repr=False)
    message: str = field(default="", repr=False)

    @property
    def place(self) -> str:
        """The row's name."""
        return shown_row(self.file, self.row, self.line)


@dataclass(frozen=True, slots=True)
class FaultGroup:
    """Faults of one kind: the number of rows and the first row."""

    kind: FaultKind
    rows: int
    example: FaultExample

    def as_dict(self) -> dict[str, Any]:
        """Return the group in the form of `summary.json`."""
        example = {"file": self.example.file, "row": self.example.row, "value": self.example.value}
        return {**self.kind._asdict(), "rows": self.rows, "example": example}


@dataclass(frozen=True, slots=True)
class GroupedFaults:
    """The largest groups, most rows first, and the number of rows in other groups."""

    groups: tuple[FaultGroup, ...] = ()
    rows_of_others: int = 0

    def without(self, code: str) -> "GroupedFaults":
        """Return the groups with other codes."""
        return GroupedFaults(tuple(group for group in self.groups if group.kind.code != code), self.rows_of_others)

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the groups in the form of `summary.json`; other rows come last, as a group without kind."""
        groups = [group.as_dict() for group in self.groups]
        if self.rows_of_others:
            groups.append(dict.fromkeys(FaultKind._fields) | {"rows": self.rows_of_others, "example": None})
        return groups

    def in_words(self, limit: int) -> list[str]:
        """Return one line for each of the first `limit` groups, and one line for all others."""
        lines = [_line(group) for group in self.groups[:limit]]
        if rows := self.rows_of_others + sum(group.rows for group in self.groups[limit:]):
            lines.append(t("{rows:>9,} with other faults", rows=rows))
        return lines


def _line(group: FaultGroup) -> str:
    status, code, *_ = group.kind
    example = group.example
    return t(
        "{rows:>9,} {status} {code}, first {place}: {message}",
        rows=group.rows,
        status=status,
        code=code,
        place=example.place,
        message=example.message,
    ).removesuffix(": ")


class FaultGroups:
    """Groups faults of rows in source order. Memory grows with the number of kinds, up to a limit."""

    def __init__(self, most_kinds: float = MOST_KINDS) -> None:
        self._most_kinds = most_kinds
        self._rows: dict[FaultKind, int] = {}
        self._examples: dict[FaultKind, FaultExample] = {}
        self._rows_of_others = 0

    def add(self, kind: FaultKind, example: Callable[[], FaultExample], rows: int = 1) -> None:
        """Count rows with a fault. `example` makes the first row; it is called only for a new kind."""
        if kind in self._rows:
            self._rows[kind] += rows
        elif len(self._rows) < self._most_kinds:
            self._rows[kind] = rows
            self._examples[kind] = example()
        else:
            self._rows_of_others += rows

    def plain(self) -> dict[str, Any]:
        """Return all groups for JSON."""
        found = self.all()
        return {
            "groups": [[tuple(group.kind), astuple(group.example), group.rows] for group in found.groups],
            "others": found.rows_of_others,
        }

    def add_plain(self, plain: Mapping[str, Any]) -> None:
        """Add the groups of the rows that follow, from their JSON."""
        for (status, *kind), example, rows in plain["groups"]:
            self.add(FaultKind(Status(status), *kind), partial(FaultExample, *example), rows)
        self._rows_of_others += plain["others"]

    def all(self) -> GroupedFaults:
        """Return all groups, the first one seen first."""
        groups = tuple(FaultGroup(kind, rows, self._examples[kind]) for kind, rows in self._rows.items())
        return GroupedFaults(groups, self._rows_of_others)

    def listed(self, limit: int = LISTED_GROUPS) -> GroupedFaults:
        """Return up to `limit` groups, most rows first; among equals the first one seen."""
        kinds = sorted(self._rows, key=lambda kind: -self._rows[kind])
        groups = tuple(FaultGroup(kind, self._rows[kind], self._examples[kind]) for kind in kinds[:limit])
        return GroupedFaults(groups, self._rows_of_others + sum(self._rows[kind] for kind in kinds[limit:]))
