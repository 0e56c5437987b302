"""
Slices of a plan: processes of this host stage them, and return the staged rows over pipes. Nothing lasting is written.

A process runs `python -m pipeline.assemble.dry_slicing CONFIG`. Its standard input has lines of JSON: the run, then one
line for each slice. Its standard output has the blocks of each slice, then its result. If a slice fails, it ends
itself: the driver then stages that slice, and shows the error.
"""

import os
import struct
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Self

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
from pipeline.ledger.slices.blocks import StagedBlock
from pipeline.ledger.slices.dry_slice import DrySlice, SpilledBlock, SpilledBlocks
from pipeline.ledger.slices.gathering import with_fixes_before
from pipeline.ledger.slices.table import NewSlice, SliceRecord, SliceResult
from pipeline.map import retarget
from pipeline.model import Api, Export
from pipeline.read import SourceFile
from pipeline.run.ports import Look
from pipeline.settings import Config

# What stands before a block: its rows, bytes of its notes, bytes of its chunk. Before a result: -1, 0, its bytes.
_HEAD = struct.Struct(">qQQ")
_RESULT = -1


class DryStager:
    """Stages slices of a plan of `run`, with the ledger only read. `salt` is that of the ledger's generation."""

    def __init__(self, config: Config, run: RunRecord, salt: str) -> None:
        self.config, self.run, self.salt = config, run, salt
        self._reader = SliceReader(config)

    def stage(self, new: NewSlice, take: Callable[[StagedBlock], None], tick: Callable[[], None]) -> SliceResult:
        """Stage a slice; `take` gets its blocks. `tick` is called after each block, and may raise."""
        place = self.config.ledger
        with (
            closing(open_to_read(place, SystemClock())) as connection,
            clear_errors_of(place),
            texts_in(Language(new.cut["language"])),
        ):
            held = DrySlice(connection, self.run, self.salt, new, retarget, take)
            return held.result(*self._reader.read(held, tick))


def local_stagers(config: Config, count: int, environ: Mapping[str, str] | None = None) -> ProcessGroup:
    """Return processes of this host that stage slices of a plan; `environ` are variables besides those of this one."""
    command = [sys.executable, "-P", "-m", "pipeline.assemble.dry_slicing", str(config.path.absolute())]
    return ProcessGroup(command, count, patience=0, environ=environ, is_read=True)


class DrySliceDriver:
    """
    Has the inputs of a plan staged in slices, by this process and others of this machine; see `InputSlices`.

    `cut` returns the slices of the files; `folder` holds the spill file of the staged rows. `start` starts a number of
    processes that do what `main` does.
    """

    def __init__(
        self,
        config: Config,
        dry_run: DryRun,
        folder: Path,
        processes: int,
        cut: Callable[[Sequence[SourceFile]], list[NewSlice]],
        start: Callable[[Config, int], ProcessGroup],
    ) -> None:
        self.cut = cut
        self._dry_run = dry_run
        self._stager = DryStager(config, dry_run.run, dry_run.salt)
        self._blocks = SpilledBlocks(dry_run.run, folder)
        self._processes = processes
        self._start = start
        self._waiting: deque[NewSlice] = deque()
        self._staged: dict[int, SliceRecord] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._blocks.close()

    def stage(self, slices: Sequence[NewSlice], look: Look) -> list[SliceRecord]:
        """
        Return once all slices are staged.

        `look` gets them, and may raise. It is also called after each chunk that is staged here. What other processes
        leave is staged here, so that its error is raised here.
        """
        self._stage_together(slices, look)
        for new in slices:
            if new.slice_no not in self._staged:
                self._stage_here(new, look)
        while again := [
            (each, unfixed) for each, unfixed in with_fixes_before(self.staged()) if unfixed & each.unfixed
        ]:
            for each, unfixed in again:
                new = slices[each.slice_no - 1]
                self._stage_here(replace(new, cut={**new.cut, "unfixed": sorted(unfixed)}), look)
        return self.staged()

    def staged(self) -> list[SliceRecord]:
        """Return the slices that are staged by now, in order."""
        return sorted(self._staged.copy().values(), key=lambda each: each.slice_no)

    def gather(self, staged: Sequence[SliceRecord]) -> None:
        """Take the rows of staged slices as those of the plan."""
        self._dry_run.gather(staged, self._blocks)

    def writer(self, _look: Look) -> None:
        """Return None: this process decides on all rows."""

    def _stage_here(self, new: NewSlice, look: Look) -> None:
        blocks = list[SpilledBlock]()
        result = self._stager.stage(
            new, lambda block: blocks.append(self._blocks.add(block)), lambda: look(self.staged())
        )
        self._finish(new, result, blocks)

    def _finish(self, new: NewSlice, result: SliceResult, blocks: Sequence[SpilledBlock]) -> None:
        self._blocks.finish(new.slice_no, blocks)
        self._staged[new.slice_no] = SliceRecord.staged(new, result)

    def _stage_together(self, slices: Sequence[NewSlice], look: Look) -> None:
        """Stage slices here and by other processes, as far as none fails."""
        self._waiting.extend(slices)
        count = min(self._processes, len(slices)) - 1
        with Leads(partial(self._start, self._stager.config, count), self._lead) as leads:
            # The slice is staged again behind this, in the order of slices, and its error is raised there.
            with suppress(SourceError):
                for new in iter(self._next, None):
                    self._stage_here(new, look)
            leads.wait(lambda: look(self.staged()))

    def _lead(self, tasks: IO[bytes], answers: IO[bytes]) -> None:
        """Have a process stage one slice after another, until none waits or it ends."""
        # A pipe breaks when the process ends, and is closed when the plan is given up. An error of the disk is raised
        # again when the slice is staged here.
        with suppress(OSError, ValueError, struct.error, LedgerError), answers:
            _write_line(tasks, {"run": self._stager.run, "salt": self._stager.salt})
            for new in iter(self._next, None):
                _write_line(tasks, new)
                self._finish(new, *self._read_slice(answers))

    def _next(self) -> NewSlice | None:
        with suppress(IndexError):
            return self._waiting.popleft()
        return None

    def _read_slice(self, answers: IO[bytes]) -> tuple[SliceResult, list[SpilledBlock]]:
        """Read the blocks and the result of a slice. Raises struct.error if the process has ended."""
        blocks = list[SpilledBlock]()
        while True:
            rows, notes, chunk = _HEAD.unpack(answers.read(_HEAD.size))
            if rows == _RESULT:
                return _result_of(answers.read(chunk)), blocks
            blocks.append(self._blocks.add(StagedBlock(rows, answers.read(notes), answers.read(chunk))))


def _write_line(to: IO[bytes], value: object) -> None:
    to.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
    to.flush()


def _result_of(data: bytes) -> SliceResult:
    plain = orjson.loads(data)
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

    def write(block: StagedBlock) -> None:
        answers.write(_HEAD.pack(block.rows, len(block.notes), len(block.chunk)))
        answers.writelines((block.notes, block.chunk))
        answers.flush()

    for line in tasks:
        result = stager.stage(NewSlice(**orjson.loads(line)), write, lambda: None)
        data = orjson.dumps(result, default=sorted)
        answers.write(_HEAD.pack(_RESULT, 0, len(data)) + data)
        answers.flush()


if __name__ == "__main__":
    # The driver stages what is left, and shows its errors.
    with suppress(BrokenPipeError, SettingsError, SourceError, LedgerError):
        main(*sys.argv[1:])
