"""The first act: every input is read to its end, mapped, and decided on in the ledger, before the first request."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from pipeline.ledger.history.origins import Origin
from pipeline.ledger.records import InputRecord, StagedCounts, accept_any
from pipeline.ledger.staging.refunds import Retarget
from pipeline.map import MappingRules, UsedColumns, bind_chunks, check_columns, rekey, retarget
from pipeline.model import DEFAULT_MAX_INVALID, CsvFormat, Int96, RowLimit, Status
from pipeline.read import CHUNK_ROWS, Source, SourceFile, open_source, sha256_of, verify_unchanged
from pipeline.run.fixes import Fixes
from pipeline.run.wrong_batch import is_wrong, too_many_invalid
from pipeline.tables.mapped_chunk import MappedChunk
from pipeline.write.brakes.run_control import Drained, Ending, RunControl


class TakesRows(Protocol):
    """Whatever rows are staged into: a run's ledger, or a rehearsal of it."""

    def unstage(self) -> None:
        """Forget what was staged."""
        ...

    def origins(self, marks: Iterable[str]) -> Mapping[str, Origin]:
        """Return the rows that marks stand for; one that names no row to fix is left out."""
        ...

    def add_input(self, source: InputRecord) -> None:
        """Note an input file, when it is opened and again when it was read to its end."""
        ...

    def stage(self, file_no: int, first_row_no: int, sheet: MappedChunk, retarget: Retarget) -> int:
        """Take in a chunk of rows; return how many of them are invalid."""
        ...

    def heartbeat(self) -> None:
        """Keep the job; called after each chunk."""
        ...

    def start_delivering(
        self, rekey: Callable[[bytes, str], bytes], check: Callable[[StagedCounts], None] = accept_any
    ) -> None:
        """Decide on all that was staged, and enter the second act unless `check` raises for what was decided."""
        ...


class Stager:
    """
    Reads, maps and stages the inputs of one run.

    Raises SourceError, and leaves the run unstaged, when an input is damaged, lacks a column or changes meanwhile. So
    does Drained, where more rows are invalid than `max_invalid` allows.
    """

    def __init__(
        self,
        ledger: TakesRows,
        rules: MappingRules,
        csv: CsvFormat,
        control: RunControl,
        *,
        max_invalid: RowLimit = DEFAULT_MAX_INVALID,
        sheet: str | None = None,
        int96: Int96 | None = None,
        limit: int | None = None,
        chunk_rows: int = CHUNK_ROWS,
        tick: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._rules = rules
        self._csv = csv
        self._sheet = sheet
        self._int96 = int96
        self._uses = UsedColumns(rules)
        self._control = control
        self._max_invalid = max_invalid
        self._limit = limit
        self._chunk_rows = chunk_rows
        self._tick = tick
        self._rows = 0
        self._invalid = 0
        self._filtered = 0

    def stage(self, files: Sequence[SourceFile]) -> int:
        """Stage all rows of all files and make the run ready to deliver; return how many rows the job wants."""
        self._ledger.unstage()
        for file in files:
            self._check_header(file)
        for file_no, file in enumerate(files, 1):
            self._check_running()
            self._stage_file(file_no, file)
        for file in files:
            verify_unchanged(file)
        self._ledger.start_delivering(lambda body, key: rekey(body, self._rules.api, key), self._check)
        return self._rows - self._filtered

    def _check(self, decided: StagedCounts) -> None:
        """Raise Drained where the rows are wrong as a whole: then nothing is sent."""
        # Those whose key stands for other content; the others were counted when they were read.
        self._control.count(Status.INVALID, decided.invalid - self._invalid)
        if is_wrong(decided, self._max_invalid):
            reason = too_many_invalid(decided, self._max_invalid)
            self._control.drain(Ending.TOO_MANY_INVALID, reason, halt_code=Ending.TOO_MANY_INVALID)
            self._control.check_running()

    def _check_running(self) -> None:
        """Go on with what is not yet read. A run that is to end when nothing is left to read has come to its end."""
        if self._rows:
            self._control.check_running()

    def _check_header(self, file: SourceFile) -> None:
        with self._open(file) as source:
            check_columns(self._rules, source.columns, file.name)

    def _open(self, file: SourceFile) -> Source:
        return open_source(
            file, self._csv, sheet=self._sheet, int96=self._int96, uses=self._uses, chunk_rows=self._chunk_rows
        )

    def _stage_file(self, file_no: int, file: SourceFile) -> None:
        before = self._rows
        with self._open(file) as source:
            self._add_input(file_no, file, source, 0, "")
            try:
                self._stage_rows(file_no, file.name, source)
            except Drained:
                self._add_input(file_no, file, source, self._rows - before, sha256_of(file))
                raise
        verify_unchanged(file)
        sha256 = source.sha256 or sha256_of(file)
        self._add_input(file_no, file, source, self._rows - before, sha256)

    def _add_input(self, file_no: int, file: SourceFile, source: Source, rows: int, sha256: str) -> None:
        self._ledger.add_input(
            InputRecord(
                file_no=file_no,
                name=file.name,
                location=file.path,
                columns=source.columns,
                rows=rows,
                sha256=sha256,
                encoding=source.encoding,
            )
        )

    def _stage_rows(self, file_no: int, name: str, source: Source) -> None:
        map_chunk = bind_chunks(self._rules, source.columns)
        fixes = Fixes(self._ledger, self._rules, source.columns)
        for chunk in source:
            self._check_running()
            left = len(chunk) if self._limit is None else self._limit - self._rows
            tied = fixes.tie(chunk.slice(0, left))
            sheet = fixes.known_by_content(map_chunk(tied.chunk), tied.origins)
            invalid = self._ledger.stage(file_no, self._rows + 1, sheet, retarget)
            self._rows += len(sheet)
            self._filtered += len(sheet.filtered)
            if invalid:
                self._invalid += invalid
                self._control.count(Status.INVALID, invalid)
            self._ledger.heartbeat()
            self._tick(self._rows)
            if self._rows == self._limit:
                break
        fixes.tell(name)
