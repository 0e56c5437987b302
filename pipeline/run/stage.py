"""Staging: every input is read to its end, mapped, and decided in the ledger, before the first request."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from pipeline.errors import SourceError
from pipeline.language import t
from pipeline.ledger.dry_run import DryRun
from pipeline.ledger.records import InputRecord, StagedCounts
from pipeline.ledger.rules.admission import OtherSenders
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.slices.table import NewSlice, SliceRecord
from pipeline.map import MappingRules, bind_chunks, check_columns, rekey, retarget
from pipeline.model import DEFAULT_MAX_INVALID, Api, RowLimit, Status
from pipeline.read import Chunk, Source, SourceFile, sha256_of, verify_unchanged
from pipeline.run.events import ProgressPhase, RunEvents
from pipeline.run.fixes import Fixes
from pipeline.run.ports import InputSlices
from pipeline.run.saved_plan import PlannedRequests
from pipeline.run.slices import first_of_each_file
from pipeline.run.wrong_batch import is_wrong, too_many_invalid
from pipeline.write.brakes.run_control import Drained, Ending, RunControl

_log = logging.getLogger("backfill")


@dataclass(kw_only=True)
class Stager:
    """
    Reads, maps and stages the inputs of one run.

    Raises SourceError if an input is damaged, lacks a column or changes meanwhile, and Drained if more rows are invalid
    than `max_invalid` allows. The run then stays unstaged. `others` are other senders of the balances.
    `planned` are the requests of a saved plan: SettingsError is raised if the run would send others.
    `look` is called with the name of a file and the first chunk of the inputs. With `slices` several processes stage
    the inputs, unless the rows are limited or fixed. With `hashes_bodies` the counts have a hash of the bodies to send.
    """

    ledger: RunLedger | DryRun
    rules: MappingRules
    open_input: Callable[[SourceFile], Source]
    control: RunControl
    max_invalid: RowLimit = DEFAULT_MAX_INVALID
    limit: int | None = None
    others: OtherSenders | None = None
    events: RunEvents = field(default_factory=RunEvents)
    look: Callable[[str, Chunk], None] | None = None
    planned: PlannedRequests | None = None
    slices: InputSlices | None = None
    hashes_bodies: bool = False

    def __post_init__(self) -> None:
        self._rows = 0
        self._invalid = 0
        self._filtered = 0
        self._inputs: dict[int, InputRecord] = {}
        self._has_fixed_rows = False
        self._has_looked = False

    def stage(self, files: Sequence[SourceFile]) -> int:
        """Stage all rows of all files, and start delivering; return the number of rows that pass the job's filter."""
        self.ledger.unstage()
        for file_no, file in enumerate(files, 1):
            self._check_header(file_no, file)
        if self.slices is not None and self.limit is None and not self._has_fixed_rows:
            with self.slices as driver:
                cut = driver.cut(files)
                first = list(islice(cut, 2))
                # A single slice is staged sooner by the process that runs already.
                if len(first) > 1:
                    self._stage_slices(driver, files, chain(first, cut))
                    return self._decide(files, driver)
        for file_no, file in enumerate(files, 1):
            self._check_running()
            self._stage_file(file_no, file)
        return self._decide(files)

    def _decide(self, files: Sequence[SourceFile], driver: InputSlices | None = None) -> int:
        """Decide on all rows, by the processes of a driver where that is possible, and start delivering."""
        for file in files:
            verify_unchanged(file)
        if self.planned is not None:
            self.planned.check_inputs(self._inputs.values())
        self.events.phase(ProgressPhase.DECIDING)
        # Balances and states depend on other jobs, and a plan on the order of all bodies: one process writes these.
        is_spread = driver is not None and self.rules.api is Api.CUMULATION and self.planned is None
        write = driver.writer(self._beat) if driver and is_spread else None
        writing = {} if write is None else {"write_slices": write}
        self.ledger.start_delivering(
            lambda body, key: rekey(body, self.rules.api, key),
            self._check,
            self.others,
            hashes_bodies=self.hashes_bodies or self.planned is not None,
            **writing,
        )
        return self._rows - self._filtered

    def _beat(self, _slices: Sequence[SliceRecord]) -> None:
        self.ledger.heartbeat()

    def _check(self, decided: StagedCounts) -> None:
        """Raise SettingsError for other requests than planned, Drained for too many invalid rows; nothing is sent."""
        if self.planned is not None:
            self.planned.check_requests(decided)
        # Rows found invalid by the decision, such as key conflicts; the others were counted while reading.
        self.control.count(Status.INVALID, decided.invalid - self._invalid)
        self.control.count(Status.SKIPPED, decided.skipped)
        self.events.to_send(decided.requests)
        if is_wrong(decided, self.max_invalid):
            reason = too_many_invalid(decided, self.max_invalid)
            self.control.drain(Ending.TOO_MANY_INVALID, reason, halt_code=Ending.TOO_MANY_INVALID)
            self.control.check_running()

    def _check_running(self) -> None:
        """Raise Drained if the run is drained. Before the first row it never is, so that each run reads some rows."""
        if self._rows:
            self.control.check_running()

    def _check_header(self, file_no: int, file: SourceFile) -> None:
        with self.open_input(file) as source:
            check_columns(self.rules, source.columns, file.name)
            self._has_fixed_rows = self._has_fixed_rows or source.is_of_fixed_rows
            self._inputs[file_no] = _input_record(file_no, file, source, 0, "")

    def _stage_slices(self, driver: InputSlices, files: Sequence[SourceFile], cut: Iterable[NewSlice]) -> None:
        for source in self._inputs.values():
            self.ledger.add_input(source)
        self._look_at_first_chunk(files)
        try:
            staged = driver.stage(cut, self._look_at_slices)
        except (Drained, SourceError):
            self._take_slices(driver, first_of_each_file(driver.staged()))
            raise
        self._take_slices(driver, staged)

    def _look_at_first_chunk(self, files: Sequence[SourceFile]) -> None:
        for file in files if self.look is not None else ():
            with self.open_input(file) as source:
                for chunk in source:
                    self._show(file.name, chunk)
                    return

    def _show(self, name: str, chunk: Chunk) -> None:
        if self.look is not None and not self._has_looked:
            self.look(name, chunk)
            self._has_looked = True

    def _look_at_slices(self, slices: Sequence[SliceRecord]) -> None:
        """Count what is staged by now; raise Drained if the run is drained."""
        rows, invalid = sum(each.rows for each in slices), sum(each.invalid for each in slices)
        self._rows = max(self._rows, rows)
        if invalid > self._invalid:
            self.control.count(Status.INVALID, invalid - self._invalid)
            self._invalid = invalid
        self.ledger.heartbeat()
        self.events.staged(self._rows)
        self._check_running()

    def _take_slices(self, driver: InputSlices, staged: Sequence[SliceRecord]) -> None:
        """Take the rows of staged slices as those of the run."""
        driver.gather(staged)
        self._rows = sum(each.rows for each in staged)
        self._filtered = sum(each.filtered for each in staged)
        for file_no, source in self._inputs.items():
            of_file = [each for each in staged if each.file_no == file_no]
            if of_file:
                sha256 = next((each.sha256 for each in of_file if each.sha256), "")
                rows, encoding = sum(each.rows for each in of_file), of_file[-1].encoding
                self._inputs[file_no] = replace(source, rows=rows, sha256=sha256, encoding=encoding)
                self.ledger.add_input(self._inputs[file_no])

    def _stage_file(self, file_no: int, file: SourceFile) -> None:
        before = self._rows
        with self.open_input(file) as source:
            _log.debug(t("reading {file}", file=file.name), extra={"event": "file_begun", "file": file.name})
            self._add_input(file_no, file, source, 0, "")
            try:
                self._stage_rows(file_no, file.name, source)
            except Drained:
                self._add_input(file_no, file, source, self._rows - before, sha256_of(file))
                raise
        verify_unchanged(file)
        sha256 = source.sha256 or sha256_of(file)
        self._add_input(file_no, file, source, self._rows - before, sha256)
        facts = {"event": "file_read", "file": file.name, "rows": self._rows - before, "sha256": sha256}
        _log.debug(t("read {file}: {rows} rows", file=file.name, rows=self._rows - before), extra=facts)

    def _add_input(self, file_no: int, file: SourceFile, source: Source, rows: int, sha256: str) -> None:
        self._inputs[file_no] = _input_record(file_no, file, source, rows, sha256)
        self.ledger.add_input(self._inputs[file_no])

    def _stage_rows(self, file_no: int, name: str, source: Source) -> None:
        map_chunk = bind_chunks(self.rules, source.columns)
        fixes = Fixes(self.ledger, self.rules, source.columns)
        for chunk in source:
            self._show(name, chunk)
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
            self.events.staged(self._rows)
            if self._rows == self.limit:
                break
        fixes.log_unknown(name)


def _input_record(file_no: int, file: SourceFile, source: Source, rows: int, sha256: str) -> InputRecord:
    return InputRecord(
        file_no=file_no,
        name=file.name,
        location=file.path,
        columns=source.columns,
        rows=rows,
        sha256=sha256,
        encoding=source.encoding,
        delimiter=source.delimiter,
    )
