"""Jobs over small inputs with rows of all kinds, which are staged on a ledger of its own and not sent."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import cast

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.instant_platform import InstantPlatform
from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.parts.run_options import RunOptions
from pipeline.assemble.parts.system import System
from pipeline.assemble.reports.shared_outcomes import ReportProcesses
from pipeline.assemble.runner import Runner
from pipeline.clock import SystemClock
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.ledger.store.lease import this_process
from pipeline.model import RowLimit
from pipeline.read import CutSizes
from pipeline.read.files.bounds import Bounds
from pipeline.run.events import ProgressPhase, RunEvents
from pipeline.run.ports import SliceWorkers
from pipeline.simulator import client_config, write_client_keys
from pipeline.write.brakes.run_control import Ending, RunControl
from tests.acceptance.workspace import JOBS, Tables, balance, order, refund, state, task, toml
from tests.guards.spending import SequentialEngine

Row = dict[str, str]
# Two rows of a Parquet file are a slice; a line of a CSV is.
SIZES = CutSizes(rows=2, csv_bytes=0, part_bytes=1, bounds=Bounds(block_bytes=64))
# The tables about rows. A line of `packs` has the skipped rows of one chunk, and slices have other chunks.
_ROW_TABLES = ("rows", "inputs", "origins", "variants", "contents", "deliveries", "cards", "objects")
# Columns with times, or with an id that has one, and numbers of dues.
_IGNORED = ["first_sent_at", "finished_at", "latency_ms", "intended_at", "sent_at", "run_id", "due_no"]


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
        report_processes: Callable[[int], ReportProcesses] | None = None,
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
                report_processes=report_processes or ReportProcesses.of,
            )  # fmt: skip
            processes = 2 if workers or report_processes else 1
            files = runner.run(job, list(map(str, inputs)), RunOptions(processes=processes, max_invalid=max_invalid))
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


def exports(folder: Path, night: int, rows: Mapping[str, list[list[Row]]]) -> dict[str, list[Path]]:
    """Write the inputs of each job, as CSV and Parquet in turn."""
    suffixes = cycle(("csv", "parquet"))
    return {
        job: [write(folder / f"{job}{night}{n}.{next(suffixes)}", each) for n, each in enumerate(several)]
        for job, several in rows.items()
    }
