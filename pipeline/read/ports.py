"""What reading asks of whoever goes on with the rows."""

from collections.abc import Collection, Sequence
from typing import Protocol


class ColumnUse(Protocol):
    """
    What a job does with the columns of a file.

    Its answers tell a header from a line above it, and text that matters from text that nobody sends.
    """

    def used(self, columns: Sequence[str]) -> Collection[int]:
        """Return the positions of the columns whose text goes into a payload or decides about a row."""
        ...

    def are_complete(self, columns: Sequence[str]) -> bool:
        """Tell whether every column is there that the job needs."""
        ...


class EveryColumn:
    """The use of columns where no job is known: any header will do, and all text matters."""

    def used(self, columns: Sequence[str]) -> Collection[int]:
        """Return all positions."""
        return range(len(columns))

    def are_complete(self, columns: Sequence[str]) -> bool:  # noqa: ARG002 - the port's signature
        """Tell that nothing is missing."""
        return True
