"""What reading an input gives, whatever its format."""

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from pipeline.tables.chunk import Chunk


class Source(Protocol):
    """
    An open input, to be read once from its start to its end; a context that closes it, as reading to the end does.

    A row has one cell for each column. So has a bad row, unless nothing could be made of it (no cells at all). What
    could not be read of it is U+FFFD: bytes without a letter, a cell that is missing, and the end of a last cell that
    took in those for which there is no column.

    Reading raises `SourceError` where the file is damaged, or was changed since it was found.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns: those of the file, then those of its hive partitions."""
        ...

    @property
    def partitions(self) -> int:
        """How many of the columns, the last ones, are hive partitions."""
        ...

    @property
    def float_columns(self) -> frozenset[str]:
        """The columns that hold binary floating-point numbers, which an id or an amount may not survive."""
        ...

    @property
    def encoding(self) -> str | None:
        """The encoding by which text is read, once the end was read; None where the format has one of its own."""
        ...

    @property
    def rows(self) -> int:
        """How many rows were read so far."""
        ...

    @property
    def sha256(self) -> str:
        """The SHA-256 over the file's bytes as stored, in hex; empty before the end was read."""
        ...

    def __iter__(self) -> Iterator[Chunk]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def close(self) -> None:
        """Give the file back; more than once does no harm."""
        ...
