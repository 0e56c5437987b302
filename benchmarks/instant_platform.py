"""
A real run of a job against a platform in the same process that confirms at once.

    python -m benchmarks.instant_platform JOB INPUT [PROCESSES [ROWS]]      (in the folder of a config)
    python -m benchmarks.instant_platform --join CONFIG RUN      (started by the former)

Nothing is signed, no network is used, and the job's rate is ignored. All else is as in any run, so that the cost is
that of reading, staging, ledger, writer and report.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import orjson

from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.parts.run_options import RunOptions
from pipeline.assemble.parts.system import System
from pipeline.assemble.runner import Runner
from pipeline.assemble.senders import send_partition
from pipeline.clock import Clock, SystemClock
from pipeline.engines.processes import ProcessGroup
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.lease import this_process
from pipeline.model import Opened, Reply, SignedRequest, Trust
from pipeline.run.events import RunEvents
from pipeline.write.ports import at_once

_ECHOED = ("out_biz_no", "out_request_no", "point_balance")
# Requests per second: the most that a config may have, for all processes alike, and more than a ledger records.
_RATE = 10_000.0
# Pause of a helper that finds no partition, and how long it may take to end.
_LOOK_SECONDS = 0.02
_PATIENCE_SECONDS = 10.0


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


def instant_system(clock: Clock, platform: InstantPlatform | None = None) -> System:
    """Return the system of this machine, with this platform for all accounts."""
    signer = platform or InstantPlatform()
    return replace(
        System.real(clock),
        signer_of=lambda _account, _api: signer,
        transport_of=lambda _account, _job: signer,
        helpers=_helpers,
    )


def run(
    folder: Path, job: str, source: str, platform: InstantPlatform, processes: int = 1, rows: int | None = None
) -> int:
    """Run the job of a folder's config over one input, or its first rows; return the exit code."""
    clock = SystemClock()
    config = open_config(folder / "backfill.toml", {}, clock, job)
    config = replace(config, jobs={job: replace(config.jobs[job], rate=_RATE)})
    system = replace(instant_system(clock, platform), folder=folder)
    with closing(Ledger(config.ledger, clock, this_process())) as ledger:
        options = RunOptions(processes=processes, limit=rows)
        return Runner(config, ledger, system, RunEvents()).run(job, [source], options).summary.exit_code


class _Helpers:
    def check(self) -> None:
        """Do nothing: a helper runs until it is ended."""


@contextmanager
def _helpers(config: Path, run_id: str, count: int) -> Iterator[_Helpers]:
    command = [sys.executable, "-m", "benchmarks.instant_platform", "--join", str(config), run_id]
    with ProcessGroup(command, count, patience=_PATIENCE_SECONDS):
        yield _Helpers()


def join(config: str, run_id: str) -> None:
    """Send partitions of a run until the standard input ends."""
    is_over = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        is_over.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    while not is_over.wait(_LOOK_SECONDS):
        send_partition(config, run_id, make_system=instant_system)


if __name__ == "__main__":
    if sys.argv[1] == "--join":
        join(*sys.argv[2:])
    else:
        _job, _source, *_numbers = sys.argv[1:]
        sys.exit(run(Path.cwd(), _job, _source, InstantPlatform(), *map(int, _numbers)))
