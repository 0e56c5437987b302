"""A folder with a config and an export, the simulated platform, and the real command."""

import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.settings import TransportName
from pipeline.simulator import Simulator, client_config, write_client_keys
from tests.kills.children import Child, CommandResult, NoFault, ProcessFault, start_child
from tests.kills.exports import Export

_CHECKOUT = Path(__file__).parents[2]
_TIMEOUT_SECONDS = 60.0
# Part of the error of `resume last` without a run.
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


class Workspace:
    """
    One export, from the first command to the last report. The platform begins with an empty memory.

    `start` and `command` run the program in a new process. `begin` and `child` run it in a forked one, which starts
    faster and may have a fault.
    """

    # The module of the command.
    module = "pipeline"

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
        """The path of the ledger."""
        return self.folder / "state" / "backfill.db"

    def start(self, *words: str, wrapper: Sequence[str] = ()) -> "subprocess.Popen[str]":
        """Start the command in a new process, through `wrapper` if given."""
        environ = {name: value for name, value in os.environ.items() if name != "BACKFILL_CONFIG"}
        process = subprocess.Popen(
            [*wrapper, sys.executable, "-m", self.module, *words],
            cwd=self.folder,
            env={**environ, "PYTHONPATH": os.pathsep.join([str(_CHECKOUT), *sys.path])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self._started.append(process)
        return process

    def command(self, *words: str, wrapper: Sequence[str] = ()) -> CommandResult:
        """Run the command in a new process, to its end."""
        return end_of(self.start(*words, wrapper=wrapper))

    def child(self, *words: str, fault: ProcessFault | None = None) -> CommandResult:
        """Run the command in a forked process, to its end."""
        return self.begin(*words, fault=fault).end()

    def begin(self, *words: str, fault: ProcessFault | None = None) -> Child:
        """Start the command in a forked process."""
        self._children.append(start_child(self.folder, words, fault or NoFault()))
        return self._children[-1]

    def resume_or_run(self) -> CommandResult:
        """Resume the run, or begin it if there is none."""
        ended = self.child("resume", "last")
        return self.child("run", self.export.job) if NO_RUN in ended.stderr else ended

    def outcomes(self, folder: Path | None = None) -> list[dict[str, str]]:
        """Return the lines of the only outcome file, or of the one in `folder`."""
        (path,) = [folder / "outcome.csv"] if folder else self.folder.glob("reports/*/outcome.csv")
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def close(self) -> None:
        """End the processes that a failed test has left."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for child in self._children:
            child.kill()


def end_of(process: "subprocess.Popen[str]", seconds: float = _TIMEOUT_SECONDS) -> CommandResult:
    """Wait for the end of a process, for so many seconds at most."""
    stdout, stderr = process.communicate(timeout=seconds)
    return CommandResult(process.returncode, stdout, stderr)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true; fail after a timeout."""
    end = time.monotonic() + _TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < end, "the condition did not become true"
        time.sleep(0.002)
