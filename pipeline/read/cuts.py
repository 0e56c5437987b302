"""Cuts: the parts of a file that different processes read, each part as a file of its own."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import pyarrow.parquet as pq

from pipeline.model import CsvFormat
from pipeline.read.csv.parts import CsvPart
from pipeline.read.csv.reader import CsvReader
from pipeline.read.files.bounds import Bounds
from pipeline.read.files.content import content_of_file
from pipeline.read.files.name_hint import FileKind
from pipeline.read.files.source_file import SourceFile, as_source_errors, open_bytes
from pipeline.read.ports import ColumnUse


@dataclass(frozen=True, slots=True)
class Cut:
    """A part of a file: row groups of a Parquet file, bytes of a CSV file, or the whole file."""

    groups: range | None = None
    part: CsvPart | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole file."""
        return self.groups is None and self.part is None

    def as_json(self) -> Mapping[str, Any]:
        """Return the cut as plain values."""
        return {
            "groups": None if self.groups is None else [self.groups.start, self.groups.stop],
            "part": None if self.part is None else asdict(self.part),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Return the cut that `as_json` was called on."""
        groups, part = plain["groups"], plain["part"]
        return cls(None if groups is None else range(*groups), None if part is None else CsvPart(**part))


WHOLE = Cut()
"""The whole file."""


@dataclass(frozen=True, slots=True)
class CutSizes:
    """
    How large parts are. The defaults are for users, smaller ones for tests.

    A Parquet file is cut into row groups of `rows` rows together, or more. A CSV file of more than `csv_bytes` is cut
    into parts of `part_bytes`; `bounds` are those of its reader.
    """

    rows: int = 100_000
    csv_bytes: int = 32 << 20
    part_bytes: int = 8 << 20
    bounds: Bounds = field(default_factory=Bounds)


DEFAULT_CUT_SIZES = CutSizes()


def cuts_of(file: SourceFile, csv: CsvFormat, uses: ColumnUse, sizes: CutSizes = DEFAULT_CUT_SIZES) -> Iterator[Cut]:
    """
    Yield the parts of a file, in the order of its rows. Raises `SourceError` if it is damaged.

    A compressed file, a workbook and JSON lines are one part.
    """
    content = content_of_file(file)
    parts: Iterator[Cut] = iter(())
    if content.kind is FileKind.PARQUET:
        parts = iter(_cuts_of_parquet(file, sizes.rows))
    elif content.kind is FileKind.CSV and content.codec is None and file.fingerprint.size > sizes.csv_bytes:
        parts = _cuts_of_csv(file, csv, uses, sizes)
    yield next(parts, WHOLE)
    yield from parts


def _cuts_of_csv(file: SourceFile, csv: CsvFormat, uses: ColumnUse, sizes: CutSizes) -> Iterator[Cut]:
    with closing(CsvReader(file, None, csv, uses=uses, chunk_rows=1, bounds=sizes.bounds)) as reader:
        yield from (Cut(part=part) for part in reader.parts(sizes.part_bytes))


def _cuts_of_parquet(file: SourceFile, rows: int) -> list[Cut]:
    with closing(open_bytes(file)) as stored, as_source_errors(file.name):
        footer = pq.ParquetFile(stored).metadata
        sizes = [footer.row_group(n).num_rows for n in range(footer.num_row_groups)]
    starts, taken = [0], 0
    for n, size in enumerate(sizes):
        if taken >= rows:
            starts.append(n)
            taken = 0
        taken += size
    if len(starts) == 1:
        return [WHOLE]
    return [Cut(groups=range(*pair)) for pair in zip(starts, [*starts[1:], len(sizes)], strict=True)]
