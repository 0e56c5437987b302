"""
What runs left outside of the ledger, and whether the ledger knows of it all.

A ledger that was restored from a backup, lost or replaced does not. What it then calls confirmed may not be what the
platform holds: nothing is sent until `--resync`.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import orjson

from pipeline.errors import LedgerBehind
from pipeline.ledger.store import generations
from pipeline.ledger.store.marks import Mark, Marks, read_mark


@dataclass(frozen=True, slots=True)
class ReportTrace:
    """A report that was found; `finished_at` is when it says that its run ended, None where it says nothing."""

    run_id: str
    finished_at: str | None


class Reports(Protocol):
    """The reports that lie where those of this config do."""

    def run_ids(self) -> Sequence[str]:
        """Return the runs that have a folder there."""
        ...

    def read(self, run_id: str) -> ReportTrace | None:
        """Return what a report says; None where there is none, or one of something else than this config sends."""
        ...


class NoReports:
    """No report at all."""

    def run_ids(self) -> Sequence[str]:
        """Return none."""
        return ()

    def read(self, _run_id: str) -> ReportTrace | None:
        """Return nothing."""
        return None


@dataclass(frozen=True, slots=True)
class Traces:
    """
    Where to look: the mark beside the ledger, the one beside the reports, the file of the quotas, and the reports.

    The mark beside the reports counts as long as the report of the run that left it is there: who deleted both state
    and reports begins anew.
    """

    mark: Path | None = None
    report_mark: Path | None = None
    quota: Path | None = None
    reports: Reports = field(default_factory=NoReports)

    def marks(self) -> Marks:
        """Return the marks to raise."""
        return Marks([path for path in (self.mark, self.report_mark) if path is not None])


NO_TRACES = Traces()


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen before the ledger was asked: the ledger may only have come further since."""

    marks: Sequence[tuple[Path, Mark]]
    run_ids: Sequence[str]


def _look(traces: Traces) -> _Seen:
    found = [(path, read_mark(path)) for path in (traces.mark, traces.report_mark) if path is not None]
    marks = [
        (path, mark)
        for path, mark in found
        if mark is not None and (path != traces.report_mark or mark.report.is_dir())
    ]
    return _Seen(marks, traces.reports.run_ids())


def refuse_if_behind(connection: sqlite3.Connection, path: Path, traces: Traces) -> None:
    """Raise LedgerBehind where something was sent that the ledger does not know of."""
    seen = _look(traces)
    signs = [
        *_signs_of_marks(connection, seen.marks),
        *_sign_of_quota(connection, traces.quota),
        *_signs_of_reports(connection, seen.run_ids, traces.reports),
    ]
    if signs:
        raise LedgerBehind(
            f"ledger {path} may not know all that was sent: {'; '.join(signs)}. Nothing was sent now. If the ledger "
            "was lost or restored from a backup, put the newest copy back, or send all balances and states again with "
            "`backfill run JOB --resync`; see docs/backup.md"
        )


def accept(connection: sqlite3.Connection, traces: Traces) -> None:
    """Note what lies outside now: none of it speaks against the ledger any more."""
    seen = _look(traces)
    names = {*seen.run_ids, *(mark.generation for _, mark in seen.marks)}
    connection.executemany("INSERT OR IGNORE INTO known_traces (name) VALUES (?)", [(name,) for name in sorted(names)])


def _signs_of_marks(connection: sqlite3.Connection, marks: Sequence[tuple[Path, Mark]]) -> Iterator[str]:
    generation = generations.current(connection)
    ahead = [path for path, mark in marks if mark.generation == generation.name and mark.sequence > generation.sequence]
    others = _unknown(connection, [mark.generation for _, mark in marks], "SELECT name FROM generations")
    if ahead:
        yield f"requests left after the last one that it knows (noted in {ahead[0]})"
    elif others:
        path = next(path for path, mark in marks if mark.generation in others)
        yield f"another ledger, or a later state of this one, was in use (noted in {path})"


def has_sent(connection: sqlite3.Connection) -> bool:
    """Return whether requests have left, of this ledger or of one that was lost."""
    asked = "SELECT EXISTS (SELECT 1 FROM deliveries) OR (SELECT max(generation) > 1 FROM generations)"
    return bool(connection.execute(asked).fetchone()[0])


def _sign_of_quota(connection: sqlite3.Connection, quota: Path | None) -> Iterator[str]:
    if quota is not None and has_sent(connection) and not quota.exists():
        yield f"{quota} is missing"


def _signs_of_reports(connection: sqlite3.Connection, run_ids: Sequence[str], reports: Reports) -> Iterator[str]:
    not_in_ledger = _unknown(connection, run_ids, "SELECT run_id FROM runs")
    unknown = [run_id for run_id in not_in_ledger if reports.read(run_id) is not None]
    if unknown:
        count = f"{len(unknown)} report{'s' if len(unknown) > 1 else ''}"
        yield f"it lacks the run of {count}, the last one {max(unknown)} (if of another config, move them away)"
    last = reports.read(max(set(run_ids) - set(not_in_ledger), default=""))
    if last is not None and last.finished_at is not None and _ended_later(connection, last.run_id, last.finished_at):
        yield f"the report of run {last.run_id} tells of its end at {last.finished_at}, and the ledger does not"


def _unknown(connection: sqlite3.Connection, names: Sequence[str], known: str) -> list[str]:
    lines = connection.execute(
        "SELECT value FROM json_each(?) AS asked WHERE NOT EXISTS (SELECT 1 FROM known_traces AS k"
        f" WHERE k.name = asked.value) AND value NOT IN ({known}) ORDER BY value",
        (orjson.dumps(list(names)).decode(),),
    )
    return [name for (name,) in lines]


def _ended_later(connection: sqlite3.Connection, run_id: str, finished_at: str) -> bool:
    found = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM runs WHERE run_id = ?1 AND coalesce(concluded_at, '') < ?2)"
        " AND NOT EXISTS (SELECT 1 FROM known_traces WHERE name = ?1)",
        (run_id, finished_at),
    ).fetchone()
    return bool(found[0])
