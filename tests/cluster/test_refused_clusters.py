"""`--engine ray` where it can't work."""

from pathlib import Path

import pytest

from pipeline.cli.main import main
from tests.acceptance.workspace import order
from tests.postgresql.server import free_port
from tests.senders.scene import Scene


def test_a_cluster_that_can_not_be_used_is_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a ledger on a server, its engine, a cluster or Ray, the command exits with 2 and sends nothing."""
    monkeypatch.chdir(scene.folder)
    Scene(scene.folder / "alone", scene.simulator, "sqlite:///one.db")
    scene.export("orders.csv", [order(1)])
    nobody = f"127.0.0.2:{free_port()}"
    on_ray = ("run", "orders", "--engine", "ray")
    exit_codes = [
        main([*on_ray, "--config", "alone/backfill.toml"]),
        main(["run", "orders", "--address", nobody]),
        main([*on_ray, "--address", nobody]),
    ]
    monkeypatch.setenv("RAY_ADDRESS", "nowhere")
    exit_codes.append(main([*on_ray]))
    Path("sitecustomize.py").write_text("import sys\nsys.modules['ray'] = None\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(scene.folder))
    exit_codes.append(main([*on_ray, "--address", nobody]))
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("backfill: ")]

    assert exit_codes == [2, 2, 2, 2, 2]
    assert scene.keys() == []
    assert errors == [
        "backfill: --engine ray: with a SQLite ledger only one process sends; write 1, leave it out, or use a "
        "PostgreSQL ledger",
        f"backfill: --address {nobody} needs --engine ray",
        f"backfill: --engine ray: the cluster {nobody} can't be used: [Errno 111] Connection refused; nothing was "
        "sent. See docs/how-to/ray.md",
        "backfill: --engine ray: the cluster nowhere can't be used: Invalid address format: nowhere; nothing was "
        "sent. See docs/how-to/ray.md",
        "backfill: --engine ray needs Ray; install it with `pip install loyalty-backfill[cluster]`",
    ]
