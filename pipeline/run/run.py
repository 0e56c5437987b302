"""
One run, from its first row to its report.

`Run.stage` decides on every row before the first request. `Run.deliver` sends. `Run.conclude` settles the rows that
were not reached, and writes the report.
"""

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from pipeline.clock import Clock
from pipeline.errors import SettingsError, SourceError
from pipeline.language import t
from pipeline.ledger.records import RunRecord, RunState
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.staging.rerun import Rewrites, Selection
from pipeline.map import rekey, retarget
from pipeline.model import LaneOrder, RowLimit
from pipeline.read import SourceFile
from pipeline.report import ReportFiles
from pipeline.run.events import ProgressPhase, RunEvents
from pipeline.run.ports import FileStager, Report, Sender
from pipeline.run.waits import Waits
from pipeline.write.brakes.run_control import Drained, Ending, RunControl
from pipeline.write.delivery import timestamp

_log = logging.getLogger("backfill")


@dataclass(kw_only=True)
class Run:
    """
    A run that has the lease of its job. Use it in a `with` block: the end of the block always releases the lease.

    SourceError and SettingsError conclude the run with exit code 2 and leave the block; nothing was sent. Any other
    exception leaves the run like a crash, and `resume` continues it.

    `max_failures` limits failed rows; `most_rows` limits delivered rows.
    """

    ledger: RunLedger
    stager: FileStager
    sender: Sender
    control: RunControl
    report: Report
    clock: Clock
    events: RunEvents = field(default_factory=RunEvents)
    max_failures: RowLimit | None = None
    order: LaneOrder = LaneOrder.SOURCE
    most_rows: int | None = None

    def __post_init__(self) -> None:
        self._waits = Waits(self.clock)
        self._is_ready = False
        self._is_concluded = False
        self._sending_seconds = 0.0

    def __enter__(self) -> Self:
        self._started = self.clock.steady()
        if self.max_failures is not None and not self.max_failures.in_percent:
            self.control.allow_failures(self.max_failures.number)
        self.events.begun(self.ledger.run, self.control)
        self._thread = threading.get_ident()
        self.ledger.on_look(self._observe)
        _log.debug(t("the run has the lease of job {job}", job=self.ledger.run.job), extra={"event": "lease_taken"})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, SourceError | SettingsError) and not self._is_concluded:
                self.control.drain(Ending.STOPPED, str(error), halt_code="input")
                self._conclude()
                self.ledger.finish(2)
        finally:
            self.ledger.on_look(None)
            self.ledger.leave()
            _log.debug(
                t("the lease of job {job} is released", job=self.ledger.run.job), extra={"event": "lease_released"}
            )

    def stage(self, files: Sequence[SourceFile]) -> None:
        """Read and map the files, and decide on each row."""
        self.events.phase(ProgressPhase.READING)
        with suppress(Drained):
            self._get_ready(self.stager.stage(files))

    def stage_rerun(self, parent: RunRecord, selection: Selection) -> None:
        """Stage the selected rows of another run, with the same keys and bytes."""
        self.events.phase(ProgressPhase.DECIDING)
        rewrites = Rewrites(lambda body, key: rekey(body, parent.api, key), retarget)
        with suppress(Drained):
            self._get_ready(self.ledger.copy_from(parent, selection, rewrites))
            self.events.to_send(self.ledger.count_unreached())

    def continue_staged(self) -> None:
        """Prepare the rows that were staged before and not delivered."""
        self.events.phase(ProgressPhase.DECIDING)
        with suppress(Drained):
            # Another run may have sent payments with new keys since.
            self.ledger.follow_new_keys(retarget)
            self._get_ready(self.ledger.wanted_rows())
            self.events.to_send(self.ledger.count_unreached())

    def deliver(self) -> None:
        """Send the staged rows, until all have an outcome or the run is drained."""
        if not self._is_ready:
            return
        with suppress(Drained):
            self.control.check_running()
            self.events.phase(ProgressPhase.SENDING)
            started = self.clock.steady()
            self.sender.deliver(self.order, self.most_rows, tick=self._tick)
            self.ledger.heartbeat()
            if self.most_rows is not None:
                reason = t("--limit {most_rows} reached", most_rows=self.most_rows)
                self.control.drain(Ending.INTERRUPTED, reason)
            self._sending_seconds = self.clock.steady() - started

    def conclude(self) -> ReportFiles:
        """Settle the rows that were not reached, write the report, and record the exit code."""
        for note in self.sender.notes():
            self.events.log(note)
        self.events.phase(ProgressPhase.WRITING)
        record = self._conclude()
        files = self.report.write(record, self.ledger.heartbeat)
        self.ledger.finish(files.summary.exit_code)
        _log.debug(
            t("the report is in {folder}", folder=files.folder),
            extra={"event": "report_written", "folder": str(files.folder)},
        )
        return files

    def _get_ready(self, rows: int) -> None:
        """Prepare sending. Make the report folder first, so that a run never ends without a place for its report."""
        self.ledger.reports_to(self.report.prepare())
        if self.max_failures is not None:
            self.control.allow_failures(self.max_failures.of(rows))
        self._is_ready = True

    def _tick(self) -> None:
        # All workers may be waiting when the deadline comes: draining wakes them.
        with suppress(Drained):
            self.control.check_running()
        self.ledger.heartbeat()

    def _observe(self) -> None:
        """Log what the run waits for, and show progress. The ledger calls it at each heartbeat, and while it waits."""
        if threading.get_ident() != self._thread:
            return
        waits = [] if self._is_concluded else [*self.ledger.waiting(), *self.sender.waiting()]
        lines = self._waits.observe(waits)
        self.control.waiting_for = self._waits.shown()
        # Last, because these may write to a terminal that blocks.
        for line in lines:
            self.events.log(line)
        self.events.tick()

    def _conclude(self) -> RunRecord:
        self._is_concluded = True
        state = self._state()
        return self.ledger.conclude(
            state=state,
            reason=None if state is RunState.COMPLETED else self.control.reason,
            finished_at=timestamp(self.clock.now()),
            open_as=self.control.open_as,
            progress={
                "throttled": self.sender.throttled(),
                "elapsed_s": self.clock.steady() - self._started,
                "sending_s": self._sending_seconds,
            },
            waits=self._waits.end(),
        )

    def _state(self) -> RunState:
        if self.control.ending in (Ending.STOPPED, Ending.TOO_MANY_INVALID):
            return RunState.STOPPED
        if self.control.ending is None:
            return RunState.COMPLETED
        # A deadline or signal after the last row changes nothing.
        is_done = self._is_ready and not self.ledger.has_open_dues()
        return RunState.COMPLETED if is_done else RunState.INTERRUPTED
