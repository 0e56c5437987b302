"""A run's first act with nothing written: what would become of its rows, by what the ledger knows now."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from pipeline.ledger.history import runs
from pipeline.ledger.history.origins import Origin, find_origins
from pipeline.ledger.records import Decided, InputRecord, NewRun, Phase, RunRecord, let_pass
from pipeline.ledger.staging import balances
from pipeline.ledger.staging import decide as sifting
from pipeline.ledger.staging.duplicates.partitions import Partitions, Table, numbers
from pipeline.ledger.staging.refunds import Retarget
from pipeline.ledger.staging.staged_chunk import Fate, StagedChunk
from pipeline.ledger.staging.staging import Staging
from pipeline.ledger.store import generations
from pipeline.ledger.store.database import open_for_reading, with_clear_errors
from pipeline.ledger.store.lease import is_dead, this_process
from pipeline.ledger.store.traces import NO_TRACES, Traces, refuse_if_behind
from pipeline.model import Api, Status
from pipeline.tables.mapped_chunk import MappedChunk
from pipeline.tables.outcome_page import Outcome

_LANE = np.dtype([("lane", "u8", 2)])
_PROBLEMS = 10
_SAMPLES = 3


@dataclass(slots=True)
class Prospect:
    """
    What would become of the rows: how many have each fate, the first that are invalid, the first bodies to be sent.

    `to_send` counts requests, more than rows where a task was done several times. Of `lanes`, a run joins those of a
    refund and its payment where the export names other users for them. `inputs` are those read, by number.
    """

    fates: Counter[Fate] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    to_send: int = 0
    lanes: int = 0
    problems: list[Outcome] = field(default_factory=list)
    samples: list[bytes] = field(default_factory=list, repr=False)
    decided: Decided = field(default_factory=Decided)
    inputs: dict[int, InputRecord] = field(default_factory=dict, repr=False)


class DryRun:
    """
    Takes in rows as a run's ledger does, and decides on them alike. Raises LedgerError as that does.

    `path` is the ledger, which is only read and need not be there; `folder` is where rows wait when they are many.
    `traces` show whether it is the newest; `salt` is what keys made from rows are made of besides. As a context it
    lets go of both.
    """

    def __init__(self, path: Path, new: NewRun, merchant: str, folder: Path, *, traces: Traces = NO_TRACES) -> None:
        self._path = path
        with with_clear_errors(path):
            self._connection = open_for_reading(path)
            try:
                refuse_if_behind(self._connection, path, traces)
                generation = generations.current(self._connection)
                number = generation.of_account(new.api)
                account_no = runs.account_no_of(self._connection, new.account, merchant, number)
                self._run = _next_run(self._connection, new, account_no or 0)
            except BaseException:
                self._connection.close()
                raise
        self.salt = generation.salt
        self._staging: Staging | None = None
        self._folder = folder
        self._lanes = Partitions(_LANE, "lane", folder)
        self.prospect = Prospect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with closing(self._connection), closing(self._lanes):
            if self._staging is not None:
                self._staging.close()

    def unstage(self) -> None:
        """Forget nothing: a rehearsal is staged once."""

    def keep_up(self) -> None:
        """Keep nothing: a rehearsal holds no job."""

    def add_input(self, source: InputRecord) -> None:
        """Note an input."""
        self.prospect.inputs[source.file_no] = source

    def origins(self, marks: Iterable[str]) -> dict[str, Origin]:
        """Return the rows that marks stand for; one that names no row to fix is left out."""
        with with_clear_errors(self._path):
            return find_origins(self._connection, self._run, marks)

    def stage(self, file_no: int, first_row_no: int, mapped: MappedChunk, retarget: Retarget) -> int:
        """Take in a chunk of rows; return how many of them are invalid."""
        if self._staging is None:
            self._staging = Staging(self._run, self._folder, retarget, keeps_cells=False)
        with with_clear_errors(self._path):
            return self._staging.add(self._connection, file_no, first_row_no, mapped)

    def start_delivering(
        self, rekey: Callable[[bytes, str], bytes], check: Callable[[Decided], None] = let_pass
    ) -> None:
        """Decide on all rows, count, and let `check` raise for what was decided."""
        if self._staging is not None:
            self._decide(self._staging, rekey)
        check(self.prospect.decided)

    def _decide(self, staging: Staging, rekey: Callable[[bytes, str], bytes]) -> None:
        is_gone = partial(is_dead, here=this_process())
        with with_clear_errors(self._path):
            findings = staging.findings(self._connection, self.keep_up, is_gone=is_gone)
            for chunk in staging:
                sifting.decide(self._connection, self._run, chunk, findings)
                if self._run.api is Api.POINTS and len(self.prospect.samples) < _SAMPLES:
                    balances.give_unused_keys(self._connection, self._run, chunk, rekey)
                self._count(chunk)
        self.prospect.lanes = sum(map(_lanes_of, self._lanes))

    def _count(self, chunk: StagedChunk) -> None:
        seen = self.prospect
        seen.fates.update({Fate(fate): chunk.fates.count(fate) for fate in set(chunk.fates)})
        seen.faults.update(fault.code for fault in chunk.faults.values())
        chunk.count(seen.decided, seen.inputs[chunk.file_no].name)
        for at in sorted(chunk.faults)[: _PROBLEMS - len(seen.problems)]:
            seen.problems.append(self._problem(chunk, at))
        due = chunk.parts.take(chunk.due_parts())
        seen.to_send += len(due)
        seen.samples += due.column("body").slice(0, _SAMPLES - len(seen.samples)).to_pylist()
        lines = np.empty(len(due), dtype=_LANE)
        lines["lane"] = numbers(due.column("lane"))
        self._lanes.add(lines)

    def _problem(self, chunk: StagedChunk, at: int) -> Outcome:
        fault = chunk.faults[at]
        return Outcome(
            source_file=self.prospect.inputs[chunk.file_no].name,
            source_row=chunk.source_rows[at],
            request_key=chunk.rows.values("request_key")[at] or "",
            status=Status.INVALID,
            code=fault.code,
            message=fault.message,
            http_status=None,
            attempts=0,
            first_sent_at=None,
            finished_at=None,
            latency_ms=None,
            trace_id=None,
            file_no=chunk.file_no,
            file_line=chunk.line_at(at),
            field=fault.field,
            column=fault.column,
            rule=fault.rule,
            value=fault.value,
        )


def _lanes_of(part: Iterable[Table]) -> int:
    """Return how many lanes a part holds."""
    lanes = np.empty(0, np.uint64)
    for lines in part:
        lanes = np.unique(np.concatenate([lanes, lines["lane"][:, 0]]))
    return len(lanes)


def _next_run(connection: sqlite3.Connection, new: NewRun, account_no: int) -> RunRecord:
    """Return the run as it would begin now."""
    run_no = connection.execute("SELECT coalesce(max(run_no), 0) + 1 FROM runs").fetchone()[0]
    return RunRecord(
        run_no=run_no,
        run_id=new.run_id,
        job=new.job,
        export=new.export,
        api=new.api,
        account=new.account,
        account_no=account_no,
        parent=new.parent,
        options=new.options,
        phase=Phase.STAGING,
        state=None,
        exit_code=None,
        reason=None,
        throttled=0,
        limit_per_s=new.limit_per_s,
        started_at=new.started_at,
        finished_at=None,
        elapsed_s=0.0,
        sending_s=0.0,
    )
