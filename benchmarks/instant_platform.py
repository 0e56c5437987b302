"""
A real run of a job against a platform in the same process that confirms at once.

    python -m benchmarks.instant_platform JOB INPUT      (in the folder of a config)

Nothing is signed, no network is used, and the job's rate is ignored. All else is as in any run, so that the cost is
that of reading, staging, ledger, writer and report.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import orjson

from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.parts.run_options import RunOptions
from pipeline.assemble.parts.system import System
from pipeline.assemble.runner import Runner
from pipeline.clock import SystemClock
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.lease import this_process
from pipeline.model import Opened, Reply, SignedRequest, Trust
from pipeline.run.events import RunEvents
from pipeline.write.ports import at_once

_ECHOED = ("out_biz_no", "out_request_no", "point_balance")
# Requests per second: more than any ledger can record.
_RATE = 100_000.0


class InstantPlatform:
    """Signer and transport in one: confirms every request at once."""

    def sign(self, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:  # noqa: ARG002 - the port's
        """Return a request without a signature."""
        return SignedRequest("POST", "/", {}, body)

    def send(
        self,
        request: SignedRequest,
        depart: Callable[[], None] = at_once,
        *,
        fresh: bool = False,  # noqa: ARG002 - the port's
    ) -> Reply:
        """Return the answer of a platform that accepted the request."""
        depart()
        content: Mapping[str, object] = orjson.loads(request.body)
        return Reply(200, {}, orjson.dumps({name: content[name] for name in _ECHOED if name in content}))

    def open(self, reply: Reply, *, at: datetime) -> Opened:  # noqa: ARG002 - the port's
        """Return the answer as verified."""
        return Opened(Trust.VERIFIED, reply.body)

    def key_request(self, opened: Opened | None, *, at: datetime, nonce: str) -> SignedRequest | None:  # noqa: ARG002 - the port's
        """Return None: there are no keys."""
        return None

    def can_verify(self) -> bool:
        """Return True: nothing is signed."""
        return True

    def keys_due(self, at: datetime) -> bool:  # noqa: ARG002 - the port's
        """Return False: there are no keys."""
        return False

    def learn_keys(self, reply: Reply, *, at: datetime) -> bool:  # noqa: ARG002 - the port's
        """Return False: there are no keys."""
        return False


def run(folder: Path, job: str, source: str, platform: InstantPlatform) -> int:
    """Run the job of a folder's config over one input; return the exit code."""
    clock = SystemClock()
    config = open_config(folder / "backfill.toml", {}, clock, job)
    config = replace(config, jobs={job: replace(config.jobs[job], rate=_RATE)})
    system = replace(
        System.real(clock),
        signer_of=lambda _account, _api: platform,
        transport_of=lambda _account, _job: platform,
        folder=folder,
    )
    ledger = Ledger(config.ledger_path, clock, this_process())
    try:
        return Runner(config, ledger, system, RunEvents()).run(job, [source], RunOptions()).summary.exit_code
    finally:
        ledger.close()


if __name__ == "__main__":
    sys.exit(run(Path.cwd(), sys.argv[1], sys.argv[2], InstantPlatform()))
