"""The interface of an open input of any format."""

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from pipeline.tables.chunk import Chunk


class Source(Protocol):
    """
    An open input, to be read once. The end of reading closes it, and so does leaving its context.

    A row has one cell for each column. A bad row has as many, or none at all if nothing could be read. U+FFFD in its
    cells marks undecodable bytes, a missing cell, and the end of a last cell that also holds surplus cells.

    Reading raises `SourceError` if the file is damaged, or was changed since it was found.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns: first the file's own, then its hive partitions."""
        ...

    @property
    def partitions(self) -> int:
        """The number of columns, at the end, that are hive partitions."""
        ...

    @property
    def float_columns(self) -> frozenset[str]:
        """The columns that hold floats, in which ids and amounts may have lost digits."""
        ...

    @property
    def encoding(self) -> str | None:
        """The encoding of the text, final once the end was read; None for formats with their own."""
        ...

    @property
    def rows(self) -> int:
        """The number of rows read so far."""
        ...

    @property
    def sha256(self) -> str:
        """The SHA-256 of the stored bytes, in hex; empty until the end was read."""
        ...

    def __iter__(self) -> Iterator[Chunk]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        ...
