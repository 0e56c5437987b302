"""
Nights that lie behind: the real run of a job, to a platform in the same process that says yes at once.

    python -m benchmarks.past JOB INPUT [--unsynced]      (in the folder of a config)

Nothing is signed and no network is used, and the rate of the job does not count. All else is what a run does, so the
ledger and the report are those of a night that went well; and what it takes is what they and the writer cost. With
`--unsynced` it does not wait for the disk: that is for making long pasts, not for measuring.
"""

import sqlite3
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import orjson

from pipeline.assemble.ledgers import ledger_path
from pipeline.assemble.opening import open_config
from pipeline.assemble.outside import Outside
from pipeline.assemble.wishes import Watcher, Wishes
from pipeline.assemble.workshop import Workshop
from pipeline.clock import SystemClock
from pipeline.ledger.database import connect
from pipeline.ledger.lease import this_process
from pipeline.ledger.ledger import Ledger
from pipeline.model import Opened, Reply, SignedRequest, Trust
from pipeline.write.ports import at_once

_ECHOED = ("out_biz_no", "out_request_no", "point_balance")
# More than any ledger can take in.
_RATE = 100_000.0


class Yes:
    """Signer and platform in one: takes every request as it is, and confirms it."""

    def sign(self, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:  # noqa: ARG002 - the port's
        """Return a request without a signature."""
        return SignedRequest("POST", "/", {}, body)

    def send(self, request: SignedRequest, depart: Callable[[], None] = at_once) -> Reply:
        """Return the answer of a platform that took it."""
        depart()
        asked: Mapping[str, object] = orjson.loads(request.body)
        return Reply(200, {}, orjson.dumps({name: asked[name] for name in _ECHOED if name in asked}))

    def open(self, reply: Reply, *, at: datetime) -> Opened:  # noqa: ARG002 - the port's
        """Return the answer as one to be trusted."""
        return Opened(Trust.VERIFIED, reply.body)

    def shortest_trip(self) -> float:
        """Return 0: there is no network."""
        return 0.0

    def key_request(self, opened: Opened | None, *, at: datetime, nonce: str) -> SignedRequest | None:  # noqa: ARG002 - the port's
        """Return None: there are no keys."""
        return None

    def keys_due(self, at: datetime) -> bool:  # noqa: ARG002 - the port's
        """Return False: there are no keys."""
        return False

    def learn_keys(self, reply: Reply, *, at: datetime) -> bool:  # noqa: ARG002 - the port's
        """Return False: there are no keys."""
        return False


def _unsynced(path: Path, *, durable: bool = True) -> sqlite3.Connection:
    connection = connect(path, durable=durable)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def run(job: str, source: str, *, synced: bool) -> int:
    """Run the job of the config in this folder over one input; return the exit code."""
    clock, platform = SystemClock(), Yes()
    config = open_config(Path("backfill.toml"), {}, clock, job)
    # Where nothing has to be waited for, threads only stand in each other's way.
    workers = config.jobs[job].concurrency if synced else 1
    config = replace(config, jobs={job: replace(config.jobs[job], rate=_RATE, concurrency=workers)})
    outside = replace(
        Outside.real(clock, {}), signer_of=lambda _account, _api: platform, transport_of=lambda _account, _job: platform
    )
    path = ledger_path(config)
    ledger = Ledger(path, clock, this_process(), connect=connect if synced else _unsynced)
    try:
        return Workshop(config, ledger, outside, Watcher()).run(job, [source], Wishes()).summary.exit_code
    finally:
        ledger.close()


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2], synced="--unsynced" not in sys.argv))
