"""
A folder to measure in: the server that says yes, keys, configs and exports.

Everything is made by processes of its own, so that whoever measures stays small.
"""

import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from benchmarks.measure import CHECKOUT, Cost, cost_of, python

# What a run may exit with: all done, or some rows at fault.
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
    """What the server has done since it was last asked."""

    requests: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Scene:
    """A folder with keys and accounts, and the address of the server that they are for."""

    folder: Path
    url: str
    _past: dict[tuple[str, int], "Night"] = field(default_factory=dict, repr=False)

    @property
    def keys(self) -> Path:
        """Where a client's keys are."""
        return self.folder / "keys"

    def export(self, name: str, kind: str, rows: int, *options: str) -> Path:
        """Return a new export of that name; made once, however often it is asked for."""
        path = self.folder / name
        if not path.exists():
            cost_of(python("-m", "benchmarks.exports", kind, str(path), "--rows", str(rows), *options), folder=CHECKOUT)
        return path

    def night(self, name: str, settings: str = "") -> "Night":
        """Return an empty night: a config, with these lines more in its job of orders, and no ledger yet."""
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))
        (folder / "keys").symlink_to(self.keys)
        accounts = (self.folder / "accounts.toml").read_text(encoding="utf-8")
        config = accounts + JOBS.format(settings=settings)
        (folder / "backfill.toml").write_text(config, encoding="utf-8")
        return Night(folder)

    def of(self, kind: str, rows: int) -> Path:
        """Return the export that the past with so many rows was made of."""
        return self.export(f"{kind}-{rows}.csv", kind, rows)

    def past(self, kind: str, rows: int) -> "Night":
        """Return a night on which so many rows were delivered, every one of them; made once."""
        night = self._past.get((kind, rows))
        if night is None:
            night = self._past[kind, rows] = self.night("past")
            command = python("-m", "benchmarks.past", kind, str(self.of(kind, rows)))
            sys.stderr.write(f"  making a past of {rows:,} {kind}\n")
            cost_of(command, folder=night.folder)
        return night

    def forget(self, kind: str, rows: int) -> None:
        """Clear away such a past, and the export that it was made of: a long one takes gigabytes."""
        night = self._past.pop((kind, rows), None)
        if night is not None:
            shutil.rmtree(night.folder)
            self.of(kind, rows).unlink()

    def account(self) -> Account:
        """Return what came since this was last asked, and what it cost the server."""
        with urllib.request.urlopen(f"{self.url}/account") as answer:
            return Account(**orjson.loads(answer.read()))


@dataclass(frozen=True, slots=True)
class Night:
    """A folder that `backfill` runs in."""

    folder: Path

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.folder / "state" / "backfill.db"

    def backfill(self, *words: str) -> Cost:
        """Run the command, to its end; raise Unavailable where it fails."""
        return cost_of(python("-m", "pipeline", *words), folder=self.folder, accept=_DONE)

    def first_run(self) -> str:
        """Return the id of the first of its runs."""
        return str(orjson.loads(self.backfill("runs", "--json", "--limit", "1000").stdout)[-1]["run_id"])

    def summary(self, *words: str) -> tuple[Cost, Mapping[str, int]]:
        """Run a command that prints JSON; return what it cost, and the counts it tells."""
        cost = self.backfill(*words, "--json")
        return cost, orjson.loads(cost.stdout)["counts"]


@contextmanager
def scene() -> Iterator[Scene]:
    """Set the scene in a temporary folder; clear it away at the end."""
    with tempfile.TemporaryDirectory(prefix="backfill-bench-") as name:
        command = python("-m", "benchmarks.server", name)
        with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, encoding="utf-8") as server:
            try:
                assert server.stdout is not None
                yield Scene(Path(name), f"http://127.0.0.1:{int(server.stdout.readline())}")
            finally:
                server.terminate()
