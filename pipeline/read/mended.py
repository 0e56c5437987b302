"""Taking back `rows_to_fix.csv`, the file of ours that a person has mended."""

import re
from collections.abc import Sequence

OWN_COLUMNS = frozenset({"_status", "_code", "_message"})
# The report puts an apostrophe before what a spreadsheet would take for a formula.
_GUARDED = re.compile(r"'[=+\-@\t\r]")


class MendedRows:
    """Undoes what the report added to the rows: three columns, and apostrophes against formulas."""

    def __init__(self, header: Sequence[str]) -> None:
        self._kept = [at for at, column in enumerate(header) if column not in OWN_COLUMNS]
        self._width = len(header)

    def cells(self, record: list[str]) -> list[str]:
        """Return the original cells of a record, or of the header; what exceeds the header stays."""
        kept = [record[at] for at in self._kept if at < len(record)] + record[self._width :]
        return [cell[1:] if _GUARDED.match(cell) else cell for cell in kept]


def is_rows_to_fix(header: Sequence[str]) -> bool:
    """Tell whether a header is one that the report has written."""
    return OWN_COLUMNS.issubset(header)
