"""The interface that readers need from the mapping of rows."""

from collections.abc import Collection, Sequence
from typing import Protocol


class ColumnUse(Protocol):
    """
    The columns of a file that a job uses.

    Readers use it to find the header among the first lines, and to ignore doubtful text in unused columns.
    """

    def used(self, columns: Sequence[str]) -> Collection[int]:
        """Return the positions of the columns that feed a payload or the job's filter."""
        ...

    def are_complete(self, columns: Sequence[str]) -> bool:
        """Return whether the columns include all that the job needs."""
        ...


class EveryColumn:
    """The use of columns without a job: every header is complete, and every column is used."""

    def used(self, columns: Sequence[str]) -> Collection[int]:
        """Return all positions."""
        return range(len(columns))

    def are_complete(self, columns: Sequence[str]) -> bool:  # noqa: ARG002 - the port's signature
        """Return True."""
        return True
