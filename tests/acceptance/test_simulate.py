"""`backfill simulate`, as somebody without accounts at the platforms uses it."""

import json
import signal

from tests.acceptance.night import JOBS, Night, end_of, order, toml


def test_the_simulator_serves_a_run_and_tells_what_it_did(night: Night) -> None:
    """It writes keys and accounts, serves a run with faults, keeps a journal, and ends on SIGTERM with its counts."""
    (night.folder / "faults.toml").write_text('[[fault]]\nkind = "throttle"\nfirst = 1\nretry_after = 1\n')
    words = ["--port", "0", "--keys", "there", "--faults", "faults.toml", "--journal", "journal.jsonl"]

    process = night.start("simulate", *words)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    config = night.folder / "there" / "backfill.toml"
    config.write_text(
        config.read_text() + toml({name: JOBS[name] for name in ("jobs.orders", "jobs.orders.constants")})
    )
    night.export("orders.csv", [order(1), order(2)])
    ran = night.backfill("run", "orders", "orders.csv", "--config", "there/backfill.toml", "--json")
    process.send_signal(signal.SIGTERM)
    ended = end_of(process)

    assert lines[0].startswith("simulator at http://127.0.0.1:")
    assert (ran.exit_code, json.loads(ran.stdout)["quota"]["throttled"]) == (0, 1)
    assert (ended.exit_code, ended.stdout) == (0, "3 requests, 2 applied, 1 throttled\n")
    journal = [json.loads(line) for line in (night.folder / "journal.jsonl").read_text().splitlines()]
    assert [entry["decision"] for entry in journal] == ["throttled", "applied", "applied"]
