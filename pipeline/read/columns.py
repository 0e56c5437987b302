"""The columns of an input: the file's own, and its hive partitions."""

from collections.abc import Mapping, Sequence

from pipeline.errors import SourceError
from pipeline.tables.text_columns import is_blank


def checked_columns(name: str, header: Sequence[str]) -> tuple[str, ...]:
    """
    Return the names of a file's columns. Raises `SourceError` if all are blank.

    Blank and repeated names are accepted, because they matter only to a job that uses them.
    """
    if all(map(is_blank, header)):
        raise SourceError(f"{name} has no column names in its first line; add a header")
    return tuple(header)


def partition_columns(columns: Sequence[str], partitions: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the partitions that become columns: those without a column of the same name in the file."""
    return {column: value for column, value in partitions.items() if column not in columns}
