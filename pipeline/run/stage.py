"""The first act: every input is read to its end, mapped, and decided on in the ledger, before the first request."""

from collections.abc import Callable, Sequence
from typing import Protocol

from pipeline.ledger.records import InputRecord
from pipeline.ledger.refunds import Retarget
from pipeline.map import MappingRules, bind_chunks, check_columns, rekey, retarget
from pipeline.model import CsvFormat, Status
from pipeline.read import Source, SourceFile, open_source, sha256_of, verify_unchanged
from pipeline.sheet import Sheet
from pipeline.write.course import Course, Drained


class TakesRows(Protocol):
    """Whatever rows are staged into: a run's ledger, or a rehearsal of it."""

    def unstage(self) -> None:
        """Forget what was staged."""
        ...

    def add_input(self, source: InputRecord) -> None:
        """Note an input file, when it is opened and again when it was read to its end."""
        ...

    def stage(self, file_no: int, first_row_no: int, sheet: Sheet, retarget: Retarget) -> None:
        """Take in a chunk of rows."""
        ...

    def keep_up(self) -> None:
        """Keep the job; called after each chunk."""
        ...

    def start_delivering(self, rekey: Callable[[bytes, str], bytes]) -> int:
        """Decide on all that was staged; return how many rows are invalid."""
        ...


class Stager:
    """
    Reads, maps and stages the inputs of one run.

    Raises SourceError, and leaves the run unstaged, when an input is damaged, lacks a column or changes meanwhile.
    """

    def __init__(
        self,
        ledger: TakesRows,
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
            self._go_on()
            self._stage_file(file_no, file)
        for file in files:
            verify_unchanged(file)
        invalid = self._ledger.start_delivering(lambda body, key: rekey(body, self._rules.api, key))
        # Those whose key stands for other content; the others were counted when they were read.
        self._course.count(Status.INVALID, invalid - self._invalid)
        return self._rows

    def _go_on(self) -> None:
        """Go on with what is not yet read. A run that is to end when nothing is left to read has come to its end."""
        if self._rows:
            self._course.go_on()

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
        self._ledger.add_input(
            InputRecord(
                file_no=file_no, name=file.name, location=file.path, columns=source.columns, rows=rows, sha256=sha256
            )
        )

    def _stage_rows(self, file_no: int, source: Source) -> None:
        map_chunk = bind_chunks(self._rules, source.columns, source.float_columns)
        for chunk in source:
            self._go_on()
            left = len(chunk) if self._limit is None else self._limit - self._rows
            sheet = map_chunk(chunk.slice(0, left))
            self._ledger.stage(file_no, self._rows + 1, sheet, retarget)
            self._rows += len(sheet)
            if invalid := len(sheet.others):
                self._invalid += invalid
                self._course.count(Status.INVALID, invalid)
            self._ledger.keep_up()
            self._tick(self._rows)
            if self._rows == self._limit:
                return
