"""
Traces: what runs left outside of the ledger. They show whether the ledger knows all that was sent.

A ledger that was restored from a backup, lost or replaced does not. Its confirmed balances and states may then not be
those of the platform: nothing is sent until `--resync`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.errors import LedgerBehind
from pipeline.language import counted, t
from pipeline.ledger.store.loss_detection import generations
from pipeline.ledger.store.loss_detection.marks import Mark, Marks, read_mark
from pipeline.ledger.store.port import Connection, json_of

# Whether requests have left.
_HAS_SENT = "SELECT EXISTS (SELECT 1 FROM deliveries) OR (SELECT max(generation) > 1 FROM generations)"
# Names that are no known traces, and not in the result of another query.
_UNKNOWN = """
SELECT value FROM json_each(?) AS wanted
WHERE NOT EXISTS (SELECT 1 FROM known_traces AS k WHERE k.name = wanted.value) AND value NOT IN ({known}) ORDER BY value
"""
# Whether a run ended later than the ledger knows.
_ENDED_LATER = """
SELECT EXISTS (SELECT 1 FROM runs WHERE run_id = :run_id AND coalesce(concluded_at, '') < :finished_at)
    AND NOT EXISTS (SELECT 1 FROM known_traces WHERE name = :run_id)
"""


@dataclass(frozen=True, slots=True)
class ReportTrace:
    """A report that was found; `finished_at` is the end of its run, None if the report does not have it."""

    run_id: str
    finished_at: str | None


class Reports(Protocol):
    """The reports in the report folder of this config."""

    def run_ids(self) -> Sequence[str]:
        """Return the ids of runs that have a folder there."""
        ...

    def read(self, run_id: str) -> ReportTrace | None:
        """Return what a report says; None if there is none, or its API and account are not in the config."""
        ...


@dataclass(frozen=True, slots=True)
class Traces:
    """
    The places of traces: a mark beside the ledger, one beside the config, the file of the quotas, and the reports.

    For a ledger from which nothing was sent, the mark beside the config counts only while the report of its run exists:
    deleting state and reports together begins anew.
    """

    mark: Path | None = None
    report_mark: Path | None = None
    quota: Path | None = None
    reports: Reports | None = None

    def marks(self) -> Marks:
        """Return the marks that runs write."""
        return Marks([path for path in (self.mark, self.report_mark) if path is not None])

    def run_ids(self) -> Sequence[str]:
        """Return the ids of the runs that have a report."""
        return () if self.reports is None else self.reports.run_ids()

    def written_marks(self) -> list[tuple[Path, Mark]]:
        """Return the marks that can be read, each with its file."""
        found = [(path, read_mark(path)) for path in (self.mark, self.report_mark) if path is not None]
        return [(path, mark) for path, mark in found if mark is not None]

    def is_of_deleted_run(self, path: Path, mark: Mark) -> bool:
        """Return whether a mark is the one beside the config, and the report of its run is gone."""
        return path == self.report_mark and not mark.report.is_dir()


NO_TRACES = Traces()


def refuse_if_behind(connection: Connection, name: object, traces: Traces) -> None:
    """Raise LedgerBehind if something was sent that the ledger does not know."""
    # Read before the ledger: that can only be ahead of its traces.
    marks, run_ids = traces.written_marks(), traces.run_ids()
    if not has_sent(connection):
        marks = [(path, mark) for path, mark in marks if not traces.is_of_deleted_run(path, mark)]
    signs = [
        *_signs_of_marks(connection, marks),
        *_sign_of_quota(connection, traces.quota),
        *(_signs_of_reports(connection, run_ids, traces.reports) if traces.reports is not None else ()),
    ]
    if signs:
        raise LedgerBehind(
            t(
                "ledger {path} may not know all that was sent: {signs}. Nothing was sent now. If the ledger was "
                "lost or restored from a backup, put the newest copy back, or send all balances and states again "
                "with `backfill run JOB --resync`; see docs/backup.md",
                path=name,
                signs="; ".join(signs),
            )
        )


def accept(connection: Connection, traces: Traces) -> None:
    """Write all traces of now into the ledger: they are no sign of a loss any more."""
    names = {*traces.run_ids(), *(mark.generation for _, mark in traces.written_marks())}
    connection.executemany(
        "INSERT INTO known_traces (name) VALUES (?) ON CONFLICT DO NOTHING", [(name,) for name in sorted(names)]
    )


def _signs_of_marks(connection: Connection, marks: Sequence[tuple[Path, Mark]]) -> Iterator[str]:
    generation = generations.current(connection)
    ahead = [path for path, mark in marks if mark.generation == generation.name and mark.sequence > generation.sequence]
    others = _unknown(connection, [mark.generation for _, mark in marks], "SELECT name FROM generations")
    if ahead:
        yield t("requests left after the last one that it knows (noted in {ahead})", ahead=ahead[0])
    elif others:
        path = next(path for path, mark in marks if mark.generation in others)
        yield t("another ledger, or a later state of this one, was in use (noted in {path})", path=path)


def has_sent(connection: Connection) -> bool:
    """Return whether requests have left, from this ledger or from one that was lost."""
    return bool(connection.execute(_HAS_SENT).fetchone()[0])


def _sign_of_quota(connection: Connection, quota: Path | None) -> Iterator[str]:
    if quota is not None and has_sent(connection) and not quota.exists():
        yield t("{quota} is missing", quota=quota)


def _signs_of_reports(connection: Connection, run_ids: Sequence[str], reports: Reports) -> Iterator[str]:
    not_in_ledger = _unknown(connection, run_ids, "SELECT run_id FROM runs")
    unknown = [run_id for run_id in not_in_ledger if reports.read(run_id) is not None]
    if unknown:
        count = counted(len(unknown), "1 report", "{count} reports")
        yield t(
            "it lacks the run of {count}, the last one {unknown} (if of another config, move them away)",
            count=count,
            unknown=max(unknown),
        )
    last = reports.read(max(set(run_ids) - set(not_in_ledger), default=""))
    if last is None or last.finished_at is None:
        return
    if connection.execute(_ENDED_LATER, {"run_id": last.run_id, "finished_at": last.finished_at}).fetchone()[0]:
        yield t(
            "the report of run {run_id} says that it ended at {finished_at}, and the ledger does not",
            run_id=last.run_id,
            finished_at=last.finished_at,
        )


def _unknown(connection: Connection, names: Sequence[str], known: str) -> list[str]:
    """Return the names that are neither known traces nor in the result of the query `known`."""
    lines = connection.execute(_UNKNOWN.format(known=known), (json_of(names),))
    return [name for (name,) in lines]
