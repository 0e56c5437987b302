"""`DryRun`: stages a run for `plan` with the ledger only read, and counts what the run would do now."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from pipeline.clock import Clock
from pipeline.ledger.database import clear_errors_of, open_to_read
from pipeline.ledger.history import runs
from pipeline.ledger.history.inputs import inputs_of
from pipeline.ledger.history.origins import Origin, find_origins
from pipeline.ledger.records import InputRecord, NewRun, Rekey, RunRecord, StagedCounts, accept_any
from pipeline.ledger.rules.admission import OtherSenders
from pipeline.ledger.staging import balances, decide
from pipeline.ledger.staging.changes import ExportComparison, ExportDifferences
from pipeline.ledger.staging.duplicates.partitions import EntryTable, Partitions, distinct, numbers
from pipeline.ledger.staging.refunds import Retarget
from pipeline.ledger.staging.staged_chunk import RowDecision, StagedChunk
from pipeline.ledger.staging.staging import LocalStaging, Staging
from pipeline.ledger.store.lease import is_dead, this_process
from pipeline.ledger.store.loss_detection import generations
from pipeline.ledger.store.loss_detection.traces import NO_TRACES, Traces, refuse_if_behind
from pipeline.ledger.store.port import Connection, Server
from pipeline.model import Status
from pipeline.tables.mapped_chunk import MappedChunk
from pipeline.tables.outcome_page import Outcome

_LANE = np.dtype([("lane", "u8", 2)])
# Invalid rows and request bodies that a plan shows.
_PROBLEMS = 10
_SAMPLES = 5


@dataclass(slots=True)
class DryRunResult:
    """
    What a run would do: rows by decision, the first invalid rows, the first bodies.

    `to_send` counts requests: more than rows where a task was done several times. `lanes` may be more than a run has:
    a run joins the lanes of a refund and its payment. `inputs` are the files read, by number. `differences` are those
    from the job's last completed run, if there is one and they were asked for.
    """

    decisions: Counter[RowDecision] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    to_send: int = 0
    lanes: int = 0
    problems: list[Outcome] = field(default_factory=list)
    samples: list[bytes] = field(default_factory=list, repr=False)
    counts: StagedCounts = field(default_factory=StagedCounts)
    inputs: dict[int, InputRecord] = field(default_factory=dict, repr=False)
    differences: ExportDifferences | None = None


class DryRun:
    """
    Stages rows as `RunLedger` does, and decides on them in the same way, but writes nothing. Use it as a context.

    `run` is the run as the ledger would have it.

    `place` is the ledger; it need not exist. `folder` holds the spill files. `traces` show whether the ledger is the
    newest copy. `look` sees the bodies that a run would send. `salt` is the text that keys made from rows are also made
    of. With `compares` the rows are compared with those of the job's last completed run. Raises LedgerError as
    `RunLedger` does.
    """

    def __init__(
        self,
        place: Path | Server,
        new: NewRun,
        merchant: str,
        folder: Path,
        *,
        clock: Clock,
        traces: Traces = NO_TRACES,
        look: Callable[[Iterable[bytes]], None] = lambda _bodies: None,
        compares: bool = False,
    ) -> None:
        self._place = place
        with clear_errors_of(place):
            self._connection = open_to_read(place, clock)
            try:
                refuse_if_behind(self._connection, place, traces)
                generation = generations.current(self._connection)
                number = generation.of_account(new.api)
                account_no = runs.account_no_of(self._connection, new.account, merchant, number)
                self.run = _next_run(self._connection, new, account_no or 0)
            except BaseException:
                self._connection.close()
                raise
        self.salt = generation.salt
        self._look = look
        self._staging: Staging | None = None
        self._local: LocalStaging | None = None
        self._folder = folder
        self._lanes = Partitions(_LANE, "lane", folder)
        self._last = runs.last_completed(self._connection, new.job) if compares else None
        self._comparison = None if self._last is None else ExportComparison(folder)
        self.result = DryRunResult()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with closing(self._connection), closing(self._lanes):
            if self._staging is not None:
                self._staging.close()
            if self._comparison is not None:
                self._comparison.close()

    def unstage(self) -> None:
        """Do nothing: a dry run is staged once."""

    def heartbeat(self) -> None:
        """Do nothing: a dry run holds no lease."""

    def add_input(self, source: InputRecord) -> None:
        """Keep an input for the result."""
        self.result.inputs[source.file_no] = source

    def origins(self, marks: Iterable[str]) -> dict[str, Origin]:
        """Return the origin that each mark of a fixed row names; marks that name no row are left out."""
        with clear_errors_of(self._place):
            return find_origins(self._connection, self.run, marks)

    def stage(self, file_no: int, first_row_no: int, mapped: MappedChunk, retarget: Retarget) -> int:
        """Stage a chunk of rows; return how many of them are invalid."""
        if self._local is None:
            self._staging = self._local = LocalStaging(self.run, self._folder, retarget, keeps_cells=False)
        with clear_errors_of(self._place):
            return self._local.add(self._connection, file_no, first_row_no, mapped)

    def take(self, staging: Staging) -> None:
        """Take staged rows as the rows of the run, instead of rows given to `stage`."""
        self._staging = staging

    def start_delivering(
        self,
        rekey: Rekey,
        check: Callable[[StagedCounts], None] = accept_any,
        others: OtherSenders | None = None,
        *,
        hashes_bodies: bool = False,
    ) -> None:
        """
        Decide on all rows and count them.

        `check` gets the counts and may raise. `others` send balances too. The counts have a hash of the bodies to send
        if it `hashes_bodies`.
        """
        if hashes_bodies:
            self.result.counts.bodies = hashlib.sha256()
        if self._staging is not None:
            self._decide(self._staging, rekey, others)
        if self._last is not None and self._comparison is not None:
            self.result.differences = self._compare(self._last, self._comparison)
        check(self.result.counts)

    def _decide(self, staging: Staging, rekey: Rekey, others: OtherSenders | None) -> None:
        is_gone = partial(is_dead, here=this_process())
        with clear_errors_of(self._place):
            findings = staging.findings(self._connection, self.heartbeat, is_gone=is_gone, others=others)
            for chunk in staging:
                decide.decide(self._connection, self.run, chunk, findings)
                if self.run.api.sends_balances:
                    balances.give_unused_keys(self._connection, self.run, chunk, rekey, others)
                self._count(chunk)
        self.result.lanes = sum(map(_lanes_of, self._lanes))

    def _compare(self, last: RunRecord, comparison: ExportComparison) -> ExportDifferences:
        with clear_errors_of(self._place):
            comparison.add_run(self._connection, last)
            files_of_run = {source.file_no: source.name for source in inputs_of(self._connection, last)}
            short_id = runs.short_id(self._connection, last.run_id)
        files = {source.file_no: source.name for source in self.result.inputs.values()}
        return comparison.result(last, short_id, files, files_of_run)

    def _count(self, chunk: StagedChunk) -> None:
        if self._comparison is not None:
            self._comparison.add(chunk)
        seen = self.result
        seen.decisions.update(
            {RowDecision(decision): chunk.decisions.count(decision) for decision in set(chunk.decisions)}
        )
        seen.faults.update(fault.code for fault in chunk.faults.values())
        chunk.count(seen.counts, seen.inputs[chunk.file_no].name)
        for at in sorted(chunk.faults)[: _PROBLEMS - len(seen.problems)]:
            seen.problems.append(self._problem(chunk, at))
        due = chunk.parts.take(chunk.due_parts())
        seen.to_send += len(due)
        self._look(body.as_py() for body in due.column("body"))
        seen.samples += due.column("body").slice(0, _SAMPLES - len(seen.samples)).to_pylist()
        entries = np.empty(len(due), dtype=_LANE)
        entries["lane"] = numbers(due.column("lane"))
        self._lanes.add(entries)

    def _problem(self, chunk: StagedChunk, at: int) -> Outcome:
        fault = chunk.faults[at]
        return Outcome(
            source_file=self.result.inputs[chunk.file_no].name,
            source_row=chunk.source_rows[at],
            request_key=chunk.rows.values("request_key")[at] or "",
            status=Status.INVALID,
            code=fault.code,
            message=fault.message,
            file_no=chunk.file_no,
            file_line=chunk.line_at(at),
            field=fault.field,
            column=fault.column,
            rule=fault.rule,
            value=fault.value,
        )


def _lanes_of(part: Iterable[EntryTable]) -> int:
    """Count the lanes of a partition."""
    lanes = np.empty(0, np.uint64)
    for entries in part:
        lanes = distinct(np.concatenate([lanes, entries["lane"][:, 0]]))
    return len(lanes)


def _next_run(connection: Connection, new: NewRun, account_no: int) -> RunRecord:
    """Return the run as the ledger would have it if it began now."""
    run_no = connection.execute("SELECT coalesce(max(run_no), 0) + 1 FROM runs").fetchone()[0]
    # A run has all fields of a new run.
    begun = {each.name: getattr(new, each.name) for each in fields(new)}
    return RunRecord(run_no=run_no, account_no=account_no, **begun)
