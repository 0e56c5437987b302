"""A run whose inputs are staged in slices ends as one that a single process stages."""

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pipeline.assemble.slice_reader import SliceReader
from pipeline.assemble.slicing import LocalWorkers, SliceWork, stage_slice
from pipeline.errors import SourceError
from pipeline.ledger.store.lease import LeaseOwner
from pipeline.map import retarget
from pipeline.model import RowLimit
from pipeline.settings import Config
from tests.acceptance.workspace import JOBS, order
from tests.assemble.nights import FIRST, SECOND, Row, Scene, exports, write
from tests.postgresql import fixtures
from tests.postgresql.server import PostgresServer

postgres = fixtures.postgres


@dataclass
class Workers:
    """Workers in this process: they stage some slices, in any order, some of them twice, and leave others."""

    config: Config
    open_ledger: Callable[[], Any]
    chance: random.Random

    def start(self, run_id: str) -> None:
        with self.open_ledger() as ledger:
            run, reader = ledger.find(run_id), SliceReader(self.config)
            slices = [each.slice_no for each in ledger.open_slices()]
            self.chance.shuffle(slices)
            for slice_no in slices[: self.chance.randrange(len(slices) + 1)]:
                if self.chance.random() < 0.3:
                    # It is begun by another process, which dies.
                    held = ledger.take_slice(run, slice_no, retarget)
                    held.leave()
                assert stage_slice(reader, ledger, run, slice_no)
                assert not stage_slice(reader, ledger, run, slice_no)

    def check(self) -> None:
        pass

    def stop(self) -> None:
        pass


class OneDies(LocalWorkers):
    """Another process of this machine, which is killed while it has a slice."""

    def __init__(self, config: Config, url: str) -> None:
        super().__init__(config, 1)
        self._url = url
        self.killed = 0

    def check(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self.killed:
                query = "SELECT holder FROM slices WHERE expires_at > clock_timestamp() AND state IN ('open', 'found')"
                for (owner,) in connection.execute(query):
                    self.killed = LeaseOwner.parse(owner).pid
                    os.kill(self.killed, signal.SIGKILL)
                    break
        super().check()


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

    def check(self) -> None:
        pass

    def stop(self) -> None:
        pass


def test_slices_in_any_order_end_as_one_process(postgres: PostgresServer, tmp_path: Path) -> None:
    """With slices in any order, some begun twice, ledger and outcomes are those of one process; no slice is left."""

    before, now = exports(tmp_path, 1, FIRST), exports(tmp_path, 2, SECOND)
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
