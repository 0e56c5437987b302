"""Staging by several processes: the driver's part, and that of the process that has a slice."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, Self

from pipeline.clock import Clock
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.slices.table import NewSlice, SliceRecord, SliceState
from pipeline.map import MappingRules
from pipeline.read import Chunk, Cut, Source, SourceFile
from pipeline.run.fixes import Fixes
from pipeline.run.ports import Look, SliceWorkers, StagedSlice
from pipeline.tables.mapped_chunk import MappedChunk

# Pause between looks at the slices. Seconds.
_LOOK_SECONDS = 0.05

StageHere = Callable[[int, Callable[[], None]], bool]
"""
Stages a slice in this process, or writes its rows; returns False if another process has it.

The second argument is called after each chunk, and may raise.
"""


def stage_rows(
    ledger: StagedSlice,
    rules: MappingRules,
    source: Source,
    map_chunk: Callable[[Chunk], MappedChunk],
    tick: Callable[[], None],
) -> None:
    """Read, map and stage the rows of a slice. `tick` is called after each chunk, and may raise."""
    fixes = Fixes(ledger, rules, source.columns)
    for chunk in source:
        ledger.stage(fixes.with_contents(map_chunk(chunk), {}))
        tick()


@dataclass(frozen=True, slots=True)
class Cutter:
    """
    Cuts the inputs of a run into slices.

    `cuts_of` returns the parts of a file; `facts` are added to the cut of each slice. Inputs of more than `large` bytes
    take so long to cut that other processes should start meanwhile.
    """

    cuts_of: Callable[[SourceFile], Iterable[Cut]]
    facts: Mapping[str, Any]
    large: int

    def are_large(self, files: Sequence[SourceFile]) -> bool:
        """Return whether the files take long to cut."""
        return sum(file.fingerprint.size for file in files) > self.large

    def slices_of(self, files: Sequence[SourceFile]) -> Iterator[NewSlice]:
        """Yield the slices of the files, in the order of their rows."""
        slice_no = 0
        for file_no, file in enumerate(files, 1):
            for n, cut in enumerate(self.cuts_of(file)):
                # The whole file is hashed once: while it is read, or with the first of its slices.
                own = {"path": file.path, "size": file.fingerprint.size, "mtime_ns": file.fingerprint.mtime_ns}
                own |= {"cut": cut.as_json(), "is_hashed": not cut.is_whole and n == 0}
                slice_no += 1
                yield NewSlice(slice_no, file_no, {**self.facts, **own})


@dataclass(kw_only=True)
class SliceDriver:
    """
    Has the inputs of a run staged in slices, by this process and by others; see `InputSlices`.

    - `cutter` cuts the files into slices
    - `workers` are other processes, which end with the context
    - `open_stager` opens what stages a slice in this process, or writes its rows
    """

    ledger: RunLedger
    clock: Clock
    cutter: Cutter
    workers: SliceWorkers
    open_stager: Callable[[], AbstractContextManager[StageHere]]

    def __post_init__(self) -> None:
        self._ends = ExitStack()
        self._has_started = False

    def cut(self, files: Sequence[SourceFile]) -> Iterator[NewSlice]:
        """Yield the slices of the files, in the order of their rows."""
        if self.cutter.are_large(files):
            self._start()
        return self.cutter.slices_of(files)

    def stage(self, slices: Iterable[NewSlice], look: Look) -> list[SliceRecord]:
        """
        Return once all slices are staged.

        `look` gets them, and may raise. It is also called after each chunk that is staged here. What other processes
        leave is staged here, so that its error is raised here.
        """
        self.ledger.cut(list(slices))
        self._start()
        self._stage_here = self._ends.enter_context(self.open_stager())
        while True:
            found = self._until(SliceState.STAGED, look)
            if not self.ledger.stage_again(found):
                return found

    def __enter__(self) -> Self:
        self._ends.callback(self.workers.stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def staged(self) -> list[SliceRecord]:
        """Return all slices as they are now."""
        return self.ledger.slices()

    def gather(self, staged: Sequence[SliceRecord]) -> None:
        """Take the rows of staged slices as those of the run."""
        self.ledger.gather(staged)

    def writer(self, look: Look) -> Callable[[], list[SliceRecord]]:
        """Return what returns once the rows of all slices are written; `look` is as in `stage`."""
        return partial(self._until, SliceState.WRITTEN, look)

    def _start(self) -> None:
        if not self._has_started:
            self.workers.start(self.ledger.run.run_id)
            self._has_started = True

    def _until(self, state: SliceState, look: Look) -> list[SliceRecord]:
        while True:
            found = self.ledger.slices()
            look(found)
            left = [each.slice_no for each in found if each.state is not state]
            if not left:
                return found
            self.workers.check()
            self.ledger.free_slices_of_dead()
            if not self._stage_first(left, look):
                self.clock.sleep(_LOOK_SECONDS)

    def _stage_first(self, slices: Sequence[int], look: Look) -> bool:
        """Stage the first slice that no other process has; return whether there was one."""
        return any(self._stage_here(slice_no, lambda: look(())) for slice_no in slices)


def first_of_each_file(slices: Sequence[SliceRecord]) -> list[SliceRecord]:
    """Return the staged slices of each file up to the first that is not: the rows before it can be numbered."""
    first: list[SliceRecord] = []
    for _, of_file in groupby(slices, key=lambda each: each.file_no):
        for each in of_file:
            if each.state is SliceState.OPEN:
                break
            first.append(each)
    return first
