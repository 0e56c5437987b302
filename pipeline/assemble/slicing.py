"""
Slices of a run's inputs: `run_slice` stages one, in any process of any host.

A process of this machine runs `python -m pipeline.assemble.slicing CONFIG RUN`, until the driver of the run closes its
standard input. If a slice fails, it ends itself: the driver then does what is left, and shows the error.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path

from pipeline.assemble.parts.ledgers import open_the_ledger
from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.slice_reader import SliceReader, settings_digest
from pipeline.clock import Clock, SystemClock
from pipeline.engines.garbage import collect_rarely
from pipeline.engines.processes import ProcessGroup
from pipeline.errors import LedgerError, SettingsError, SourceError
from pipeline.language import Language, language_in_use, t, texts_in
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.slices.table import OpenSlice
from pipeline.map import MappingRules, UsedColumns, rekey, retarget
from pipeline.read import CutSizes, cuts_of
from pipeline.run.ports import SliceWorkers
from pipeline.run.slices import Cutter, SliceDriver, StageHere
from pipeline.settings import Config, Job, load

_log = logging.getLogger("backfill")

# Pause of a process that finds no slice. Seconds.
_LOOK_SECONDS = 0.05
# How long a process may take to end.
_PATIENCE_SECONDS = 10.0


def run_slice(config_path: str, run_id: str, slice_no: int) -> bool:
    """
    Stage one slice of a run, or write its rows once the driver has compared those of all slices.

    Returns False if there is nothing to do: another process has the slice, or it is staged or written.

    Any scheduler may call it, twice and at once, on any host that has the config and reads the inputs under the same
    names. If it fails or dies, nothing of it counts, and the slice is left to others: at once, or when its lease ends.
    Raises SettingsError, SourceError and LedgerError.
    """
    with _opened(config_path, run_id) as (config, ledger, run):
        return stage_slice(SliceReader(config), ledger, run, slice_no)


def stage_any(reader: SliceReader, ledger: Ledger, is_wanted: Callable[[OpenSlice], bool]) -> bool:
    """Stage one slice, or write its rows: the first wanted one that no process has. Return whether there was one."""
    wanted = (each for each in ledger.open_slices() if is_wanted(each))
    return any(stage_slice(reader, ledger, ledger.find(each.run_id), each.slice_no) for each in wanted)


def stage_slice(
    reader: SliceReader, ledger: Ledger, run: RunRecord, slice_no: int, tick: Callable[[], None] = lambda: None
) -> bool:
    """Do the same with an open ledger. `tick` is called after each chunk, and may raise."""
    held = ledger.take_slice(run, slice_no, retarget)
    if held is None:
        return False
    try:
        with texts_in(Language(held.cut["language"])):
            if held.taken.place is None:
                held.finish(*reader.read(held, tick))
            else:
                held.write_rows(held.taken.place, lambda body, key: rekey(body, run.api, key), tick)
    except BaseException:
        # The error that is being raised says more than one of the ledger would.
        with suppress(LedgerError):
            held.leave()
        raise
    return True


class SliceWork:
    """
    Slices as the work of a worker: `do_next` stages one, or writes its rows.

    `is_wanted` says whether the worker is for a run; `tick` is called after each chunk. A slice that fails here is left
    to others from then on.
    """

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        is_wanted: Callable[[RunRecord], bool],
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._reader, self._ledger, self._is_wanted, self._tick = SliceReader(config), ledger, is_wanted, tick
        self._failed: set[OpenSlice] = set()

    def do_next(self) -> bool:
        """Stage the first wanted slice that no process has, or write its rows; return whether there was one."""
        return any(self._do(each) for each in self._ledger.open_slices() if each not in self._failed)

    def _do(self, each: OpenSlice) -> bool:
        try:
            run = self._ledger.find(each.run_id)
            return self._is_wanted(run) and stage_slice(self._reader, self._ledger, run, each.slice_no, self._tick)
        except (SettingsError, SourceError, LedgerError) as exc:
            self._failed.add(each)
            _log.warning(
                t("can't read slice {slice_no} of run {run_id}, which is left to other processes: {reason}",
                  slice_no=each.slice_no, run_id=each.run_id, reason=exc)
            )  # fmt: skip
            return False


def cutter(config: Config, job: Job, rules: MappingRules, *, chunk_rows: int, sizes: CutSizes) -> Cutter:
    """Return what cuts the inputs of a run into slices. Each says how it has to be read."""
    return Cutter(
        cuts_of=partial(cuts_of, csv=job.csv, uses=UsedColumns(rules), sizes=sizes),
        facts={
            "now": rules.now.isoformat() if rules.now else None,
            "language": language_in_use(),
            "settings": settings_digest(config, job),
            "chunk_rows": chunk_rows,
        },
        large=sizes.csv_bytes,
    )


def slice_driver(
    config: Config,
    open_again: Callable[[], Ledger],
    run: RunLedger,
    rules: MappingRules,
    *,
    clock: Clock,
    workers: SliceWorkers,
    chunk_rows: int,
    sizes: CutSizes,
) -> SliceDriver:
    """Return the driver of the slices of a run. `open_again` opens the ledger once more."""
    job = config.jobs[run.run.job]

    @contextmanager
    def stager() -> Iterator[StageHere]:
        # With connections of its own: the run keeps its lease meanwhile.
        with closing(open_again()) as ledger:
            yield partial(stage_slice, SliceReader(config), ledger, run.run)

    return SliceDriver(
        ledger=run,
        clock=clock,
        cutter=cutter(config, job, rules, chunk_rows=chunk_rows, sizes=sizes),
        workers=workers,
        open_stager=stager,
    )


class LocalWorkers:
    """Other processes of this machine that stage slices; see `SliceWorkers`. They also end if this process dies."""

    def __init__(self, config: Config, count: int) -> None:
        self._command = [sys.executable, "-P", "-m", "pipeline.assemble.slicing", str(config.path)]
        self._count = count
        self._ends = ExitStack()

    def start(self, run_id: str) -> None:
        """Start them."""
        group = ProcessGroup([*self._command, run_id], self._count, patience=_PATIENCE_SECONDS)
        self._group = self._ends.enter_context(group)

    def check(self) -> None:
        """Note which of them have ended: a process that nobody waits for would not look dead."""
        self._group.ended()

    def stop(self) -> None:
        """End those that run."""
        self._ends.close()


@contextmanager
def _opened(config_path: str, run_id: str) -> Iterator[tuple[Config, Ledger, RunRecord]]:
    """Open the config with the keys of a run's job, and the ledger. Keys of other jobs may be missing."""
    path, clock = Path(config_path), SystemClock()
    without_keys = load(path, environ=os.environ, at=clock.now(), with_keys=False)
    with closing(open_the_ledger(without_keys, clock)) as ledger:
        run = ledger.find(run_id)
        yield open_config(path, os.environ, clock, run.job), ledger, run


def main(config_path: str, run_id: str) -> None:
    """Stage slices of a run, and write their rows, until the standard input ends or a slice fails."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    collect_rarely()
    clock = SystemClock()
    with _opened(config_path, run_id) as (config, ledger, _):
        reader = SliceReader(config)
        while True:
            if not stage_any(reader, ledger, lambda each: each.run_id == run_id):
                clock.sleep(_LOOK_SECONDS)


def _end_with_input() -> None:
    """End this process with its standard input. Nothing of an unfinished slice counts, so nothing has to be ended."""
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    # The driver stages what is left, and shows its errors.
    with suppress(SettingsError, SourceError, LedgerError):
        main(*sys.argv[1:])
