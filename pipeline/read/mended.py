"""Taking back `rows_to_fix.csv`, the file of ours that a person has mended."""

import re
from collections.abc import Sequence

from pipeline.model import CsvFormat
from pipeline.report.csv_lines import unguarded

_OWN_COLUMNS = frozenset({"_status", "_code", "_message"})
# The report parts them by commas; a spreadsheet that saved the file may have put what its country uses.
_OWN_HEADER = re.compile(rb'"?_status"?([,;\t])"?_code"?\1"?_message"?')


class MendedRows:
    """Undoes what the report added to the rows: three columns, and apostrophes against formulas."""

    def __init__(self, header: Sequence[str]) -> None:
        self._kept = [at for at, column in enumerate(header) if column not in _OWN_COLUMNS]
        self._width = len(header)

    def cells(self, record: list[str]) -> list[str]:
        """Return the original cells of a record, or of the header; what exceeds the header stays."""
        kept = [record[at] for at in self._kept if at < len(record)] + record[self._width :]
        return [unguarded(cell) for cell in kept]


def is_rows_to_fix(header: Sequence[str]) -> bool:
    """Tell whether a header is one that the report has written."""
    return _OWN_COLUMNS.issubset(header)


def format_of(head: bytes, form: CsvFormat) -> CsvFormat:
    """Return how a file that begins like this is written: one from the report not as the job's exports are."""
    own = _OWN_HEADER.search(head.partition(b"\n")[0])
    return CsvFormat(delimiter=own[1].decode(), null_values=form.null_values) if own else form
