"""`--engine ray`: workers on the nodes of a Ray cluster send for a run, as if it were one process."""

import json
import signal
from collections import Counter

from tests.acceptance.workspace import order
from tests.cluster.kills import NodeKilled, Survivor, end_of, play, start_on
from tests.cluster.nodes import HEAD, SECOND, RayNodes, is_worker
from tests.senders.scene import Scene, wait_until
from tests.senders.test_senders import ORDERS


def test_a_run_on_two_nodes_ends_as_with_one_process(scene: Scene, nodes: RayNodes) -> None:
    """Both nodes send, each key once; the outcomes are those of one process; stdout has the summary alone."""
    scene.export("orders.csv", ORDERS)
    run, lines = start_on(scene, nodes, "run", "orders", "--json", "--no-progress")
    scene.simulator.set_faults([])
    two = end_of(run, lines)
    outcomes, sent = scene.outcomes(), scene.keys()
    alone = Scene(scene.folder / "alone", scene.simulator, "sqlite:///one.db")
    scene.simulator.reset()
    alone.export("orders.csv", ORDERS)
    one = alone.command("run", "orders", lease=None)
    log = [json.loads(line) for line in two.stderr.splitlines()]

    assert (two.exit_code, one.exit_code) == (3, 3)
    assert outcomes == alone.outcomes()
    assert sorted(sent) == sorted(set(sent)) == sorted(scene.keys())
    counts = json.loads(two.stdout)["counts"]
    assert {status: rows for status, rows in counts.items() if rows} == Counter(row["status"] for row in outcomes)
    assert {line["node"] for line in log if line["event"] == "worker_begun"} == {HEAD, SECOND}
    assert [line for line in log if line["level"] != "info"] == []
    wait_until(lambda: not any(is_worker(words) for words in nodes.processes().values()))


def test_a_signal_drains_all_nodes_and_resume_goes_on(scene: Scene, nodes: RayNodes) -> None:
    """Ctrl-C lets requests in flight end on each node (exit 5); then `resume` sends the rest, each key once."""
    scene.export("orders.csv", [order(n) for n in range(150)])
    run, lines = start_on(scene, nodes, "run", "orders", "--no-progress")
    wait_until(lambda: len(scene.keys()) >= 40)
    run.send_signal(signal.SIGINT)
    interrupted = end_of(run, lines).exit_code, Counter(row["status"] for row in scene.outcomes())
    before = len(scene.keys())
    resumed = scene.command("resume", "last")

    assert interrupted == (5, {"succeeded": before, "unsent": 150 - before}), lines.text
    assert before < 150
    assert resumed.exit_code == 0, resumed.stderr
    assert sorted(scene.keys()) == sorted(f"A{n}" for n in range(150))


def test_a_run_survives_the_death_of_a_node_whose_worker_lives(scene: Scene, nodes: RayNodes) -> None:
    """All rows succeed, each key has one body, and the worker that wakes after its lease writes nothing."""
    assert play(scene, nodes, Survivor.WAKES_LATE, after=40, rows=80) == NodeKilled(exit_code=0, was_refused=True)
