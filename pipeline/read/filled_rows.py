"""The rows of an input that are not blank, numbered."""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa

from pipeline.read.source import Source
from pipeline.tables.chunk import Chunk
from pipeline.tables.text_columns import Column, cells_of, first_letters, is_blank

# A text that begins within this range is not blank, so most texts need no further check.
_FIRST_VISIBLE, _LAST_VISIBLE = 0x21, 0x7E


class FilledRows:
    """
    A source without its blank rows; see `Source`.

    A row is blank if each cell of the file is empty, or holds only white space and invisible marks. It gets no number,
    like a blank line. The value of a hive partition does not count.
    """

    def __init__(self, source: Source) -> None:
        self.rows = 0
        self._source = source
        self._own = len(source.columns) - source.partitions

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self._source.columns

    @property
    def partitions(self) -> int:
        """The number of columns that are hive partitions."""
        return self._source.partitions

    @property
    def encoding(self) -> str | None:
        """The encoding of the text, as far as it is known; None for formats with their own."""
        return self._source.encoding

    @property
    def float_columns(self) -> frozenset[str]:
        """The columns of floats."""
        return self._source.float_columns

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file, once it was read to its end."""
        return self._source.sha256

    def __iter__(self) -> Iterator[Chunk]:
        for chunk in self._source:
            blank = _blank_places(chunk, chunk.texts[: self._own])
            filled = chunk.without(blank, first=self.rows + 1)
            if len(filled):
                self.rows += len(filled)
                yield filled

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._source.close()


def _blank_places(chunk: Chunk, texts: Sequence[Column]) -> list[int]:
    """Return the places of the blank rows. A bad row is not blank."""
    places = np.arange(len(chunk))
    for column in texts:
        letters = first_letters(column)[places]
        places = places[(letters < _FIRST_VISIBLE) | (letters > _LAST_VISIBLE)]
        if not len(places):
            return []
    rows = zip(places.tolist(), cells_of(column.take(pa.array(places)) for column in texts), strict=True)
    return [at for at, cells in rows if at not in chunk.bad and all(map(is_blank, cells))]
