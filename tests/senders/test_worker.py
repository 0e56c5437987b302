"""`backfill worker`, and the function that it calls for each run."""

import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from pipeline.assemble.senders import SentPartitions, send_partition
from pipeline.cli.main import main
from pipeline.errors import SettingsError
from pipeline.simulator import FaultKind, InjectedFault, When
from tests.acceptance.workspace import order
from tests.senders.child import with_lease
from tests.senders.kills import Lines
from tests.senders.scene import LEASE_SECONDS, Scene, end_of, wait_until


def test_a_worker_needs_a_server_and_known_jobs(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ledger in a file has no work for it (exit 2); with `--once` it ends where there is none (exit 0)."""
    monkeypatch.chdir(scene.folder)
    Scene(scene.folder / "alone", scene.simulator, "sqlite:///one.db")
    exit_codes = [
        main(["worker", "--config", "alone/backfill.toml"]),
        main(["worker", "--jobs", "orders,cards"]),
        main(["worker", "--once", "--health-file", "missing/alive"]),
        main(["worker", "--once", "--health-port", f"127.0.0.1:{urlsplit(scene.simulator.url).port}"]),
        main(["worker", "--once", "--health-file", "alive"]),
    ]
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("backfill: ")]

    assert exit_codes == [2, 2, 2, 2, 0]
    assert errors == [
        f"backfill: ledger {scene.folder / 'alone' / 'one.db'}: a file has one sender, the run itself; more than one "
        "need a ledger on PostgreSQL: see docs/how-to/two-hosts.md",
        "backfill: --jobs cards: backfill.toml has no such job; it has orders, tasks, states, points",
        "backfill: --health-file missing/alive can't be written: No such file or directory",
        f"backfill: --health-port {urlsplit(scene.simulator.url).netloc} can't be used: Address already in use",
    ]
    assert (scene.folder / "alive").exists()


def test_a_refused_caller_costs_three_requests_also_with_workers(scene: Scene) -> None:
    """Only the leading process sends until the platform accepted a request; a worker waits, and ends with 0."""
    scene.simulator.set_faults([InjectedFault(FaultKind.STATUS, status=403)])
    scene.export("orders.csv", [order(n) for n in range(60)])
    with socket.create_server(("127.0.0.1", 0)) as unused:
        place = f"127.0.0.1:{unused.getsockname()[1]}"
    worker = scene.start("worker", "--log-format", "json", "--health-port", place)
    lines = Lines(worker)
    wait_until(lambda: lines.has("worker_begun"))
    run = scene.command("run", "orders", "--processes", "2", lease=None)
    with urlopen(f"http://{place}/readyz", timeout=10) as response:
        health = response.read()
    worker.send_signal(signal.SIGTERM)

    assert (run.exit_code, worker.wait(30), health) == (4, 0, b"ok\n")
    assert 1 <= len(scene.keys()) <= 3
    assert not lines.has("sender_left")


def test_any_scheduler_may_call_it_twice_or_at_once(scene: Scene) -> None:
    """Each call sends partitions of its own; a config of another job or merchant is refused; then none is left."""
    scene.simulator.set_faults([InjectedFault(FaultKind.SLOW, seconds=0.3, when=When.AFTER_APPLYING)])
    scene.export("orders.csv", [order(n) for n in range(80)])
    config = (scene.folder / "backfill.toml").read_text("utf-8")
    wrong = {"merchant.toml": config.replace("2021000000000001", "2021000000000002"),
             "jobs.toml": config.replace("[jobs.orders", "[jobs.nights")}  # fmt: skip
    run = scene.start("run", "orders", "--no-progress")
    wait_until(lambda: scene.ask("SELECT coalesce(max(is_proven), 0) FROM run_states") == [(1,)])
    ((run_id,),) = scene.ask("SELECT run_id FROM runs")
    send = partial(
        send_partition, scene.folder / "backfill.toml", run_id, make_system=partial(with_lease, LEASE_SECONDS)
    )
    refusals = {}
    for name, text in wrong.items():
        (scene.folder / name).write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError) as refused:
            send_partition(scene.folder / name, run_id)
        refusals[name] = str(refused.value).removeprefix(str(scene.folder))
    with ThreadPoolExecutor(2) as threads:
        sent = [call.result() for call in [threads.submit(send), threads.submit(send)]]
    ended = end_of(run)

    assert ended.exit_code == 0, ended.stderr
    assert refusals == {
        "merchant.toml": "/merchant.toml [accounts.zhima] is Alipay app 2021000000000002 (simulated), but run "
        f"{run_id} sends for Alipay app 2021000000000001 (simulated); use the config of the run",
        "jobs.toml": f"/jobs.toml has no job 'orders' of run {run_id}; restore it",
    }
    assert [(one.has_joined, one.attempts > 0, one.reason) for one in sent] == [(True, True, None)] * 2
    assert send() == SentPartitions(run_id, has_joined=False)
    assert sorted(scene.keys()) == sorted(f"A{n}" for n in range(80))
