"""A report of which several processes write parts is that of one process, whatever happens to the others."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any, Self

import pytest

from pipeline.assemble.reports.part_writers import write_parts
from pipeline.assemble.reports.reporting import RunReport
from pipeline.assemble.reports.shared_outcomes import ReportProcesses, ranges_of
from pipeline.engines.processes import ProcessGroup
from pipeline.errors import LedgerError, PipelineError
from pipeline.ledger.history.skipped_rows import LINES_OF_CHUNK
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import InputRecord, RunRecord, RunState
from pipeline.ledger.staging.staged_chunk import RowDecision
from pipeline.ledger.store.port import Server
from pipeline.map import retarget
from pipeline.model import Status
from pipeline.report import OutcomeFormat
from tests.assemble.nights import FIRST, SECOND, Scene, exports
from tests.ledger_runs import conftest as ledgers
from tests.ledger_runs.job_runs import LOST, NOT_CONNECTED, REFUSED, JobRuns, NewJobRuns, Opens, conclude, in_a_file
from tests.ledger_runs.staged_rows import StagedRow, invalid, mapped_of, order
from tests.postgresql import fixtures
from tests.postgresql.server import PostgresServer
from tests.report.report_files import file_size_limit, report_files

postgres, new_ledger = fixtures.postgres, ledgers.new_ledger
clock, opens, new_job = ledgers.clock, ledgers.opens, ledgers.new_job

# Small parts, however few rows there are.
SMALL = partial(ReportProcesses, least_rows=1, part_rows=3)


class Threads(ProcessGroup):
    """Threads of this process instead of other processes."""

    def __init__(
        self, place: Path | Server, folder: Path, run_id: str, outcome_format: OutcomeFormat | None, count: int
    ) -> None:
        super().__init__([], count, patience=0)
        self._write = partial(write_parts, place, folder, run_id, outcome_format)
        self._threads: list[threading.Thread] = []
        self._pipes: list[tuple[IO[bytes], IO[bytes]]] = []

    def __enter__(self) -> Self:
        for _ in range(self._count):
            (tasks, to), (answers, answer) = os.pipe(), os.pipe()
            self._pipes.append((os.fdopen(to, "wb"), os.fdopen(answers, "rb")))
            ends = os.fdopen(tasks, "rb"), os.fdopen(answer, "wb")
            self._threads.append(threading.Thread(target=self._serve, args=ends))
            self._threads[-1].start()
        return self

    def _serve(self, tasks: IO[bytes], answers: IO[bytes]) -> None:
        with tasks, answers:
            self._write(tasks=tasks, answers=answers)

    def pipes(self) -> list[tuple[IO[bytes], IO[bytes]]]:
        return self._pipes

    def __exit__(self, *_: object) -> None:
        for tasks, _answers in self._pipes:
            tasks.close()
        for thread in self._threads:
            thread.join()


def written(
    ledger: Ledger,
    run: RunRecord,
    folder: Path,
    processes: ReportProcesses,
    form: OutcomeFormat | None = OutcomeFormat.CSV,
) -> dict[str, object]:
    """Return the files of a report that these processes write."""
    report = RunReport(ledger, folder, form, named=Path("reports"), processes=processes)
    report.write(run)
    return report_files(folder)


def run_of_every_status(orders: JobRuns) -> RunRecord:
    """Return a run with two inputs in chunks; skipped rows of several codes lie among others."""
    orders.run(*(order(f"OLD{n}") for n in range(4)))
    run = orders.begin()
    inputs: list[list[list[StagedRow]]] = [
        [
            [order("OLD0"), order("A"), order("A"), invalid("X"), order("OLD1"), order("A"), order("R")],
            [order("OLD2"), order("OLD3")],
        ],
        [
            [order("A"), order("U"), order("OLD0")],
            [order("N"), order("OLD1"), order("B", refund_of="R"), order("R"), invalid(), order("OLD2")],
            [order("OLD3")],
        ],
    ]
    first = 1
    for file_no, chunks in enumerate(inputs, 1):
        rows = sum(map(len, chunks))
        columns = ("key", "content") if file_no == 1 else ("content", "key", "content")
        run.add_input(InputRecord(file_no, f"orders{file_no}.csv", f"exports/orders{file_no}.csv", columns, rows, "00"))
        for chunk in chunks:
            run.stage(file_no, first, mapped_of(chunk, orders.api), retarget)
            first += len(chunk)
    run.start_delivering(orders.rekey)
    return orders.deliver(run, {"R": REFUSED, "U": LOST, "N": NOT_CONNECTED})


@pytest.fixture
def every_status(new_job: NewJobRuns) -> RunRecord:
    return run_of_every_status(new_job())


@pytest.mark.parametrize("form", [None, *OutcomeFormat])
def test_processes_write_the_report_of_one(
    every_status: RunRecord, opens: Opens, tmp_path: Path, form: OutcomeFormat | None
) -> None:
    """Rows of every status and two inputs make the same files; nothing else is left."""
    ledger = opens()
    assert set(Status) == {each.status for each in ledger.outcomes(every_status)}
    one = written(ledger, every_status, tmp_path / "one", ReportProcesses(), form)

    several = written(ledger, every_status, tmp_path / "several", SMALL(3), form)

    assert several == one


@pytest.mark.parametrize("part_rows", [1, 2, 3, 4, 5, 7, 11, 100])
def test_ranges_of_any_size_have_the_rows_of_one_pass(every_status: RunRecord, opens: Opens, part_rows: int) -> None:
    """Ranges may end within a chunk, and within rows that are stored together."""
    ledger = opens()
    ranges = ranges_of(ledger.rows(every_status), part_rows)

    pages = list(chain.from_iterable(ledger.outcome_pages(every_status, *each) for each in ranges))

    assert list(chain.from_iterable(pages)) == list(ledger.outcomes(every_status))
    assert all(map(len, pages))


def test_skipped_rows_before_a_range_are_found() -> None:
    """A chunk has no more lines of skipped rows than are looked at: one for each decision, unknown and unsent ones."""
    assert len(set(RowDecision) - {RowDecision.DUE, RowDecision.INVALID}) + 2 <= LINES_OF_CHUNK


@pytest.mark.parametrize("cut_off", [False, True])
def test_reruns_and_runs_that_sent_nothing_are_reported_alike(
    new_job: NewJobRuns, opens: Opens, tmp_path: Path, cut_off: bool
) -> None:
    """Row marks name rows of the first run; all rows of a run that ended early are stored together."""
    orders = new_job()
    parent = run_of_every_status(orders)
    if cut_off:
        run = orders.begin()
        orders.stage(run, [order("U"), order("OLD1"), order("NEW"), order("NEW"), invalid("Z")], decide=False)
        record = conclude(run, RunState.INTERRUPTED)
    else:
        record = orders.rerun(parent, answers={"U": REFUSED, "N": REFUSED})
    ledger = opens()
    one = written(ledger, record, tmp_path / "one", ReportProcesses())

    several = written(ledger, record, tmp_path / "several", SMALL(2, Threads, part_rows=1))

    assert several == one
    assert (parent.run_id.encode() in one["rows_to_fix.csv"]) is not cut_off  # type: ignore[operator] # bytes


@pytest.mark.parametrize("server", [True, False])
def test_nights_are_reported_alike(server: bool, postgres: PostgresServer, tmp_path: Path) -> None:
    """Runs of every export, with fixed rows, refunds in the lanes of their payments, CSV and Parquet inputs."""
    scene = Scene(tmp_path / "scene", postgres.database() if server else "sqlite:///state/backfill.db")
    before, now = exports(tmp_path, 1, FIRST), exports(tmp_path, 2, SECOND)
    for job, inputs in before.items():
        scene.run(job, inputs, sends=True)
    fixed = min((scene.folder / "reports").glob("*/rows_to_fix.csv"))
    fixed.write_text(fixed.read_text(encoding="utf-8-sig").replace(",x,", ",y,"), encoding="utf-8")
    scene.run("orders", [fixed], sends=True)
    for job, inputs in now.items():
        scene.run(job, inputs, sends=True)

    with scene.ledger() as ledger:
        runs = ledger.recent()
        for run in runs:
            one = written(ledger, run, tmp_path / run.run_id / "one", ReportProcesses())
            assert written(ledger, run, tmp_path / run.run_id / "several", SMALL(3, Threads)) == one
    assert len(runs) == 9


def test_a_run_of_several_processes_has_its_report_written_by_them(tmp_path: Path) -> None:
    """A run passes the number of its processes on."""
    scene, started = Scene(tmp_path / "scene", "sqlite:///state/backfill.db"), list[int]()

    def start(*words: Any) -> ProcessGroup:
        started.append(words[-1])
        return Threads(*words)

    inputs = exports(tmp_path, 1, FIRST)["orders"]
    rows = scene.run("orders", inputs, sends=True, report_processes=lambda wanted: SMALL(wanted + 1, start))

    assert started == [2]
    with scene.ledger() as ledger:
        assert len(rows) == ledger.rows(ledger.find("last"))


@pytest.mark.parametrize("count", [2, 40])
def test_a_run_without_rows_and_more_processes_than_parts(
    new_job: NewJobRuns, opens: Opens, tmp_path: Path, count: int
) -> None:
    """The report is that of one process."""
    orders = new_job()
    for record in (orders.run(), orders.run(order("A"))):
        one = written(opens(), record, tmp_path / f"one{record.run_no}", ReportProcesses())
        found = written(opens(), record, tmp_path / f"several{record.run_no}", SMALL(count, Threads))
        assert found == one


def test_few_rows_are_written_by_this_process(every_status: RunRecord, opens: Opens, tmp_path: Path) -> None:
    """No other process is started for a small report."""

    def start(*_: object) -> ProcessGroup:
        raise AssertionError

    written(opens(), every_status, tmp_path, ReportProcesses(64, start))


def starting(script: str) -> Callable[..., ProcessGroup]:
    """Return what starts processes that run a script instead."""

    def start(_place: object, _folder: object, _run_id: object, _format: object, count: int) -> ProcessGroup:
        return ProcessGroup([sys.executable, "-S", "-c", script], count, patience=0, is_read=True)

    return start


def not_startable(*_: object) -> ProcessGroup:
    return ProcessGroup(["/nowhere/python"], 1, patience=0, is_read=True)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(not_startable, id="not-started"),
        pytest.param(starting("raise SystemExit"), id="dead-at-once"),
        pytest.param(starting("print(end=input()[:1])"), id="dies-within-a-part"),
        pytest.param(starting("print(input(), flush=True); input()"), id="another-answer"),
        pytest.param(starting("import signal; signal.pause()"), id="frozen"),
    ],
)
def test_what_a_process_leaves_is_written_here(
    every_status: RunRecord, opens: Opens, tmp_path: Path, start: Callable[..., ProcessGroup]
) -> None:
    """A process that can't be started, dies or freezes costs time, but no row."""
    ledger = opens()
    one = written(ledger, every_status, tmp_path / "one", ReportProcesses())

    assert written(ledger, every_status, tmp_path / "several", SMALL(3, start, patience=0.0)) == one


def test_a_full_disk_is_reported_as_by_one_process(new_job: NewJobRuns, opens: Opens, tmp_path: Path) -> None:
    """The error names the folder, and nothing is left in it."""
    record = new_job().run(*(order(f"{n}") for n in range(400)))
    ledger, failures = opens(), list[str]()
    for processes in (ReportProcesses(), SMALL(2, part_rows=200)):
        with file_size_limit(20_000), pytest.raises(PipelineError) as failure:
            written(ledger, record, tmp_path / "report", processes)
        failures.append(str(failure.value))
        assert list((tmp_path / "report").iterdir()) == []

    assert failures[0] == failures[1]
    assert "File too large" in failures[0]


def test_a_part_that_can_not_be_read_shows_the_error(every_status: RunRecord, opens: Opens, tmp_path: Path) -> None:
    """Damage of the ledger is named as by one process."""
    ledger = opens()
    ledger._file.writer.execute("UPDATE packs SET rows = ? WHERE first_row_no > 10", (b"\x00\x11",))

    with pytest.raises(LedgerError, match="is damaged; restore"):
        written(ledger, every_status, tmp_path, SMALL(2))
    assert report_files(tmp_path) == {}


def test_an_interrupt_ends_the_processes(every_status: RunRecord, opens: Opens, tmp_path: Path) -> None:
    """Nothing is left in the folder, and no process is."""
    groups: list[ProcessGroup] = []
    frozen = starting("import signal; signal.pause()")

    def start(*words: object) -> ProcessGroup:
        groups.append(frozen(*words))
        return groups[-1]

    ticks = iter(range(12))

    def tick() -> None:
        if next(ticks, None) is None:
            raise KeyboardInterrupt

    report = RunReport(opens(), tmp_path, OutcomeFormat.CSV, processes=SMALL(2, start))
    with pytest.raises(KeyboardInterrupt):
        report.write(every_status, tick)

    assert report_files(tmp_path) == {}
    assert [process.poll() is not None for process in groups[0]._processes] == [True]


# Writes a report with another process, and is killed once that has written a part.
_KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.assemble.reports.shared_outcomes import ReportProcesses
from pipeline.assemble.reports.reporting import RunReport
from pipeline.clock import SystemClock
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.lease import this_process
from pipeline.report import OutcomeFormat

def tick():
    while not list(folder.glob(".parts.*/*.tally")):
        clock.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)

folder, clock = Path(sys.argv[2]), SystemClock()
ledger = Ledger(Path(sys.argv[1]), clock, this_process(), only_reads=True)
processes = ReportProcesses(2, least_rows=1, part_rows=1)
RunReport(ledger, folder, OutcomeFormat.CSV, processes=processes).write(ledger.find("last"), tick)
"""


@in_a_file
def test_the_next_report_removes_what_a_killed_one_left(every_status: RunRecord, opens: Opens, tmp_path: Path) -> None:
    """Parts of a killed process stay hidden until then, and its report is not seen."""
    ledger = opens()
    assert isinstance(ledger.place, Path)
    folder = tmp_path / "report"
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(ledger.place), str(folder)], check=False)
    left = list(folder.iterdir())

    found = written(ledger, every_status, folder, ReportProcesses())

    assert killed.returncode == -signal.SIGKILL
    assert {path.name[:7] for path in left} >= {".parts."}
    assert all(path.name.startswith(".") for path in left)
    assert sorted(found) == ["outcome.csv", "report.html", "rows_to_fix.csv", "rows_to_fix.xlsx", "summary.json"]
