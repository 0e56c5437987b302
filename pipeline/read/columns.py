"""The columns of an input: those of the file, and those of its hive partitions."""

from collections import Counter
from collections.abc import Mapping, Sequence

from pipeline.errors import SourceError
from pipeline.showing import shown_headings


def checked_columns(name: str, header: Sequence[str]) -> tuple[str, ...]:
    """
    Return the names of a file's columns.

    Raises `SourceError` where there are none, or two of one name. Columns without a name are let pass: spreadsheets
    leave them at the end of a line, and no field can mean them.
    """
    if not any(header):
        raise SourceError(f"{name} has no column names in its first line; add a header")
    twice = sorted(column for column, count in Counter(header).items() if column and count > 1)
    if twice:
        raise SourceError(f"{name} has more than one column named {shown_headings(twice)}; rename all but one")
    return tuple(header)


def partition_columns(columns: Sequence[str], partitions: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the partitions that become columns: those for which the file has no column of its own."""
    return {column: value for column, value in partitions.items() if column not in columns}
