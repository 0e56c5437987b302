"""Staging: every input is read to its end, mapped, and decided in the ledger, before the first request."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.ledger.dry_run import DryRun
from pipeline.ledger.records import InputRecord, StagedCounts
from pipeline.ledger.rules.admission import OtherSenders
from pipeline.ledger.run_ledger import RunLedger
from pipeline.map import MappingRules, bind_chunks, check_columns, rekey, retarget
from pipeline.model import DEFAULT_MAX_INVALID, RowLimit, Status
from pipeline.read import Chunk, Source, SourceFile, sha256_of, verify_unchanged
from pipeline.run.fixes import Fixes
from pipeline.run.saved_plan import PlannedRequests
from pipeline.run.wrong_batch import is_wrong, too_many_invalid
from pipeline.write.brakes.run_control import Drained, Ending, RunControl


@dataclass(kw_only=True)
class Stager:
    """
    Reads, maps and stages the inputs of one run.

    Raises SourceError if an input is damaged, lacks a column or changes meanwhile, and Drained if more rows are invalid
    than `max_invalid` allows. The run then stays unstaged. `others` are other senders of the balances.
    `planned` are the requests of a saved plan: SettingsError is raised if the run would send others.
    `look` is called with the name of the file and each chunk of it.
    """

    ledger: RunLedger | DryRun
    rules: MappingRules
    open_input: Callable[[SourceFile], Source]
    control: RunControl
    max_invalid: RowLimit = DEFAULT_MAX_INVALID
    limit: int | None = None
    others: OtherSenders | None = None
    tick: Callable[[int], None] = lambda _: None
    look: Callable[[str, Chunk], None] = lambda _name, _chunk: None
    planned: PlannedRequests | None = None

    def __post_init__(self) -> None:
        self._rows = 0
        self._invalid = 0
        self._filtered = 0
        self._inputs: dict[int, InputRecord] = {}

    def stage(self, files: Sequence[SourceFile]) -> int:
        """Stage all rows of all files, and start delivering; return the number of rows that pass the job's filter."""
        self.ledger.unstage()
        for file in files:
            self._check_header(file)
        for file_no, file in enumerate(files, 1):
            self._check_running()
            self._stage_file(file_no, file)
        for file in files:
            verify_unchanged(file)
        if self.planned is not None:
            self.planned.check_inputs(self._inputs.values())
        self.ledger.start_delivering(lambda body, key: rekey(body, self.rules.api, key), self._check, self.others)
        return self._rows - self._filtered

    def _check(self, decided: StagedCounts) -> None:
        """Raise SettingsError for other requests than planned, Drained for too many invalid rows; nothing is sent."""
        if self.planned is not None:
            self.planned.check_requests(decided)
        # Rows found invalid by the decision, such as key conflicts; the others were counted while reading.
        self.control.count(Status.INVALID, decided.invalid - self._invalid)
        if is_wrong(decided, self.max_invalid):
            reason = too_many_invalid(decided, self.max_invalid)
            self.control.drain(Ending.TOO_MANY_INVALID, reason, halt_code=Ending.TOO_MANY_INVALID)
            self.control.check_running()

    def _check_running(self) -> None:
        """Raise Drained if the run is drained. Before the first row it never is, so that each run reads some rows."""
        if self._rows:
            self.control.check_running()

    def _check_header(self, file: SourceFile) -> None:
        with self.open_input(file) as source:
            check_columns(self.rules, source.columns, file.name)

    def _stage_file(self, file_no: int, file: SourceFile) -> None:
        before = self._rows
        with self.open_input(file) as source:
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
        self._inputs[file_no] = InputRecord(
            file_no=file_no,
            name=file.name,
            location=file.path,
            columns=source.columns,
            rows=rows,
            sha256=sha256,
            encoding=source.encoding,
            delimiter=source.delimiter,
        )
        self.ledger.add_input(self._inputs[file_no])

    def _stage_rows(self, file_no: int, name: str, source: Source) -> None:
        map_chunk = bind_chunks(self.rules, source.columns)
        fixes = Fixes(self.ledger, self.rules, source.columns)
        for chunk in source:
            self.look(name, chunk)
            self._check_running()
            left = len(chunk) if self.limit is None else self.limit - self._rows
            linked = fixes.link(chunk.slice(0, left))
            mapped = fixes.with_contents(map_chunk(linked.chunk), linked.origins)
            invalid = self.ledger.stage(file_no, self._rows + 1, mapped, retarget)
            self._rows += len(mapped)
            self._filtered += len(mapped.filtered)
            if invalid:
                self._invalid += invalid
                self.control.count(Status.INVALID, invalid)
            self.ledger.heartbeat()
            self.tick(self._rows)
            if self._rows == self.limit:
                break
        fixes.log_unknown(name)
