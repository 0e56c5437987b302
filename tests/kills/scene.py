"""Where a history plays: a folder with a config and an export, the simulated platform, and the real command."""

import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.settings import TransportName
from pipeline.simulator import Simulator, client_config, write_client_keys
from tests.kills.children import Child, Ended, Fate, Unharmed, live
from tests.kills.exports import Export

_CHECKOUT = Path(__file__).parents[2]
_PATIENCE_SECONDS = 60.0
# What a command says that was to go on with a run where none was begun.
NO_RUN = "'last' is no run in this ledger"
_JOBS = """
[jobs.orders]
export = "orders"
api = "alipay.cumulation"
account = "zhima"
input = ["orders.csv"]
rate = {rate}
concurrency = {concurrency}
transport = "{transport}"
[jobs.orders.constants]
partner_id = "2088000000000000"
amount_name = "消费金额"
[jobs.points]
export = "points"
api = "wechatpay.points"
account = "card"
input = ["points.csv"]
concurrency = {concurrency}
transport = "{transport}"
[jobs.points.constants]
brand_id = "1004"
card_id = "pTESTcardTemplate0000000001"
"""


class Scene:
    """
    One export, from the first command to the last report. The platform begins with an empty memory.

    `start` and `command` run the program as a process of its own; `begin` and `child` do so in a forked one, which is
    there sooner and may be given a fate.
    """

    def __init__(
        self,
        folder: Path,
        simulator: Simulator,
        export: Export,
        *,
        concurrency: int = 4,
        rate: int = 2000,
        transport: TransportName = TransportName.REQUESTS,
    ) -> None:
        self.folder = folder
        self.simulator = simulator
        self.export = export
        self.concurrency = concurrency
        self._started: list[subprocess.Popen[str]] = []
        self._children: list[Child] = []
        simulator.reset()
        folder.mkdir(parents=True, exist_ok=True)
        write_client_keys(folder / "keys")
        jobs = _JOBS.format(rate=rate, concurrency=concurrency, transport=transport)
        (folder / "backfill.toml").write_text(client_config(simulator.url) + jobs, encoding="utf-8")
        export.write(folder)

    @property
    def ledger(self) -> Path:
        """Return where the config has the ledger."""
        return self.folder / "state" / "backfill.db"

    def start(self, *words: str, wrapper: Sequence[str] = ()) -> "subprocess.Popen[str]":
        """Start the command as a process of its own, by way of another command where one is given."""
        environ = {name: value for name, value in os.environ.items() if name != "BACKFILL_CONFIG"}
        process = subprocess.Popen(
            [*wrapper, sys.executable, "-m", "pipeline", *words],
            cwd=self.folder,
            env={**environ, "PYTHONPATH": os.pathsep.join([str(_CHECKOUT), *sys.path])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self._started.append(process)
        return process

    def command(self, *words: str, wrapper: Sequence[str] = ()) -> Ended:
        """Run the command as a process of its own, to its end."""
        return end_of(self.start(*words, wrapper=wrapper))

    def child(self, *words: str, fate: Fate | None = None) -> Ended:
        """Run the command in a forked process, to its end."""
        return self.begin(*words, fate=fate).end()

    def begin(self, *words: str, fate: Fate | None = None) -> Child:
        """Start the command in a forked process."""
        self._children.append(live(self.folder, words, fate or Unharmed()))
        return self._children[-1]

    def carry_on(self) -> Ended:
        """Resume the run that was begun; where none was, begin it."""
        ended = self.child("resume", "last")
        return self.child("run", self.export.job) if NO_RUN in ended.stderr else ended

    def outcomes(self, folder: Path | None = None) -> list[dict[str, str]]:
        """Return the lines of the only outcome file, or of the one in a folder."""
        (path,) = [folder / "outcome.csv"] if folder else self.folder.glob("reports/*/outcome.csv")
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def close(self) -> None:
        """End what a failed test has left running."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for child in self._children:
            child.kill()


def end_of(process: "subprocess.Popen[str]") -> Ended:
    """Wait for a process to end."""
    stdout, stderr = process.communicate(timeout=_PATIENCE_SECONDS)
    return Ended(process.returncode, stdout, stderr)


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so; fail where it does not come about."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end, "what the test waits for did not come about"
        time.sleep(0.002)
