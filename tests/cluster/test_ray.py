"""`--engine ray`: workers on the nodes of a Ray cluster send for a run, as if it were one process."""

import json
import os
import pty
import re
import signal
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from pipeline.ledger.store.lease import LeaseOwner
from pipeline.simulator import Simulator
from tests.acceptance.workspace import order
from tests.cluster import kills
from tests.cluster.kills import Survivor, log_of, play, start_on, worker_on
from tests.cluster.nodes import HEAD, SECOND, RayNodes, is_worker
from tests.docs import test_commands
from tests.postgresql.server import PostgresServer
from tests.senders.kills import HELD, SLOW, Killed, Lines
from tests.senders.scene import Scene, end_of, wait_until
from tests.senders.test_senders import ORDERS

# Longer than a process may be frozen on a busy machine.
_LONG_LEASE_SECONDS = 30.0


class Terminal:
    """A terminal that a process writes to."""

    def __init__(self) -> None:
        self.text = ""
        self._reader, self.writer = pty.openpty()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        # Without a writer, reading is an error.
        with suppress(OSError):
            while data := os.read(self._reader, 1 << 16):
                self.text += data.decode(errors="replace")

    def end(self) -> str:
        """Return what was shown, without control sequences and with single blanks."""
        os.close(self.writer)
        self._thread.join()
        os.close(self._reader)
        return " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", self.text).split())


def test_a_run_on_two_nodes_ends_as_with_one_process(scene: Scene, nodes: RayNodes) -> None:
    """
    Both nodes send, each key once; progress and time left are those of the whole run; the outcomes are those of one
    process, and stdout has the summary alone.
    """
    scene.export("orders.csv", ORDERS)
    terminal = Terminal()
    run = start_on(scene, nodes, "run", "orders", "--json", environ={"TERM": "xterm"}, stderr=terminal.writer)
    wait_until(lambda: "left, until" in terminal.text)
    scene.simulator.set_faults([])
    two = run.communicate(timeout=60)[0], run.returncode
    outcomes, sent = scene.outcomes(), scene.keys()
    alone = Scene(scene.folder / "alone", scene.simulator, "sqlite:///one.db")
    scene.simulator.reset()
    alone.export("orders.csv", ORDERS)
    one = alone.command("run", "orders", lease=None)
    shown = terminal.end()

    assert (two[1], one.exit_code) == (3, 3)
    assert outcomes == alone.outcomes()
    assert sorted(sent) == sorted(set(sent)) == sorted(scene.keys())
    counts = {status: rows for status, rows in json.loads(two[0])["counts"].items() if rows}
    assert counts == Counter(row["status"] for row in outcomes)
    assert set(re.findall(r"a worker began on node ([0-9.]+)", shown)) == {HEAD, SECOND}
    assert f"100% {len(sent)} of {len(sent)}" in shown
    assert "WARNING" not in shown
    wait_until(lambda: not any(is_worker(words) for words in nodes.processes().values()))


def test_a_node_stages_slices_and_the_run_ends_as_with_one_process(scene: Scene, nodes: RayNodes) -> None:
    """The worker of the second node stages some of 8 inputs; outcomes and counts are those of one process."""
    alone = Scene(scene.folder / "alone", scene.simulator, "sqlite:///one.db")
    for each in (scene, alone):
        each.configure({"jobs.orders": {"input": ["orders-*.csv"]}})
        for n in range(8):
            each.export(f"orders-{n}.csv", ORDERS[n::8])
    words = ("--no-progress", "--log-format", "json", "--engine", "ray", "--address", nodes.address)
    run = scene.start("run", "orders", *words, lease=_LONG_LEASE_SECONDS)
    lines = Lines(run)
    wait_until(lambda: scene.ask("SELECT count(*) FROM slices") != [(0,)])
    with psycopg.connect(scene.url) as connection:
        # Who looks for a slice passes over locked ones. So there are some left when the workers have begun.
        connection.execute(
            "SELECT FROM slices WHERE expires_at = '-infinity' AND state = 'open' FOR UPDATE SKIP LOCKED"
        )
        here, there = (worker_on(lines, node) for node in (HEAD, SECOND))
        logs = [log_of(scene, worker) for worker in (here, there)]
        wait_until(lambda: all(log.exists() and "worker_begun" in log.read_text("utf-8") for log in logs))
        for pid in (run.pid, here):
            os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: there in _stagers(scene))
    for pid in (run.pid, here):
        os.kill(pid, signal.SIGCONT)
    ended = kills.end_of(run, lines)
    one = alone.command("run", "orders", lease=None)

    assert (ended.exit_code, one.exit_code) == (3, 3), ended.stderr
    assert scene.outcomes() == alone.outcomes()
    assert scene.summary()["counts"] == alone.summary()["counts"]


def _stagers(scene: Scene) -> set[int]:
    """Return the processes that have staged slices."""
    owners = scene.ask("SELECT DISTINCT holder FROM slices WHERE state <> 'open'")
    return {LeaseOwner.parse(owner).pid for (owner,) in owners}


def test_a_signal_drains_all_nodes_and_resume_goes_on(scene: Scene, nodes: RayNodes) -> None:
    """
    Ctrl-C lets requests in flight end on each node (exit 5). `resume` sends the rest, each key once, here without the
    nodes: they do not have the config, and the log says so.
    """
    scene.export("orders.csv", [order(n) for n in range(150)])
    run = start_on(scene, nodes, "run", "orders", "--no-progress")
    scene.simulator.set_faults([SLOW])
    wait_until(lambda: len(scene.keys()) >= 40)
    run.send_signal(signal.SIGINT)
    interrupted = end_of(run).exit_code, Counter(row["status"] for row in scene.outcomes())
    before = len(scene.keys())
    # A path that is another file in each process.
    words = ("--config", "/proc/self/cwd/backfill.toml", "--engine", "ray", "--address", nodes.address)
    scene.simulator.set_faults([HELD])
    resume = scene.start("resume", "last", *words)
    lines = Lines(resume)
    wait_until(lambda: resume.poll() is not None or lines.text.count("ended with exit code 2") == 2)
    scene.simulator.set_faults([])

    assert interrupted == (5, {"succeeded": before, "unsent": 150 - before})
    assert before < 150
    assert resume.wait(60) == 0, lines.text
    assert sorted(scene.keys()) == sorted(f"A{n}" for n in range(150))
    for node in (HEAD, SECOND):
        assert f"WARNING node {node}: /proc/self/cwd/backfill.toml: no config file" in lines.text
        assert f"WARNING the worker of node {node} ended with exit code 2" in lines.text


def test_the_commands_of_the_how_to_work(
    tmp_path: Path, nodes: RayNodes, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The how-to's run on two nodes ends with the exit code that it names."""
    monkeypatch.chdir(tmp_path)
    url = postgres.database()
    with Simulator() as simulator:
        test_commands.begin(test_commands.ON_RAY, simulator, monkeypatch.chdir)
        test_commands.put_ledger_on(url)
        addresses = {"127.0.0.2:6379": nodes.address}
        test_commands.check_commands(test_commands.ON_RAY, simulator, monkeypatch.chdir, addresses)
    postgres.drop(url)


def test_a_run_survives_the_death_of_a_node_whose_worker_lives(scene: Scene, nodes: RayNodes) -> None:
    """All rows succeed, each key has one body, and the worker that wakes after its lease writes nothing."""
    assert play(scene, nodes, Survivor.WAKES_LATE, after=40, rows=120) == Killed(exit_code=0, was_refused=True)
