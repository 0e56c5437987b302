"""
Slices of a plan: processes of this host stage them, and write the staged rows into files. Nothing lasting is written.

A process runs `python -m pipeline.assemble.dry_slicing CONFIG`. Its standard input has lines of JSON: the run and the
descriptor of the process's file, then one line for each slice. It answers each slice with a line of JSON: its result,
and the places of its blocks in the file. If a slice fails, it ends itself: the driver then stages that slice, and shows
the error.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import astuple, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Self

import orjson

from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.slice_reader import SliceReader
from pipeline.clock import SystemClock
from pipeline.engines.garbage import collect_rarely
from pipeline.engines.leads import Leads
from pipeline.engines.processes import ProcessGroup
from pipeline.errors import LedgerError, SettingsError, SourceError
from pipeline.language import Language, texts_in
from pipeline.ledger.database import clear_errors_of, open_to_read
from pipeline.ledger.dry_run import DryRun
from pipeline.ledger.records import Phase, RunRecord
from pipeline.ledger.slices.dry_slice import BlockPlace, BlockWriter, DrySlice, SpilledBlocks
from pipeline.ledger.slices.gathering import Gathering, with_fixes_before
from pipeline.ledger.slices.table import NewSlice, SliceRecord, SliceResult
from pipeline.ledger.store.spill_file import SharedFile
from pipeline.map import retarget
from pipeline.model import Api, Export
from pipeline.read import SourceFile
from pipeline.run.ports import Look
from pipeline.run.slices import Cutter
from pipeline.settings import Config


class DryStager:
    """Stages slices of a plan of `run`, with the ledger only read. `salt` is that of the ledger's generation."""

    def __init__(self, config: Config, run: RunRecord, salt: str) -> None:
        self.config, self.run, self.salt = config, run, salt
        self._reader = SliceReader(config)

    def stage(
        self, new: NewSlice, writer: BlockWriter, tick: Callable[[], None]
    ) -> tuple[SliceResult, list[BlockPlace]]:
        """
        Stage a slice. Return what was found in it, and the places of its blocks.

        `tick` is called after each block, and may raise.
        """
        place, places = self.config.ledger, list[BlockPlace]()
        with (
            closing(open_to_read(place, SystemClock())) as connection,
            clear_errors_of(place),
            texts_in(Language(new.cut["language"])),
        ):
            held = DrySlice(
                connection, self.run, self.salt, new, retarget, lambda block: places.append(writer.add(block))
            )
            return held.result(*self._reader.read(held, tick)), places


def local_stagers(config: Config, files: Sequence[int], environ: Mapping[str, str] | None = None) -> ProcessGroup:
    """
    Return processes of this host that stage slices of a plan, one for each file.

    `files` are the descriptors of files that they write; `environ` are variables besides those of this process.
    """
    command = [sys.executable, "-P", "-m", "pipeline.assemble.dry_slicing", str(config.path.absolute())]
    return ProcessGroup(command, len(files), patience=0, environ=environ, is_read=True, files=files)


class DrySliceDriver:
    """
    Has the inputs of a plan staged in slices, by this process and others of this machine; see `InputSlices`.

    `cutter` cuts the files into slices; `folder` holds the files with the staged rows. `start` starts a process that
    does what `main` does for each of some files.
    """

    def __init__(
        self,
        config: Config,
        dry_run: DryRun,
        folder: Path,
        processes: int,
        cutter: Cutter,
        start: Callable[[Config, Sequence[int]], ProcessGroup],
    ) -> None:
        self._cutter = cutter
        self._dry_run = dry_run
        self._stager = DryStager(config, dry_run.run, dry_run.salt)
        self._blocks = SpilledBlocks(dry_run.run, folder)
        self._file = self._blocks.add_file()
        self._writer = BlockWriter(self._file.add)
        self._folder = folder
        self._gathering = self._new_gathering()
        self._processes = processes
        self._start_processes = start
        self._ends = ExitStack()
        self._leads: Leads | None = None
        # Slices to be staged; None is the last one.
        self._waiting = SimpleQueue[NewSlice | None]()
        self._staged: dict[int, SliceRecord] = {}

    def __enter__(self) -> Self:
        self._ends.callback(self._blocks.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.put(None)
        self._ends.close()

    def cut(self, files: Sequence[SourceFile]) -> Iterator[NewSlice]:
        """Yield the slices of the files, in the order of their rows. Other processes begin with them."""
        if self._cutter.are_large(files):
            self._start(self._processes - 1)
        for new in self._cutter.slices_of(files):
            self._waiting.put(new)
            yield new

    def stage(self, slices: Iterable[NewSlice], look: Look) -> list[SliceRecord]:
        """
        Return once all slices are staged.

        `look` gets them, and may raise. It is also called after each chunk that is staged here. What other processes
        leave is staged here, so that its error is raised here.
        """
        cut = list(slices)
        self._stage_together(cut, look)
        for new in cut:
            if new.slice_no not in self._staged:
                self._stage_here(new, look)
        while again := [
            (each, unfixed) for each, unfixed in with_fixes_before(self.staged()) if unfixed & each.unfixed
        ]:
            for each, unfixed in again:
                new = cut[each.slice_no - 1]
                self._stage_here(replace(new, cut={**new.cut, "unfixed": sorted(unfixed)}), look)
            self._gathering = self._new_gathering()
        return self.staged()

    def staged(self) -> list[SliceRecord]:
        """Return the slices that are staged by now, in order."""
        return sorted(self._staged.copy().values(), key=lambda each: each.slice_no)

    def gather(self, staged: Sequence[SliceRecord]) -> None:
        """Take the rows of staged slices as those of the plan."""
        self._gathering.note(staged)
        self._dry_run.take(self._gathering.staging)

    def writer(self, _look: Look) -> None:
        """Return None: this process decides on all rows."""

    def _start(self, count: int) -> Leads:
        """Start processes once; they wait for slices."""
        if self._leads is None:
            files = [self._blocks.add_file() for _ in range(count)]
            waiting = deque(files)
            start = partial(self._start_processes, self._stager.config, [file.descriptor for file in files])
            self._leads = self._ends.enter_context(Leads(start, lambda *pipes: self._lead(waiting.popleft(), *pipes)))
        return self._leads

    def _new_gathering(self) -> Gathering:
        return Gathering(self._dry_run.run, self._folder, self._blocks)

    def _stage_here(self, new: NewSlice, look: Look) -> None:
        result, places = self._stager.stage(new, self._writer, lambda: look(self.staged()))
        self._finish(new, result, self._file, places)

    def _finish(self, new: NewSlice, result: SliceResult, file: SharedFile, places: Sequence[BlockPlace]) -> None:
        self._blocks.finish(new.slice_no, file, places)
        self._staged[new.slice_no] = SliceRecord.staged(new, result)

    def _stage_together(self, slices: Sequence[NewSlice], look: Look) -> None:
        """Stage slices here and by other processes, as far as none fails."""
        leads = self._start(min(self._processes, len(slices)) - 1)
        self._waiting.put(None)
        # The slice is staged again behind this, in the order of slices, and its error is raised there.
        with suppress(SourceError):
            for new in iter(self._next, None):
                self._stage_here(new, look)
                # Now, because other processes work meanwhile.
                self._gathering.note([each for n, each in enumerate(self.staged(), 1) if each.slice_no == n])
        leads.wait(lambda: look(self.staged()))

    def _lead(self, file: SharedFile, tasks: IO[bytes], answers: IO[bytes]) -> None:
        """Have a process stage one slice after another, until none waits or it ends; then have it end."""
        # A pipe breaks when the process ends, and is closed when the plan is given up.
        with suppress(OSError, ValueError), answers, tasks:
            _write_line(tasks, {"run": self._stager.run, "salt": self._stager.salt, "file": file.descriptor})
            for new in iter(self._next, None):
                _write_line(tasks, new)
                answer = orjson.loads(answers.readline())
                self._finish(new, _result_of(answer["result"]), file, [BlockPlace(*each) for each in answer["blocks"]])

    def _next(self) -> NewSlice | None:
        new = self._waiting.get()
        if new is None:
            self._waiting.put(None)
        return new


def _write_line(to: IO[bytes], value: object) -> None:
    to.write(orjson.dumps(value, default=sorted, option=orjson.OPT_APPEND_NEWLINE))
    to.flush()


def _result_of(plain: Mapping[str, Any]) -> SliceResult:
    return SliceResult(**{**plain, "unfixed": frozenset(plain["unfixed"])})


def main(config_path: str) -> None:
    """Stage slices of a plan, until the standard input ends or a slice fails."""
    tasks, answers = sys.stdin.buffer, sys.stdout.buffer
    first = orjson.loads(tasks.readline())
    plain = first["run"]
    kinds = {"export": Export(plain["export"]), "api": Api(plain["api"]), "phase": Phase(plain["phase"])}
    run = RunRecord(**{**plain, **kinds})
    config = open_config(Path(config_path), os.environ, SystemClock(), run.job)
    stager = DryStager(config, run, first["salt"])
    collect_rarely()
    with os.fdopen(first["file"], "wb") as file:
        writer = BlockWriter(file.write)
        for line in tasks:
            result, places = stager.stage(NewSlice(**orjson.loads(line)), writer, lambda: None)
            file.flush()
            _write_line(answers, {"result": result, "blocks": list(map(astuple, places))})


if __name__ == "__main__":
    # The driver stages what is left, and shows its errors. An error of the disk is shown when it meets it, too.
    with suppress(OSError, SettingsError, SourceError, LedgerError):
        main(*sys.argv[1:])
