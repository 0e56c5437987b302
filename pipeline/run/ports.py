"""The parts that a run needs, as protocols."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, Self, TypeVar

from pipeline.ledger.records import RunRecord
from pipeline.ledger.slices.table import NewSlice, SliceRecord
from pipeline.model import LaneOrder, Wait
from pipeline.read import SourceFile
from pipeline.report import ReportFiles
from pipeline.run.fixes import OriginLookup
from pipeline.tables.mapped_chunk import MappedChunk

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
    """Other processes that stage the slices of a run."""

    def start(self, run_id: str) -> None:
        """Start them. Each ends if a slice fails."""
        ...

    def check(self) -> None:
        """Note which of them have ended."""
        ...

    def stop(self) -> None:
        """End those that run."""
        ...


Look = Callable[[Sequence[SliceRecord]], None]
"""Gets the slices of a run now and then, and may raise."""


class StagedSlice(OriginLookup, Protocol):
    """A slice that a process has and stages."""

    def stage(self, mapped: MappedChunk) -> None:
        """Stage the next rows of the slice."""
        ...


class InputSlices(Protocol):
    """The inputs of a run, staged in slices by several processes. They end with its context."""

    def cut(self, files: Sequence[SourceFile], /) -> Iterator[NewSlice]:
        """Yield the slices of the files, in the order of their rows. Other processes may begin with them."""
        ...

    def stage(self, slices: Iterable[NewSlice], look: Look) -> list[SliceRecord]:
        """Return once all slices that were cut are staged. `look` gets them a few times a second."""
        ...

    def staged(self) -> list[SliceRecord]:
        """Return the slices as they are now."""
        ...

    def gather(self, staged: Sequence[SliceRecord]) -> None:
        """Take the rows of staged slices as those of the run."""
        ...

    def writer(self, look: Look) -> Callable[[], list[SliceRecord]] | None:
        """Return what has the rows decided on and written slice by slice; None: this process decides on all."""
        ...

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(self, *_: object) -> None:
        """End the processes."""
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
