"""An open input of any format: its rows, numbered, without blank ones."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Protocol, Self

import numpy as np
import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.language import t
from pipeline.read.files.source_file import SourceFile, verify_unchanged
from pipeline.read.fixed_rows import FixedRows, is_rows_to_fix, may_have_marks
from pipeline.tables.chunk import Chunk
from pipeline.tables.text_columns import cells_of, first_letters, is_blank, repeated

# A text that begins within this range is not blank, so most texts need no further check.
_FIRST_VISIBLE, _LAST_VISIBLE = 0x21, 0x7E


class Reader(Protocol):
    """
    Reads the columns of one file in one format, once.

    A row has one cell for each column. A bad row has as many, or none at all if nothing could be read. U+FFFD in its
    cells marks undecodable bytes, a missing cell, and the end of a last cell that also holds surplus cells.

    Reading raises `SourceError` if the file is damaged.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the file's columns; there is at least one."""
        ...

    @property
    def encoding(self) -> str | None:
        """The encoding of the text, final once the end was read; None for formats with their own."""
        ...

    @property
    def delimiter(self) -> str | None:
        """The delimiter between cells, as detected or set; None for other formats than CSV."""
        ...

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows, also the blank ones, numbered from 1 in each chunk."""
        ...

    def sha256(self) -> str:
        """Return the SHA-256 of the stored bytes, in hex; call it after the last chunk."""
        ...

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        ...


class Source:
    """
    An open input, to be read once. The end of reading closes it, and so does leaving its context.

    - `columns`: the names of the columns: first the file's own, then its hive partitions
    - `rows`: the number of rows read so far
    - `sha256`: the SHA-256 of the stored bytes, in hex; empty until the end was read

    A row is blank if each cell of the file is empty, or holds only white space and invisible marks. It gets no number,
    like a blank line. Reading raises `SourceError` if the file is damaged, or was changed since it was found; opening
    raises it if all names are blank. Otherwise blank and repeated names matter only to a job that uses them.
    """

    def __init__(self, file: SourceFile, reader: Reader) -> None:
        self.rows = 0
        self.sha256 = ""
        self._file = file
        self._reader = reader
        if all(map(is_blank, reader.columns)):
            self.close()
            raise SourceError(t("{file} has no column names in its first line; add a header", file=file.name))
        partitions = {name: value for name, value in file.partitions.items() if name not in reader.columns}
        self._values = tuple(partitions.values())
        self._columns = (*reader.columns, *partitions)
        has_fixes = is_rows_to_fix(self._columns) or may_have_marks(self._columns)
        self._fixed = FixedRows(self._columns) if has_fixes else None
        self.columns = self._fixed.columns if self._fixed else self._columns

    @property
    def is_of_fixed_rows(self) -> bool:
        """Whether it is a `rows_to_fix` file."""
        return self._fixed is not None

    @property
    def encoding(self) -> str | None:
        """The encoding of the text, final once the end was read; None for formats with their own."""
        return self._reader.encoding

    @property
    def delimiter(self) -> str | None:
        """The delimiter between cells, as detected or set; None for other formats than CSV."""
        return self._reader.delimiter

    def __iter__(self) -> Iterator[Chunk]:
        with closing(self):
            for chunk in self._reader.chunks():
                filled = chunk.without(_blank_places(chunk), first=self.rows + 1)
                if len(filled):
                    self.rows += len(filled)
                    complete = self._with_partitions(filled) if self._values else filled
                    yield self._fixed.restored(complete) if self._fixed else complete
            self.sha256 = self._reader.sha256()
            verify_unchanged(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._reader.close()

    def _with_partitions(self, chunk: Chunk) -> Chunk:
        texts = (*chunk.texts, *(repeated(value, len(chunk)) for value in self._values))
        bad = {at: replace(row, cells=row.cells and (*row.cells, *self._values)) for at, row in chunk.bad.items()}
        return replace(chunk, columns=self._columns, texts=texts, bad=bad)


def _blank_places(chunk: Chunk) -> list[int]:
    """Return the places of the blank rows. A bad row is not blank."""
    places = np.arange(len(chunk))
    for column in chunk.texts:
        letters = first_letters(column)[places]
        places = places[(letters < _FIRST_VISIBLE) | (letters > _LAST_VISIBLE)]
        if not len(places):
            return []
    rows = zip(places.tolist(), cells_of(column.take(pa.array(places)) for column in chunk.texts), strict=True)
    return [at for at, cells in rows if at not in chunk.bad and all(map(is_blank, cells))]
