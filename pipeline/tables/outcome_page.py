"""Outcomes of rows: one outcome, or a page of outcomes as columns."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from pipeline.model import Status


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    The outcome of one row, with the fields of the outcome file and of the report.

    - times: UTC, ISO 8601 with milliseconds; `latency_ms`: milliseconds
    - `cells`: the row's cells in the order of its file's columns (JSON array), kept while the row may need a fix
    - `file_line`: the file line where the row begins, if the file has lines
    - `field`, `column`, `rule`, `value`: the first fault of an invalid row
    """

    source_file: str
    source_row: int
    request_key: str
    status: Status
    code: str
    message: str
    file_no: int
    http_status: int | None = None
    attempts: int = 0
    first_sent_at: str | None = None
    finished_at: str | None = None
    latency_ms: int | None = None
    trace_id: str | None = None
    wants_new_key: bool = False
    cells: str | None = dataclasses.field(default=None, repr=False)
    file_line: int | None = None
    field: str | None = None
    column: str | None = None
    rule: str | None = None
    value: str | None = dataclasses.field(default=None, repr=False)


_columns: Callable[[object], tuple[Sequence[Any], ...]] = attrgetter(*(each.name for each in fields(Outcome)))


@dataclass(frozen=True, slots=True)
class OutcomePage:
    """
    Outcomes of neighbouring rows in source order, as columns: entry n of each column belongs to the same row.

    The columns have the names of the fields of `Outcome`.
    """

    source_file: Sequence[str]
    source_row: Sequence[int]
    request_key: Sequence[str] = dataclasses.field(repr=False)
    status: Sequence[Status]
    code: Sequence[str]
    message: Sequence[str]
    file_no: Sequence[int]
    http_status: Sequence[int | None]
    attempts: Sequence[int]
    first_sent_at: Sequence[str | None]
    finished_at: Sequence[str | None]
    latency_ms: Sequence[int | None]
    trace_id: Sequence[str | None]
    wants_new_key: Sequence[bool]
    cells: Sequence[str | None] = dataclasses.field(repr=False)
    file_line: Sequence[int | None]
    field: Sequence[str | None]
    column: Sequence[str | None]
    rule: Sequence[str | None]
    value: Sequence[str | None] = dataclasses.field(repr=False)

    def __len__(self) -> int:
        return len(self.source_row)

    def __getitem__(self, at: int) -> Outcome:
        return Outcome(*(column[at] for column in self.columns()))

    def __iter__(self) -> Iterator[Outcome]:
        return map(Outcome, *self.columns())

    def columns(self) -> tuple[Sequence[Any], ...]:
        """Return the columns, in the order of the fields of `Outcome`."""
        return _columns(self)
