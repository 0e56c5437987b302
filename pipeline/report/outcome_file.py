"""The outcome file: a context for each format, that takes records one by one, or many that are alike."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO, Protocol

import orjson

from pipeline.model import Alike
from pipeline.report.csv_lines import csv_line, csv_lines
from pipeline.report.record import OUTCOME_COLUMNS, OutcomeFormat, Record, around, record


class OutcomeFile(Protocol):
    """An outcome file that is being written."""

    def add(self, line: Record) -> None:
        """Add a record."""
        ...

    def add_alike(self, run_id: str, job: str, alike: Alike) -> None:
        """Add the records of rows that share their outcome."""
        ...


class NoFile:
    """Takes records for a file that nobody asked for."""

    def add(self, line: Record) -> None:
        """Leave the record out."""

    def add_alike(self, run_id: str, job: str, alike: Alike) -> None:
        """Leave the records out."""


def outcome_file(file: BinaryIO, outcome_format: OutcomeFormat) -> AbstractContextManager[OutcomeFile]:
    """Return a context that gives the file to add records to; leaving it completes the file's content."""
    match outcome_format:
        case OutcomeFormat.CSV:
            return _csv(file)
        case OutcomeFormat.JSONL:
            return _jsonl(file)
        case OutcomeFormat.PARQUET:
            # Here, because pyarrow takes a good part of a second to import and the default is CSV.
            from pipeline.report.parquet_file import parquet_file  # noqa: PLC0415 - as said above

            return parquet_file(file)


@contextmanager
def _csv(file: BinaryIO) -> Iterator[OutcomeFile]:
    file.write(csv_line(OUTCOME_COLUMNS))
    yield _Csv(file)


class _Csv:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, line: Record) -> None:
        self._file.write(csv_line(line))

    def add_alike(self, run_id: str, job: str, alike: Alike) -> None:
        before, after = around(run_id, job, alike)
        keys = [key or "" for key in alike.request_keys]
        self._file.write(csv_lines(before, (alike.source_rows, keys), after))


@contextmanager
def _jsonl(file: BinaryIO) -> Iterator[OutcomeFile]:
    yield _Jsonl(file)


class _Jsonl:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, line: Record) -> None:
        named = dict(zip(OUTCOME_COLUMNS, line, strict=True))
        self._file.write(orjson.dumps(named, option=orjson.OPT_APPEND_NEWLINE))

    def add_alike(self, run_id: str, job: str, alike: Alike) -> None:
        for outcome in alike.outcomes():
            self.add(record(run_id, job, outcome))
