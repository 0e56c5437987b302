"""`backfill simulate`, for users without platform accounts."""

import json
import signal

from tests.acceptance.workspace import JOBS, Workspace, end_of, order, toml


def test_the_simulator_serves_a_run_and_prints_counts(workspace: Workspace) -> None:
    """The simulator writes keys and accounts, serves a run with faults, keeps a journal and prints counts."""
    (workspace.folder / "faults.toml").write_text('[[fault]]\nkind = "throttle"\nfirst = 1\nretry_after = 1\n')
    words = ["--port", "0", "--keys", "there", "--faults", "faults.toml", "--journal", "journal.jsonl"]

    process = workspace.start("simulate", *words)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    config = workspace.folder / "there" / "backfill.toml"
    config.write_text(
        config.read_text() + toml({name: JOBS[name] for name in ("jobs.orders", "jobs.orders.constants")})
    )
    workspace.export("orders.csv", [order(1), order(2)])
    ran = workspace.backfill("run", "orders", "orders.csv", "--config", "there/backfill.toml", "--json")
    process.send_signal(signal.SIGTERM)
    ended = end_of(process)

    assert lines[0].startswith("simulator at http://127.0.0.1:")
    assert (ran.exit_code, json.loads(ran.stdout)["quota"]["throttled"]) == (0, 1)
    assert (ended.exit_code, ended.stdout) == (0, "3 requests, 2 applied, 1 throttled\n")
    journal = [json.loads(line) for line in (workspace.folder / "journal.jsonl").read_text().splitlines()]
    assert [entry["decision"] for entry in journal] == ["throttled", "applied", "applied"]
