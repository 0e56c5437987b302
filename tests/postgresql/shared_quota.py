"""
Two hosts whose clocks differ send for one account, under one quota.

All of them have real-time priority. faketime takes a lock of its own at each timed wait of a thread. On a busy machine
the system suspends the thread that has it, and the others wait for tens of milliseconds. That would be measured, not
the quota.
"""

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.simulator import Entry, Simulator
from tests.kills import promises
from tests.kills.exports import points
from tests.kills.workspace import Workspace, end_of
from tests.postgresql.crashes import use_ledger
from tests.postgresql.hosts import another_host
from tests.postgresql.server import PostgresServer

# How far the clocks of one host are ahead, and those of the other behind: nearly 10 minutes apart. The platform refuses
# a host that is 5 minutes off.
_OFF_SECONDS = 290.0
_LIMIT = 5
_SECOND_JOB = """
[jobs.more]
export = "points"
api = "wechatpay.points"
account = "card"
input = ["more.csv"]
[jobs.more.constants]
brand_id = "1004"
card_id = "pTESTcardTemplate0000000001"
"""


@dataclass(frozen=True, slots=True)
class Shared:
    """How the quota was used while both hosts were sending: `requests` that took `seconds`, a multiple of the limit."""

    requests: int
    seconds: float
    share_of_first: float

    @property
    def used(self) -> float:
        """The share of the quota that was used; at most 1 if the quota was kept."""
        return self.requests / (_LIMIT * self.seconds)

    def __str__(self) -> str:
        """Return the figures as one line."""
        return (
            f"{self.requests} requests in {self.seconds:.1f} s, {self.used:.1%} of the quota; "
            f"{self.share_of_first:.0%} of them by the first host"
        )


@contextmanager
def real_time_priority(server: PostgresServer) -> Iterator[None]:
    """Give this thread, the server, and all threads and processes that they start priority over everything else."""
    assert server.process is not None
    for pid in (0, server.process.pid):
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(10))
    try:
        yield
    finally:
        for pid in (0, server.process.pid):
            os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))


def share_the_quota(folder: Path, server: PostgresServer, rows: int) -> Shared:
    """Run two jobs of `rows` balances on two hosts at once; raise AssertionError if a promise is broken."""
    with (
        real_time_priority(server),
        Simulator() as simulator,
        closing(Workspace(folder, simulator, points(5))) as workspace,
    ):
        use_ledger(workspace, server.database())
        config = workspace.folder / "backfill.toml"
        config.write_text(config.read_text(encoding="utf-8") + _SECOND_JOB, encoding="utf-8")
        for job in ("points", "more"):
            _write(workspace.folder / f"{job}.csv", job, rows)
        # Both find the tables made, and begin to send at about the same time.
        assert workspace.command("runs").exit_code == 0
        ports = [server.port, urlsplit(simulator.url).port or 0]
        with another_host(ports, -_OFF_SECONDS) as one, another_host(ports, _OFF_SECONDS) as other:
            processes = [
                workspace.start("run", job, wrapper=host.wrapper) for job, host in (("points", one), ("more", other))
            ]
            ends = [end_of(process, 60 + rows) for process in processes]
        assert [end.exit_code for end in ends] == [0, 0], ends
        entries = sorted(simulator.journal.entries, key=lambda entry: entry.steady)
    promises.nothing_counts_twice(entries)
    promises.the_quota_was_kept(entries)
    assert len(entries) == 2 * rows, (len(entries), [end.stdout for end in ends])
    return _shared(entries)


def _shared(entries: Sequence[Entry]) -> Shared:
    first = [entry.steady for entry in entries if entry.key.startswith("points")]
    second = [entry.steady for entry in entries if entry.key.startswith("more")]
    begins, ends_at = max(first[0], second[0]), min(first[-1], second[-1])
    both = [entry for entry in entries if begins <= entry.steady <= ends_at]
    # Requests come in groups, so only whole seconds of the quota can be compared.
    requests = (len(both) - 1) // _LIMIT * _LIMIT
    of_first = sum(entry.key.startswith("points") for entry in both)
    return Shared(requests, both[requests].steady - both[0].steady, of_first / len(both))


def _write(path: Path, job: str, rows: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["openid", "user_card_code", "point_balance", "out_request_no"])
        writer.writeheader()
        for number in range(rows):
            card = number + (0 if job == "points" else rows)
            writer.writerow(
                {
                    "openid": f"oTEST{card:023d}",
                    "user_card_code": f"{card:012d}",
                    "point_balance": str(number),
                    "out_request_no": f"{job}{number}",
                }
            )
