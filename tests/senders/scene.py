"""A run that several real processes send: its workspace, its processes, and what the platform saw."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from pipeline.simulator import Simulator, client_config, write_client_keys
from tests.acceptance.workspace import JOBS, toml
from tests.postgresql.server import PostgresServer

CHECKOUT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 60.0
LEASE_SECONDS = 2.0
"""The lease of all processes of a scene."""


@dataclass(frozen=True)
class Ended:
    """Exit code and output of a process."""

    exit_code: int
    stdout: str
    stderr: str


@dataclass
class Scene:
    """A folder with config and exports; processes run in it, each with a short lease."""

    folder: Path
    simulator: Simulator
    url: str
    concurrency: int = 4
    child: str = "tests.senders.child"
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    connection: psycopg.Connection[Any] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        write_client_keys(self.folder / "keys")
        self.configure()

    def configure(self, changes: Mapping[str, Mapping[str, object]] | None = None, name: str = "backfill.toml") -> None:
        """Write a config, with changes to its tables."""
        tables: dict[str, Mapping[str, object]] = {"ledger": {"url": self.url}}
        tables |= {
            job: {**keys, "concurrency": self.concurrency} if "input" in keys else keys for job, keys in JOBS.items()
        }
        for table, keys in (changes or {}).items():
            tables[table] = {**tables.get(table, {}), **keys}
        (self.folder / name).write_text(client_config(self.simulator.url) + toml(tables), encoding="utf-8")
        (self.folder / name).chmod(0o600)

    def export(self, name: str, rows: Sequence[Mapping[str, str]]) -> None:
        """Write a CSV file with the columns of all rows."""
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with (self.folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)

    def start(
        self,
        *words: str,
        lease: float | None = LEASE_SECONDS,
        environ: Mapping[str, str] | None = None,
        stderr: int = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """Start a command in a process of its own; with None it has the usual lease."""
        others = {name: value for name, value in os.environ.items() if name not in ("BACKFILL_CONFIG", "RAY_ADDRESS")}
        module = ("pipeline",) if lease is None else (self.child, str(lease))
        process = subprocess.Popen(
            [sys.executable, "-B", "-m", *module, *words],
            cwd=self.folder,
            env={**others, "PYTHONPATH": str(CHECKOUT), "LC_ALL": "C.UTF-8", **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding="utf-8",
        )
        self.started.append(process)
        return process

    def command(self, *words: str, lease: float | None = LEASE_SECONDS) -> Ended:
        """Run a command to its end."""
        return end_of(self.start(*words, lease=lease))

    def senders(self) -> int:
        """Return how many senders have joined a run."""
        return int(self.ask("SELECT count(*) FROM senders")[0][0])

    def ask(self, sql: str) -> list[Any]:
        """Return the lines of a query; a zero if the ledger has no tables yet."""
        if self.connection is None:
            self.connection = psycopg.connect(self.url, autocommit=True)
        try:
            return self.connection.execute(sql.encode()).fetchall()
        except psycopg.errors.UndefinedTable:
            return [(0,)]

    def outcomes(self) -> list[dict[str, str]]:
        """Return the rows of the newest outcome file, without the facts of each run and attempt."""
        path = sorted(self.folder.glob("reports/*"))[-1] / "outcome.csv"
        own = ("run_id", "first_sent_at", "finished_at", "latency_ms", "trace_id")
        with path.open(encoding="utf-8", newline="") as file:
            return [{name: value for name, value in row.items() if name not in own} for row in csv.DictReader(file)]

    def summary(self) -> Any:
        """Return the summary of the newest run."""
        return json.loads((sorted(self.folder.glob("reports/*"))[-1] / "summary.json").read_bytes())

    def keys(self) -> list[str]:
        """Return the request keys that reached the platforms."""
        return [entry.key for entry in self.simulator.journal.entries]

    def close(self) -> None:
        """Kill processes that a failed test has left."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.communicate()
        self.disconnect()

    def disconnect(self) -> None:
        """Close the own connection to the server; `ask` connects again."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


@contextmanager
def scene_on(server: PostgresServer, folder: Path, child: str = "tests.senders.child") -> Iterator[Scene]:
    """Make a scene in a folder, with an empty ledger on a server, and platforms without faults."""
    url = server.database()
    with Simulator() as simulator:
        one = Scene(folder, simulator, url, child=child)
        try:
            yield one
        finally:
            one.close()
    server.drop(url)


def end_of(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a process."""
    stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
    return Ended(process.returncode, stdout, stderr)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true; fail after a timeout."""
    until = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < until, "the condition did not become true"
        time.sleep(0.02)
