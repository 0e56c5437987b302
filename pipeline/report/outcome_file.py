"""The outcome file, line by line: a context for each format that gives a function which takes one record."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO

import orjson

from pipeline.report.csv_lines import csv_line
from pipeline.report.record import OUTCOME_COLUMNS, OutcomeFormat, Record

Add = Callable[[Record], object]


def outcome_file(file: BinaryIO, outcome_format: OutcomeFormat) -> AbstractContextManager[Add]:
    """Return a context that gives the function to add a record with; leaving it completes the file's content."""
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
def _csv(file: BinaryIO) -> Iterator[Add]:
    file.write(csv_line(OUTCOME_COLUMNS))
    yield lambda record: file.write(csv_line(record))


@contextmanager
def _jsonl(file: BinaryIO) -> Iterator[Add]:
    def add(record: Record) -> None:
        line = dict(zip(OUTCOME_COLUMNS, record, strict=True))
        file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    yield add
