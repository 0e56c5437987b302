"""
The outcome file: a context manager for each format; rows are added as columns, or from a part of the file.

A part of CSV or JSON lines has lines alone. One of Parquet is an Arrow stream, whose rows need no conversion.
"""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import BinaryIO, Protocol

import orjson

from pipeline.report.files.csv_lines import csv_line, csv_lines
from pipeline.report.files.record import OUTCOME_COLUMNS, Columns, OutcomeFormat

# Bytes that are copied at once.
_BLOCK_BYTES = 1 << 20


class OutcomePart(Protocol):
    """A part of an outcome file that is being written."""

    def add(self, columns: Columns) -> None:
        """Add a line for each entry of the columns, which are those of `OUTCOME_COLUMNS`."""
        ...


class OutcomeFile(OutcomePart, Protocol):
    """An outcome file that is being written."""

    def append(self, part: BinaryIO) -> None:
        """Add the lines of a part."""
        ...


class NoFile:
    """No outcome file: drops all rows."""

    def add(self, columns: Columns) -> None:
        """Do nothing."""

    def append(self, part: BinaryIO) -> None:
        """Do nothing."""


def outcome_part(file: BinaryIO, outcome_format: OutcomeFormat | None) -> AbstractContextManager[OutcomePart]:
    """Return a context manager for a part of an outcome file; leaving it completes the content."""
    match outcome_format:
        case None:
            return nullcontext(NoFile())
        case OutcomeFormat.CSV:
            return nullcontext(_Csv(file))
        case OutcomeFormat.JSONL:
            return nullcontext(_Jsonl(file))
        case OutcomeFormat.PARQUET:
            from pipeline.report.files.parquet_file import arrow_part  # noqa: PLC0415 - as below

            return arrow_part(file)


def outcome_file(file: BinaryIO, outcome_format: OutcomeFormat) -> AbstractContextManager[OutcomeFile]:
    """Return a context manager for an outcome file; leaving it completes the content."""
    match outcome_format:
        case OutcomeFormat.CSV:
            return _csv(file)
        case OutcomeFormat.JSONL:
            return _jsonl(file)
        case OutcomeFormat.PARQUET:
            # Imported here: pyarrow takes a good part of a second, and the default is CSV.
            from pipeline.report.files.parquet_file import parquet_file  # noqa: PLC0415 - as said above

            return parquet_file(file)


@contextmanager
def _csv(file: BinaryIO) -> Iterator[OutcomeFile]:
    file.write(csv_line(OUTCOME_COLUMNS))
    yield _Csv(file)


class _Lines:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def append(self, part: BinaryIO) -> None:
        shutil.copyfileobj(part, self._file, _BLOCK_BYTES)


class _Csv(_Lines):
    def add(self, columns: Columns) -> None:
        self._file.write(csv_lines(columns))


@contextmanager
def _jsonl(file: BinaryIO) -> Iterator[OutcomeFile]:
    yield _Jsonl(file)


class _Jsonl(_Lines):
    def add(self, columns: Columns) -> None:
        for line in zip(*columns, strict=True):
            named = dict(zip(OUTCOME_COLUMNS, line, strict=True))
            self._file.write(orjson.dumps(named, option=orjson.OPT_APPEND_NEWLINE))
