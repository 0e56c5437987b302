"""A run whose inputs are staged in slices ends as one that a single process stages."""

import csv
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any, cast

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.instant_platform import InstantPlatform
from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.parts.run_options import RunOptions
from pipeline.assemble.parts.system import System
from pipeline.assemble.runner import Runner
from pipeline.assemble.slicing import LocalWorkers, SliceWork, stage_slice
from pipeline.clock import SystemClock
from pipeline.errors import SourceError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.ledger.store.lease import LeaseOwner, this_process
from pipeline.map import retarget
from pipeline.model import RowLimit
from pipeline.read import CutSizes
from pipeline.read.files.bounds import Bounds
from pipeline.run.events import ProgressPhase, RunEvents
from pipeline.run.ports import SliceWorkers
from pipeline.settings import Config
from pipeline.simulator import client_config, write_client_keys
from pipeline.write.brakes.run_control import Ending, RunControl
from tests.acceptance.workspace import JOBS, Tables, balance, order, refund, state, task, toml
from tests.guards.spending import SequentialEngine
from tests.postgresql import fixtures
from tests.postgresql.server import PostgresServer

postgres = fixtures.postgres

Row = dict[str, str]
# Two rows of a Parquet file are a slice; a line of a CSV is.
SIZES = CutSizes(rows=2, csv_bytes=0, part_bytes=1, bounds=Bounds(block_bytes=64))
# The tables about rows. A line of `packs` has the skipped rows of one chunk, and slices have other chunks.
_ROW_TABLES = ("rows", "inputs", "origins", "variants", "contents", "deliveries", "cards", "objects")
# Columns with times, or with an id that has one, and numbers of dues.
_IGNORED = ["first_sent_at", "finished_at", "latency_ms", "intended_at", "sent_at", "run_id", "due_no"]


@dataclass
class Workers:
    """Workers in this process: they stage some slices, in any order, some of them twice, and leave others."""

    config: Config
    open_ledger: Callable[[], Any]
    chance: random.Random

    def start(self, run_id: str) -> None:
        with self.open_ledger() as ledger:
            run = ledger.find(run_id)
            slices = [each.slice_no for each in ledger.open_slices()]
            self.chance.shuffle(slices)
            for slice_no in slices[: self.chance.randrange(len(slices) + 1)]:
                if self.chance.random() < 0.3:
                    # It is begun by another process, which dies.
                    held = ledger.take_slice(run, slice_no, retarget)
                    held.leave()
                assert stage_slice(self.config, ledger, run, slice_no)
                assert not stage_slice(self.config, ledger, run, slice_no)

    def are_running(self) -> bool:
        return False

    def stop(self) -> None:
        pass


class OneDies(LocalWorkers):
    """Processes of this machine of which one is killed while it has a slice."""

    def __init__(self, config: Config, url: str) -> None:
        super().__init__(config, 2)
        self._url = url
        self.killed = 0

    def are_running(self) -> bool:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self.killed:
                query = "SELECT holder FROM slices WHERE expires_at > clock_timestamp() AND state IN ('open', 'found')"
                for (owner,) in connection.execute(query):
                    self.killed = LeaseOwner.parse(owner).pid
                    os.kill(self.killed, signal.SIGKILL)
                    break
        return super().are_running()


@dataclass
class Elsewhere:
    """A worker of another host, which lacks one of the files: it leaves that to the driver."""

    config: Config
    open_ledger: Callable[[], Any]
    lacking: Path

    def start(self, run_id: str) -> None:
        away = self.lacking.rename(self.lacking.with_suffix(".away"))
        with self.open_ledger() as ledger:
            work = SliceWork(self.config, ledger, lambda each: (each.run_id, each.job) == (run_id, "orders"))
            while work.do_next():
                pass
        away.rename(self.lacking)

    def are_running(self) -> bool:
        return False

    def stop(self) -> None:
        pass


class StopBeforeSending:
    """Ends a run once all rows are decided on."""

    def begun(self, _run: RunRecord, control: RunControl) -> None:
        self._control = control

    def phase(self, phase: ProgressPhase) -> None:
        if phase is ProgressPhase.SENDING:
            self._control.drain(Ending.INTERRUPTED, "nothing is sent")


class Scene:
    """A config with four jobs, whose ledger is a database of its own."""

    def __init__(self, folder: Path, url: str, tables: Tables = JOBS) -> None:
        folder.mkdir()
        write_client_keys(folder / "keys")
        text = f'[ledger]\nurl = "{url}"\n{client_config("http://127.0.0.1:9")}\n{toml(tables)}'
        (folder / "backfill.toml").write_text(text, encoding="utf-8")
        self.folder, self.url, self.clock = folder, url, SystemClock()
        self.config = open_config(folder / "backfill.toml", {}, self.clock)

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        with closing(Ledger(self.config.ledger, self.clock, this_process())) as ledger:
            yield ledger

    def run(
        self,
        job: str,
        inputs: Sequence[Path],
        *,
        workers: SliceWorkers | None = None,
        sends: bool = False,
        max_invalid: RowLimit | None = None,
    ) -> list[Row]:
        """Run a job; return the outcomes. With `workers` the inputs are staged in slices."""
        system = replace(
            System.real(self.clock),
            engine=SequentialEngine(lambda _phase: None, carries=True),
            signer_of=lambda _account, _api: InstantPlatform(),
            transport_of=lambda _account, _job: InstantPlatform(),
            folder=self.folder,
        )
        stop = StopBeforeSending()
        events = RunEvents() if sends else RunEvents(begun=stop.begun, phase=stop.phase)
        with self.ledger() as ledger:
            runner = Runner(
                self.config, ledger, system, events, chunk_rows=2, cut_sizes=SIZES,
                workers_of=lambda _config, _processes: cast("SliceWorkers", workers),
            )  # fmt: skip
            files = runner.run(
                job, list(map(str, inputs)), RunOptions(processes=2 if workers else 1, max_invalid=max_invalid)
            )
        with (files.folder / "outcome.csv").open(encoding="utf-8", newline="") as outcomes:
            return [{name: row[name] for name in row if name not in _IGNORED} for row in csv.DictReader(outcomes)]

    def tables(self) -> dict[str, list[str]]:
        """Return all lines of the ledger's tables about rows."""
        found = {}
        with psycopg.connect(self.url) as connection:
            # Dues count in the order of their numbers, which are others.
            query = "SELECT (to_jsonb(d) - %s::text[])::text FROM dues AS d ORDER BY run_no, due_no"
            found["dues"] = [line for (line,) in connection.execute(query, [_IGNORED])]
            for table in (*_ROW_TABLES, "slices", "blocks"):
                query = f"SELECT (to_jsonb(t) - %s::text[])::text FROM {table} AS t"
                found[table] = sorted(line for (line,) in connection.execute(query.encode(), [_IGNORED]))
        return found


def write(path: Path, rows: Sequence[Row]) -> Path:
    """Write rows as a CSV, or as a Parquet with row groups of 2 rows."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=2)
        return path
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [",".join(f'"{row.get(name, "")}"' for name in columns) for row in rows]
    path.write_text("\n".join([",".join(columns), *lines, ""]), encoding="utf-8")
    return path


WRONG = order(8, trade_amount="x")
LATE, EARLY = "2025-11-20 10:00:00", "2025-11-20 09:00:00"
# Of each job the inputs of the first night, in files, and what the second night has besides: duplicates, conflicts,
# contradictions, refunds in other files than their payments, balances of which the newest counts, states in sequence.
FIRST: dict[str, list[list[Row]]] = {
    "orders": [[order(n) for n in range(7)], [WRONG, order(9)]],
    "tasks": [[task(1, times="2"), task(2)]],
    "points": [[balance(1, 5, updated_at=LATE), balance(2, 7, updated_at=EARLY)]],
    "states": [[state(1), state(2), state(3, updated_at=LATE)]],
}
SECOND: dict[str, list[list[Row]]] = {
    "orders": [
        [refund(1, of=1), refund(2, of=30), order(2), order(3, trade_amount="9.00"), WRONG, order(20, trade_no="T\n4"),
         order(21, user_id="2088000000009999"), order(21, out_biz_no="A9b"), order(10), order(10), order(11)],
        [order(30), order(4, trade_no="T9"), order(12), order(11), WRONG],
    ],
    "tasks": [[task(1), task(4, times="3"), task(2)], [task(4), task(3, times="x"), task(4, times="3"), task(5)]],
    "points": [
        [balance(1, 6, updated_at=EARLY), balance(2, 8, updated_at=LATE), balance(4, 1, updated_at=LATE),
         balance(4, 1, updated_at=LATE, openid="oTEST" + "9" * 23), balance(3, 1, updated_at=EARLY)],
        [balance(5, 1), balance(5, 2, updated_at=LATE), balance(2, 9, updated_at=LATE), balance(6, 1)],
    ],
    "states": [
        [state(1, "USE"), state(2), state(3, "USE", updated_at=EARLY), state(4, biz_data="x")],
        [state(1), state(1, "USE"), state(5), state(5, updated_at=LATE)],
    ],
}  # fmt: skip


def test_slices_in_any_order_end_as_one_process(postgres: PostgresServer, tmp_path: Path) -> None:
    """With slices in any order, some begun twice, ledger and outcomes are those of one process; no slice is left."""

    def files(night: int, exports: Mapping[str, list[list[Row]]]) -> dict[str, list[Path]]:
        suffixes = cycle(("csv", "parquet"))
        return {
            job: [write(tmp_path / f"{job}{night}{n}.{next(suffixes)}", rows) for n, rows in enumerate(several)]
            for job, several in exports.items()
        }

    before, now = files(1, FIRST), files(2, SECOND)
    first = Scene(tmp_path / "first", postgres.database())
    for job, inputs in before.items():
        first.run(job, inputs, sends=True)
    fixed = min((first.folder / "reports").glob("*/rows_to_fix.csv"))
    fixed.write_text(fixed.read_text(encoding="utf-8-sig").replace(",x,", ",8.00,"), encoding="utf-8")
    first.run("orders", [fixed], sends=True)

    def night(name: str, chance: random.Random | None) -> tuple[list[list[Row]], Mapping[str, list[str]]]:
        scene = Scene(tmp_path / name, postgres.database(first.url.rpartition("/")[2]))
        workers = Workers(scene.config, scene.ledger, chance) if chance else None
        return [scene.run(job, before[job] + now[job], workers=workers) for job in now], scene.tables()

    one = night("one", None)
    codes = Counter(row["code"] for rows in one[0] for row in rows)
    assert codes["fixed_already"] == 1
    assert {"key_conflict", "contradiction", "duplicate_row", "superseded", "unchanged", "already_succeeded"} < set(
        codes
    )
    for seed in range(2):
        assert night(f"slices-{seed}", random.Random(seed)) == one


def test_a_process_that_is_killed_loses_nothing(postgres: PostgresServer, tmp_path: Path) -> None:
    """Two processes stage the inputs and write the rows, and one dies with a slice: the end is that of one process."""
    files = [write(tmp_path / f"{n}.csv", [order(10 * n + at) for at in range(8)] + [order(3)]) for n in range(6)]
    one, several = (Scene(tmp_path / name, postgres.database()) for name in ("one", "several"))
    workers = OneDies(several.config, several.url)

    assert several.run("orders", files, workers=workers) == one.run("orders", files)
    assert several.tables() == one.tables()
    assert workers.killed


def test_a_wrong_batch_and_a_filter_are_those_of_one_process(postgres: PostgresServer, tmp_path: Path) -> None:
    """Filtered rows, and those of a wrong batch, end alike. A worker that lacks a file leaves it to the driver."""
    rows = [order(n, kind="ok" if n % 3 else "no", trade_amount="x" if n == 7 else "1.00") for n in range(12)]
    files = [write(tmp_path / f"{n}.csv", rows[4 * n : 4 * n + 4]) for n in range(3)]
    tables = {**JOBS, "jobs.orders.filter": {"kind": ["ok"]}}
    one, several = (Scene(tmp_path / name, postgres.database(), tables) for name in ("one", "several"))
    workers = Elsewhere(several.config, several.ledger, files[0])
    found = several.run("orders", files, workers=workers, max_invalid=RowLimit(0))

    assert found == one.run("orders", files, max_invalid=RowLimit(0))
    assert Counter(row["code"] for row in found) == {"too_many_invalid": 7, "filtered": 4, "field_invalid": 1}
    assert several.tables() == one.tables()


def test_an_input_that_changes_is_noticed(postgres: PostgresServer, tmp_path: Path) -> None:
    """A slice of a file that is not the one that the driver found ends the run with exit code 2; nothing is due."""
    files = [write(tmp_path / f"{n}.csv", [order(10 * n + at) for at in range(4)]) for n in range(2)]
    scene = Scene(tmp_path / "scene", postgres.database())

    class Changes(Workers):
        def start(self, run_id: str) -> None:
            super().start(run_id)
            files[1].write_bytes(files[1].read_bytes() + b"\n")

    with pytest.raises(SourceError, match=r"1\.csv"):
        scene.run("orders", files, workers=Changes(scene.config, scene.ledger, random.Random(1)))
    assert scene.tables()["dues"] == []
