"""
The scene of all measurements: a folder with keys, configs and exports, and a server that confirms every request.

Other processes make all files, so that the measuring process stays small.
"""

import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from benchmarks.measure import CHECKOUT, Cost, cost_of, python

# Accepted exit codes of a run: all rows done, or some rows wrong.
_DONE = (0, 3)

JOBS = """
[jobs.orders]
export = "orders"
api = "alipay.cumulation"
account = "zhima"
rate = 5000
concurrency = 32
{settings}
[jobs.orders.columns]
out_biz_no = "order_id"
biz_time = "paid_at"
trade_amount = "paid_yuan"
discount_amount = "discount_fen"
biz_action = "action"
pay_out_biz_no = "refund_of"
[jobs.orders.units]
discount_amount = "fen"
[jobs.orders.constants]
partner_id = "2088000000000000"
amount_name = "消费金额"
discount_type = "exclusiveDiscount"

[jobs.points]
export = "points"
api = "wechatpay.points"
account = "card"
"""


@dataclass(frozen=True, slots=True)
class Account:
    """Requests and CPU time of the server since the last call."""

    requests: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Scene:
    """A folder with keys and accounts, and the URL of their server."""

    folder: Path
    url: str
    _delivered: dict[tuple[str, int], "Workspace"] = field(default_factory=dict, repr=False)

    @property
    def keys(self) -> Path:
        """The folder of the client's keys."""
        return self.folder / "keys"

    def export(self, name: str, kind: str, rows: int, *options: str) -> Path:
        """Return the export of that name; it is made once."""
        path = self.folder / name
        if not path.exists():
            cost_of(python("-m", "benchmarks.exports", kind, str(path), "--rows", str(rows), *options), folder=CHECKOUT)
        return path

    def workspace(self, name: str, settings: str = "", url: str = "") -> "Workspace":
        """
        Return a new workspace without ledger; `settings` are more lines for its job of orders.

        Its ledger is in a file, or at `url`.
        """
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))
        (folder / "keys").symlink_to(self.keys)
        accounts = (self.folder / "accounts.toml").read_text(encoding="utf-8")
        config = accounts + JOBS.format(settings=settings) + (f'[ledger]\nurl = "{url}"\n' if url else "")
        (folder / "backfill.toml").write_text(config, encoding="utf-8")
        return Workspace(folder)

    def of(self, kind: str, rows: int) -> Path:
        """Return the export of that kind and size."""
        return self.export(f"{kind}-{rows}.csv", kind, rows)

    def delivered(self, kind: str, rows: int) -> "Workspace":
        """Return a workspace whose ledger has `rows` delivered rows; it is made once."""
        workspace = self._delivered.get((kind, rows))
        if workspace is None:
            workspace = self._delivered[kind, rows] = self.workspace("delivered")
            sys.stderr.write(f"  filling a ledger with {rows:,} {kind}\n")
            workspace.fill(kind, str(self.of(kind, rows)))
        return workspace

    def forget(self, kind: str, rows: int, *, keeps_export: bool = False) -> None:
        """Delete such a workspace and its export, because a long one takes gigabytes."""
        workspace = self._delivered.pop((kind, rows), None)
        if workspace is not None:
            shutil.rmtree(workspace.folder)
            if not keeps_export:
                self.of(kind, rows).unlink()

    def account(self) -> Account:
        """Return requests and CPU time of the server since the last call."""
        with urllib.request.urlopen(f"{self.url}/account") as answer:
            return Account(**orjson.loads(answer.read()))


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder that `backfill` runs in."""

    folder: Path

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.folder / "state" / "backfill.db"

    def backfill(self, *words: str) -> Cost:
        """Run the command to its end. Raises Unavailable if it fails."""
        return cost_of(python("-m", "pipeline", *words), folder=self.folder, accept=_DONE)

    def fill(self, *words: str, accept: Collection[int] = (0,)) -> None:
        """Fill the ledger; see `benchmarks.full_ledger`."""
        cost_of(python("-m", "benchmarks.full_ledger", *words), folder=self.folder, accept=accept)

    def first_run(self) -> str:
        """Return the id of the first run."""
        return str(orjson.loads(self.backfill("runs", "--json", "--limit", "1000").stdout)[-1]["run_id"])

    def summary(self, *words: str) -> tuple[Cost, Mapping[str, int]]:
        """Run a command with --json; return its cost and its counts."""
        cost = self.backfill(*words, "--json")
        return cost, orjson.loads(cost.stdout)["counts"]


@contextmanager
def scene() -> Iterator[Scene]:
    """Make the scene in a temporary folder; remove it at the end."""
    with tempfile.TemporaryDirectory(prefix="backfill-bench-") as name:
        command = python("-m", "benchmarks.server", name)
        with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, encoding="utf-8") as server:
            try:
                assert server.stdout is not None
                yield Scene(Path(name), f"http://127.0.0.1:{int(server.stdout.readline())}")
            finally:
                server.terminate()
