"""A workspace as a user has it: a folder with config and exports, the command, the platforms and the reports."""

import csv
import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipeline.cli.main import main
from pipeline.simulator import Api, Simulator, client_config, write_client_keys
from tests.changed_system import ChangeSystem, changed_by

CHECKOUT = Path(__file__).parents[2]
ZONE = "Asia/Shanghai"
CARD = "pTESTcardTemplate0000000001"
_TIMEOUT_SECONDS = 30.0

Tables = Mapping[str, Mapping[str, object]]

_CUMULATION = {"api": "alipay.cumulation", "account": "zhima", "rate": 200, "max_attempts": 2}
JOBS: Tables = {
    "jobs.orders": {"export": "orders", "input": ["orders.csv"], **_CUMULATION},
    "jobs.orders.constants": {"partner_id": "2088000000000000", "amount_name": "消费金额"},
    "jobs.tasks": {"export": "tasks", "input": ["tasks.csv"], **_CUMULATION},
    "jobs.tasks.constants": {"partner_id": "2088000000000000"},
    "jobs.states": {
        "export": "states", "api": "alipay.state", "account": "zhima", "input": ["states.csv"], "rate": 200,
        "max_attempts": 2,
    },
    "jobs.points": {
        "export": "points", "api": "wechatpay.points", "account": "card", "input": ["points.csv"], "max_attempts": 2,
    },
    "jobs.points.constants": {"brand_id": "1004", "card_id": CARD},
}  # fmt: skip


def order(number: int, **changes: str) -> dict[str, str]:
    """Return a right payment of a user of its own."""
    return {
        "out_biz_no": f"A{number}",
        "agreement_no": f"20255108518085{number:06d}",
        "user_id": f"208800000000{number:04d}",
        "biz_time": "2025-11-20 10:00:00",
        "trade_no": f"T{number}",
        "trade_amount": "12.50",
        "biz_action": "ORDER_PAID",
        "pay_out_biz_no": "",
    } | changes


def refund(number: int, of: int, **changes: str) -> dict[str, str]:
    """Return a refund of the payment with that number, by the same user."""
    return order(of, out_biz_no=f"R{number}", biz_action="ORDER_REFUND", pay_out_biz_no=f"A{of}") | changes


def task(number: int, **changes: str) -> dict[str, str]:
    """Return a task done once by a user of its own."""
    return {
        "out_biz_no": f"K{number}",
        "agreement_no": f"20255108518085{number:06d}",
        "user_id": f"208800000000{number:04d}",
        "biz_time": "2025-11-20 10:00:00",
        "task_name": "签到",
        "times": "1",
    } | changes


def state(number: int, code: str = "BUY", **changes: str) -> dict[str, str]:
    """Return a state of a film for a user of its own."""
    return {
        "user_id": f"208800000000{number:04d}",
        "out_biz_no": f"S{number}",
        "out_principal_id": "film1",
        "biz_state_code": code,
        "category_code": "WATCH",
        "service_id": "2019080700000000000001800100",
        "biz_data": '{"cinema":"光明"}',
    } | changes


def balance(card: int, points: int, **changes: str) -> dict[str, str]:
    """Return the balance of one card."""
    return {"openid": f"oTEST{card:023d}", "user_card_code": f"{card:012d}", "point_balance": str(points)} | changes


ROWS = {"orders": order(1), "tasks": task(1), "states": state(1), "points": balance(1, 100)}


@dataclass(frozen=True)
class CommandResult:
    """Exit code and output of a command."""

    exit_code: int
    stdout: str
    stderr: str


@dataclass
class Workspace:
    """
    A folder with config, keys and exports, and the platforms that its jobs send to.

    `backfill` runs the command in this process; `start` and `command` run it in a process of its own. The ledger is at
    `ledger_url`, or in the default file.
    """

    folder: Path
    simulator: Simulator
    capsys: "pytest.CaptureFixture[str]"
    ledger_url: str | None = None

    def __post_init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []
        write_client_keys(self.folder / "keys")
        self.configure()

    def configure(self, changes: Tables | None = None, *, certificates: bool = False) -> None:
        """Write the config, with changes to its tables; None removes a key. A job of the brand gets its account."""
        brand = "jobs.brand" in (changes or {})
        accounts = tomllib.loads(client_config(self.simulator.url, certificates=certificates, brand=brand))["accounts"]
        tables = {f"accounts.{name}": keys for name, keys in accounts.items()} | dict(JOBS)
        if self.ledger_url:
            tables["ledger"] = {"url": self.ledger_url}
        for name, keys in (changes or {}).items():
            tables[name] = {**tables.get(name, {}), **keys}
        self._config.write_text(toml(tables), encoding="utf-8")
        self._config.chmod(0o600)

    @property
    def _config(self) -> Path:
        return self.folder / "backfill.toml"

    def export(self, name: str, rows: Sequence[Mapping[str, str]], *, encoding: str = "utf-8") -> Path:
        """Write a CSV file with the columns of all rows."""
        path = self.folder / name
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with path.open("w", encoding=encoding, newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        return path

    def backfill(self, *words: str, change: ChangeSystem | None = None) -> CommandResult:
        """Run the command in this process, to its end; a run with its system changed by `change`."""
        self.capsys.readouterr()
        exit_code = main(words, changed_by(change) if change else None)
        output = self.capsys.readouterr()
        return CommandResult(exit_code, output.out, output.err)

    def run_one_row(self, job: str) -> tuple[int, list[str]]:
        """Run a job over one right row; return the exit code, and status and code of the row."""
        self.export(f"{job}.csv", [ROWS[job]])
        return self.backfill("run", job).exit_code, self.results()

    def refused(self, *words: str) -> str:
        """Run a job that must exit with 2 before anything is sent; return its stderr."""
        before = self.requests()
        ended = self.backfill("run", *words)
        assert (ended.exit_code, ended.stdout, self.requests()) == (2, "", before)
        return ended.stderr

    def start(
        self,
        *words: str,
        environ: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
        stderr: int = subprocess.PIPE,
    ) -> "subprocess.Popen[str]":
        """Start the command in a process of its own."""
        command = [*wrapper, sys.executable, "-B", "-m", "pipeline", *words]
        known = {name: value for name, value in os.environ.items() if name != "BACKFILL_CONFIG"}
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**known, "PYTHONPATH": str(CHECKOUT), **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding="utf-8",
        )
        self._started.append(process)
        return process

    def command(
        self, *words: str, environ: Mapping[str, str] | None = None, wrapper: Sequence[str] = ()
    ) -> CommandResult:
        """Run the command in a process of its own, to its end."""
        return end_of(self.start(*words, environ=environ, wrapper=wrapper))

    def close(self) -> None:
        """Kill processes that a failed test left running."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def reports(self) -> list[Path]:
        """Return the folders of all reports, newest last."""
        return sorted(self.folder.glob("reports/*"))

    def short_id(self, run_id: str) -> str:
        """Return the prefix of a run's id, of 8 characters or more, that no other run of the ledger has now."""
        others = {run["run_id"] for run in json.loads(self.backfill("runs", "--limit", "99", "--json").stdout)} - {
            run_id
        }
        lengths = range(8, len(run_id) + 1)
        return next(run_id[:n] for n in lengths if not any(other.startswith(run_id[:n]) for other in others))

    def outcomes(self) -> list[dict[str, str]]:
        """Return the rows of the newest outcome file."""
        return read_csv(self.reports()[-1] / "outcome.csv")

    def results(self) -> list[str]:
        """Return status and code of each row of the newest run, in source order."""
        return [f"{line['status']} {line['code']}" for line in self.outcomes()]

    def summary(self) -> Any:
        """Return the summary of the newest run."""
        return json.loads((self.reports()[-1] / "summary.json").read_bytes())

    def now(self) -> str:
        """Return the time of day in the jobs' zone, in the form of --until."""
        return datetime.now(ZoneInfo(ZONE)).strftime("%H:%M")

    def requests(self, api: Api | None = None) -> list[str]:
        """Return the request key of each request that reached the platforms, in order."""
        return [entry.key for entry in self.simulator.journal.entries if api in (None, entry.api)]


def end_of(process: "subprocess.Popen[str]") -> CommandResult:
    """Wait for the end of a process; return exit code and output."""
    stdout, stderr = process.communicate(timeout=2 * _TIMEOUT_SECONDS)
    return CommandResult(process.returncode, stdout, stderr)


def first_line(process: "subprocess.Popen[str]") -> str:
    """Return the first line on stderr, which means that the run has begun."""
    assert process.stderr is not None
    return process.stderr.readline()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true; fail after a time limit."""
    end = time.monotonic() + _TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < end, "the condition did not become true in time"
        time.sleep(0.01)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file as dicts."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def toml(tables: Tables) -> str:
    """Return tables as TOML; a key whose value is None is left out."""
    return "\n".join(_table(name, keys) for name, keys in tables.items())


def _table(name: str, keys: Mapping[str, object]) -> str:
    # JSON and TOML write texts, numbers and lists of them alike.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items() if value is not None]
    return "\n".join((f"[{name}]", *lines, ""))
