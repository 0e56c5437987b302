"""A plan whose inputs several processes read is that of one process, and writes nothing."""

import gzip
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
import pytest

from pipeline.assemble.dry_slicing import local_stagers
from pipeline.assemble.parts.run_options import RunOptions
from pipeline.assemble.parts.system import System
from pipeline.assemble.plan import plan
from pipeline.cli.main import main
from pipeline.engines.processes import ProcessGroup
from pipeline.errors import SourceError
from pipeline.model import RowLimit
from pipeline.run.plan import Plan
from pipeline.settings import Config
from tests.acceptance.workspace import order
from tests.assemble.nights import FIRST, SECOND, SIZES, Scene, exports, write
from tests.postgresql import fixtures
from tests.postgresql.server import PostgresServer

postgres = fixtures.postgres


# A process that dies within its first slice: it has written a block, and half of its answer.
_DIES = """
import json, os, sys
os.write(json.loads(sys.stdin.readline())["file"], b"notebody")
sys.stdin.readline()
sys.stdout.write('{"blocks": [[7, 0, 4, 4]], "result": {')
"""


def dying(_config: Config, files: Sequence[int]) -> ProcessGroup:
    """Return processes that die within their first slices."""
    return ProcessGroup([sys.executable, "-S", "-c", _DIES], len(files), patience=0, is_read=True, files=files)


def planned(
    scene: Scene,
    job: str,
    inputs: Sequence[Path],
    processes: int,
    start: Callable[[Config, Sequence[int]], ProcessGroup] = dying,
) -> Plan:
    options = RunOptions(processes=processes, max_invalid=RowLimit(100))
    return plan(
        scene.config, job, list(map(str, inputs)), options, System.real(scene.clock), compares=True,
        chunk_rows=2, cut_sizes=SIZES, stagers=start,
    )  # fmt: skip


@pytest.fixture(params=["server", "file"])
def scene(request: pytest.FixtureRequest, postgres: PostgresServer, tmp_path: Path) -> Scene:
    """A ledger that knows a first night and a fixed row, on a server and in a file."""
    url = postgres.database() if request.param == "server" else "sqlite:///state/backfill.db"
    first = Scene(tmp_path / "first", url)
    for job, inputs in exports(tmp_path, 1, FIRST).items():
        first.run(job, inputs, sends=True)
    fixed = min((first.folder / "reports").glob("*/rows_to_fix.csv"))
    fixed.write_text(fixed.read_text(encoding="utf-8-sig").replace(",x,", ",8.00,"), encoding="utf-8")
    first.run("orders", [fixed], sends=True)
    return first


def test_slices_make_the_plan_of_one_process(scene: Scene, tmp_path: Path) -> None:
    """Rows of every kind, cut into small slices, make the same whole plan; what a dead process left does not count."""
    before, now = exports(tmp_path, 1, FIRST), exports(tmp_path, 2, SECOND)
    one, several = (
        {job: planned(scene, job, before[job] + now[job], processes) for job in now} for processes in (1, 2)
    )

    assert several == one
    assert {code for made in one.values() for code in made.codes} >= {
        "already_succeeded", "contradiction", "duplicate_row", "fixed_already", "key_conflict", "superseded",
        "unchanged",
    }  # fmt: skip
    assert {made.differences is None for made in one.values()} == {False}


def test_an_input_that_is_one_slice_is_left_to_one_process(tmp_path: Path) -> None:
    """Processes that were started, because it is large, end: the plan is that of one process."""
    scene = Scene(tmp_path / "scene", "sqlite:///state/backfill.db")
    text = write(tmp_path / "a.csv", [order(at) for at in range(9)]).read_bytes()
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text))
    groups = list[ProcessGroup]()

    def start(config: Config, files: Sequence[int]) -> ProcessGroup:
        groups.append(local_stagers(config, files))
        return groups[0]

    one, several = (planned(scene, "orders", [tmp_path / "a.csv.gz"], processes, start=start) for processes in (1, 2))

    assert several == one
    assert one.rows == 9
    assert [process.poll() is not None for group in groups for process in group._processes] == [True]


def test_other_processes_plan_and_write_nothing(
    postgres: PostgresServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`plan --processes 2` prints and saves what one process does, and the ledger stays as it was."""
    scene = Scene(tmp_path / "scene", postgres.database())
    inputs = [path for night, rows in ((1, FIRST), (2, SECOND)) for path in exports(tmp_path, night, rows)["orders"]]
    scene.run("orders", inputs[:1], sends=True)
    before, found = scene.tables(), []
    for processes in ("1", "2"):
        saved = tmp_path / f"{processes}.plan"
        words = ["--processes", processes, "--json", "--diff", "--save", str(saved)]
        exit_code = main(["plan", "orders", *map(str, inputs), "--config", str(scene.config.path), *words])
        shown = orjson.loads(capsys.readouterr().out)
        del shown["ends_at"]
        found.append((exit_code, shown, saved.read_bytes()))

    assert found[1] == found[0]
    assert found[0][1]["codes"]["already_succeeded"] > 0
    assert scene.tables() == before


def test_the_error_of_a_slice_is_shown(tmp_path: Path) -> None:
    """A file whose data is damaged behind its header is named as by one process, whichever process reads it."""
    scene = Scene(tmp_path / "scene", "sqlite:///state/backfill.db")
    inputs = [write(tmp_path / f"{n}.parquet", [order(10 * n + at) for at in range(4)]) for n in range(2)]
    data = bytearray(inputs[1].read_bytes())
    data[4:200] = bytes(196)
    inputs[1].write_bytes(data)

    with pytest.raises(SourceError) as one:
        planned(scene, "orders", inputs, 1)
    with pytest.raises(SourceError) as several:
        plan(scene.config, "orders", list(map(str, inputs)), RunOptions(processes=2), System.real(scene.clock))
    assert str(several.value) == str(one.value)
    assert "1.parquet" in str(one.value)
