"""The outcome file: a context manager for each format; rows are added as columns."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO, Protocol

import orjson

from pipeline.report.files.csv_lines import csv_line, csv_lines
from pipeline.report.files.record import OUTCOME_COLUMNS, Columns, OutcomeFormat


class OutcomeFile(Protocol):
    """An outcome file that is being written."""

    def add(self, columns: Columns) -> None:
        """Add a line for each entry of the columns, which are those of `OUTCOME_COLUMNS`."""
        ...


class NoFile:
    """No outcome file: drops all rows."""

    def add(self, columns: Columns) -> None:
        """Do nothing."""


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


class _Csv:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, columns: Columns) -> None:
        self._file.write(csv_lines(columns))


@contextmanager
def _jsonl(file: BinaryIO) -> Iterator[OutcomeFile]:
    yield _Jsonl(file)


class _Jsonl:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, columns: Columns) -> None:
        for line in zip(*columns, strict=True):
            named = dict(zip(OUTCOME_COLUMNS, line, strict=True))
            self._file.write(orjson.dumps(named, option=orjson.OPT_APPEND_NEWLINE))
