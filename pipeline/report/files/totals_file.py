"""The totals of agreements as a file: CSV, Parquet or JSON, or a table for people."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from enum import StrEnum
from itertools import chain, islice
from typing import Any, BinaryIO

import orjson

from pipeline.redact import shown, visible
from pipeline.report.files.csv_lines import csv_line
from pipeline.tables.agreement_totals import TotalsLine

TOTALS_COLUMNS = tuple(field.name for field in fields(TotalsLine))
"""The columns of the totals, in their order."""

_NUMBERS = TOTALS_COLUMNS[4:]
# Lines that are written at once, and by which the widths of the table's columns are chosen.
_LINES = 1000
# The columns of the table; the first three are texts. Further columns are in the files only.
_TABLE = ("account", "agreement_no", "status", "reports", "tasks", "amount", "discount")
_TEXTS = 3


class TotalsFormat(StrEnum):
    """The formats of totals."""

    TABLE = "table"
    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"


def write_totals(
    lines: Iterable[TotalsLine], file: BinaryIO, totals_format: TotalsFormat, *, masks_ids: bool = False
) -> None:
    """Write the lines in a format, in pieces of bounded size. `masks_ids` holds for the table only."""
    match totals_format:
        case TotalsFormat.TABLE:
            _write_table(lines, file, masks_ids=masks_ids)
        case TotalsFormat.CSV:
            _write_csv(lines, file)
        case TotalsFormat.JSON:
            _write_json(lines, file)
        case TotalsFormat.PARQUET:
            _write_parquet(lines, file)


def _pages(lines: Iterable[TotalsLine]) -> Iterator[list[TotalsLine]]:
    left = iter(lines)
    while page := list(islice(left, _LINES)):
        yield page


def _write_table(lines: Iterable[TotalsLine], file: BinaryIO, *, masks_ids: bool) -> None:
    show: Callable[[str], str] = (lambda number: shown(number).plain) if masks_ids else str
    rows = (_cells_of(line, show) for line in lines)
    first = [list(_TABLE), *islice(rows, _LINES)]
    widths = [max(map(len, column)) for column in zip(*first, strict=True)]
    for row in chain(first, rows):
        cells = [
            cell.ljust(width) if at < _TEXTS else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        file.write(("  ".join(cells).rstrip() + "\n").encode())


def _cells_of(line: TotalsLine, show: Callable[[str], str]) -> list[str]:
    numbers = (line.reports, line.tasks, line.amount, line.discount)
    shown_numbers = ("" if number is None else f"{number:,}" for number in numbers)
    return [line.account, visible(show(line.agreement_no)), line.status, *shown_numbers]


def _write_csv(lines: Iterable[TotalsLine], file: BinaryIO) -> None:
    """Write CSV. Numbers stay as they are: an apostrophe before a negative one would make it a text."""
    file.write(csv_line(TOTALS_COLUMNS))
    for line in lines:
        texts = csv_line((line.account, line.agreement_no, line.status))
        numbers = ["true" if line.final else "false", *(_number(getattr(line, name)) for name in _NUMBERS)]
        file.write(texts[:-1] + f",{','.join(numbers)}\n".encode())


def _number(value: object) -> str:
    return "" if value is None else str(value)


def _write_json(lines: Iterable[TotalsLine], file: BinaryIO) -> None:
    """Write a JSON array with an object a line; amounts are texts, because JSON readers make floats of numbers."""
    mark = b"[\n"
    for line in lines:
        named = {name: getattr(line, name) for name in TOTALS_COLUMNS}
        file.write(mark + orjson.dumps(named, default=str))
        mark = b",\n"
    file.write(b"[]\n" if mark == b"[\n" else b"\n]\n")


def _write_parquet(lines: Iterable[TotalsLine], file: BinaryIO) -> None:
    import pyarrow as pa  # noqa: PLC0415 - it takes a good part of a second, and only this format needs it
    import pyarrow.parquet as pq  # noqa: PLC0415

    schema = pa.schema([pa.field(name, _kind(name, pa)) for name in TOTALS_COLUMNS])
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for page in _pages(lines):
            columns = [pa.array([getattr(line, kind.name) for line in page], kind.type) for kind in schema]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def _kind(name: str, pa: Any) -> Any:
    """Return the type of a column for pyarrow, which is `pa`."""
    if name.endswith(("amount", "discount")):
        return pa.decimal128(38, 2)
    return pa.bool_() if name == "final" else pa.int64() if name.endswith(("reports", "tasks")) else pa.string()
