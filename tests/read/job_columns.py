"""The columns that a job of points uses, as `ColumnUse`."""

from collections.abc import Collection, Sequence

NEEDED = ("code", "points")


class JobColumns:
    """Needs `code` and `points`; `name` is used if it is there."""

    def used(self, columns: Sequence[str]) -> Collection[int]:
        return [at for at, column in enumerate(columns) if column.strip() in (*NEEDED, "name")]

    def are_complete(self, columns: Sequence[str]) -> bool:
        return {column.strip() for column in columns}.issuperset(NEEDED)
