"""The first act: every input is read to its end and mapped, and lies in the ledger, before the first request."""

from collections.abc import Callable, Sequence
from itertools import islice

from pipeline.ledger.ledger import RunLedger
from pipeline.ledger.records import InputRecord, StagedRow
from pipeline.map import Invalid, Mapped, MappingRules, bind, check_columns, rekey, retarget
from pipeline.model import BadRow, CsvFormat, Row, Status
from pipeline.read import Source, SourceFile, open_source, sha256_of, verify_unchanged
from pipeline.write.course import Course, Drained

_LONGEST_MESSAGE = 500


class Stager:
    """
    Reads, maps and stages the inputs of one run.

    Raises SourceError, and leaves the run unstaged, when an input is damaged, lacks a column or changes meanwhile.
    """

    def __init__(
        self,
        ledger: RunLedger,
        rules: MappingRules,
        csv: CsvFormat,
        course: Course,
        *,
        limit: int | None = None,
        tick: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._rules = rules
        self._csv = csv
        self._course = course
        self._limit = limit
        self._tick = tick
        self._rows = 0
        self._invalid = 0

    def stage(self, files: Sequence[SourceFile]) -> int:
        """Stage all rows of all files and make the run ready to deliver; return how many rows were read."""
        self._ledger.unstage()
        for file in files:
            self._check_header(file)
        for file_no, file in enumerate(files, 1):
            self._stage_file(file_no, file)
        for file in files:
            verify_unchanged(file)
        self._ledger.start_delivering(lambda body, key: rekey(body, self._rules.api, key))
        return self._rows

    def _check_header(self, file: SourceFile) -> None:
        with open_source(file, self._csv) as source:
            check_columns(self._rules, source.columns, file.name)

    def _stage_file(self, file_no: int, file: SourceFile) -> None:
        before = self._rows
        with open_source(file, self._csv) as source:
            self._add_input(file_no, file, source, 0, "")
            try:
                self._stage_rows(file_no, source)
            except Drained:
                self._add_input(file_no, file, source, self._rows - before, sha256_of(file))
                raise
        verify_unchanged(file)
        sha256 = source.sha256 or sha256_of(file)
        self._add_input(file_no, file, source, self._rows - before, sha256)

    def _add_input(self, file_no: int, file: SourceFile, source: Source, rows: int, sha256: str) -> None:
        self._ledger.add_input(InputRecord(file_no, file.name, file.path, source.columns, rows, sha256))

    def _stage_rows(self, file_no: int, source: Source) -> None:
        map_row = bind(self._rules, source.columns, source.float_columns)
        for chunk in source:
            left = None if self._limit is None else self._limit - self._rows
            rows = [_staged(row, map_row) for row in islice(chunk.rows, left)]
            self._ledger.stage(file_no, self._rows + 1, rows, retarget)
            self._rows += len(rows)
            self._count_invalid(rows)
            self._ledger.keep_up()
            self._tick(self._rows)
            self._course.go_on()
            if self._rows == self._limit:
                return

    def _count_invalid(self, rows: Sequence[StagedRow]) -> None:
        invalid = sum(row.status is Status.INVALID for row in rows)
        if invalid:
            self._course.count(Status.INVALID, invalid)


def _staged(row: Row | BadRow, map_row: Callable[[Row], Mapped]) -> StagedRow:
    if isinstance(row, BadRow):
        return StagedRow(row.number, row.cells, (), None, Status.INVALID, row.fault.code, row.fault.message)
    mapped = map_row(row)
    if isinstance(mapped, Invalid):
        return _invalid(row, mapped)
    key = mapped[0].request_key
    # A task done n times goes out under <key>-1 ... <key>-n; the row itself is known by <key>.
    return StagedRow(row.number, row.cells, mapped, key if len(mapped) == 1 else key.rpartition("-")[0])


def _invalid(row: Row, invalid: Invalid) -> StagedRow:
    message = "; ".join(fault.message for fault in invalid.faults)
    if len(message) > _LONGEST_MESSAGE:
        message = message[:_LONGEST_MESSAGE] + " ..."
    code = invalid.faults[0].code
    return StagedRow(row.number, row.cells, (), invalid.request_key, Status.INVALID, code, message)
