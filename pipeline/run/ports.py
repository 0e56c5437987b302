"""The parts that a run needs, as protocols."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from pipeline.ledger.records import RunRecord
from pipeline.model import LaneOrder, Wait
from pipeline.read import SourceFile
from pipeline.report import ReportFiles

T = TypeVar("T")


class Engine(Protocol):
    """Works on several tasks at once."""

    def run(
        self,
        tasks: Iterator[T],
        work: Callable[[T], None],
        *,
        workers: int,
        tick: Callable[[], None],
        give_up: Callable[[], None],
    ) -> None:
        """Do all tasks; call `tick` a few times per second; raise the first exception once all workers are idle."""
        ...


class SliceWorkers(Protocol):
    """Processes of this machine that stage the slices of a run."""

    def start(self, run_id: str) -> None:
        """Start them. Each ends if a slice fails."""
        ...

    def are_running(self) -> bool:
        """Return whether any of them runs."""
        ...

    def stop(self) -> None:
        """End those that run."""
        ...


class FileStager(Protocol):
    """Reads, maps and stages rows; see `Stager`."""

    def stage(self, files: Sequence[SourceFile]) -> int:
        """Stage all rows of all files; return the number of rows that pass the job's filter."""
        ...


class Sender(Protocol):
    """Delivers the dues of a run, alone or with other processes."""

    def deliver(self, order: LaneOrder, rows: int | None, *, tick: Callable[[], None]) -> None:
        """
        Deliver the open dues, lanes in this order, `rows` limits them to the first rows.

        `tick` is called a few times per second. The first error is raised once all workers are idle.
        """
        ...

    def throttled(self) -> int:
        """Return the number of throttled answers."""
        ...

    def notes(self) -> Sequence[str]:
        """Return what a person should do before the next run, each once."""
        ...

    def waiting(self) -> Sequence[Wait]:
        """Return the waits that hold up all workers now."""
        ...


class Report(Protocol):
    """The report of a run."""

    def prepare(self) -> Path:
        """Make the report's folder and return it. Raises SettingsError if that fails."""
        ...

    def write(self, run: RunRecord, tick: Callable[[], None]) -> ReportFiles:
        """Write the report of a concluded run; call `tick` between pages."""
        ...
