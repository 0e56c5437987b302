"""Faults of rows, put together: those of one status and one code that break the same rule of the same field."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.model import Status
from pipeline.redact import shown_row

LISTED_GROUPS = 50
# Codes are the platforms' to invent: faults of more kinds are counted without telling them apart.
_MOST_KINDS = 1000


class FaultKind(NamedTuple):
    """What the faults of one group share; `field`, `column` and `rule` are None where they do not apply."""

    status: Status
    code: str
    field: str | None = None
    column: str | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class FaultExample:
    """
    The first row of a group.

    `value` is what may be shown of the value at fault, `message` all that is wrong with the row. `line` is the line of
    the file where the row begins, if it has lines.
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
    """Faults of one kind, how many rows have one, and the first of these rows."""

    kind: FaultKind
    rows: int
    example: FaultExample

    def as_dict(self) -> dict[str, Any]:
        """Return the group as reports write it."""
        example = {"file": self.example.file, "row": self.example.row, "value": self.example.value}
        return {**self.kind._asdict(), "rows": self.rows, "example": example}


@dataclass(frozen=True, slots=True)
class GroupedFaults:
    """The groups of most rows, most rows first, and how many rows with faults are in none of them."""

    groups: tuple[FaultGroup, ...] = ()
    rows_of_others: int = 0

    def without(self, code: str) -> "GroupedFaults":
        """Return the groups of all other codes."""
        return GroupedFaults(tuple(group for group in self.groups if group.kind.code != code), self.rows_of_others)

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the groups as reports write them; rows that are in none come last, as a group of no kind."""
        groups = [group.as_dict() for group in self.groups]
        if self.rows_of_others:
            groups.append(dict.fromkeys(FaultKind._fields) | {"rows": self.rows_of_others, "example": None})
        return groups

    def in_words(self, limit: int) -> list[str]:
        """Return a line for each of the first groups, and one for all others."""
        lines = [_line(group) for group in self.groups[:limit]]
        if rows := self.rows_of_others + sum(group.rows for group in self.groups[limit:]):
            lines.append(f"{rows:>9,} with other faults")
        return lines


def _line(group: FaultGroup) -> str:
    status, code, *_ = group.kind
    example = group.example
    return f"{group.rows:>9,} {status} {code}, first {example.place}: {example.message}".removesuffix(": ")


class FaultGroups:
    """Groups faults while rows pass by, in source order. Its size depends on how many kinds there are."""

    def __init__(self, most_kinds: int = _MOST_KINDS) -> None:
        self._most_kinds = most_kinds
        self._rows: dict[FaultKind, int] = {}
        self._examples: dict[FaultKind, FaultExample] = {}
        self._rows_of_others = 0

    def add(self, kind: FaultKind, example: Callable[[], FaultExample], rows: int = 1) -> None:
        """Count rows with a fault; `example` makes the first of them, and is called for the first of its kind only."""
        if kind in self._rows:
            self._rows[kind] += rows
        elif len(self._rows) < self._most_kinds:
            self._rows[kind] = rows
            self._examples[kind] = example()
        else:
            self._rows_of_others += rows

    def listed(self, limit: int = LISTED_GROUPS) -> GroupedFaults:
        """Return the groups of most rows; of equal ones the first."""
        kinds = sorted(self._rows, key=lambda kind: -self._rows[kind])
        groups = tuple(FaultGroup(kind, self._rows[kind], self._examples[kind]) for kind in kinds[:limit])
        return GroupedFaults(groups, self._rows_of_others + sum(self._rows[kind] for kind in kinds[limit:]))
