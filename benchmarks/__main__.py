"""`make bench`: how fast rows are read, mapped, staged, signed and sent, on this machine, now."""

import csv
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from pipeline.library import run_job
from pipeline.map import MappingRules, bind
from pipeline.model import Api, CsvFormat, Export, Row
from pipeline.read import find_inputs, open_source
from pipeline.signing.alipay_v3 import AlipayV3
from pipeline.signing.keys import load_private_key, load_public_key
from pipeline.simulator import Simulator, client_config, write_client_keys

_COLUMNS = ("out_biz_no", "agreement_no", "user_id", "biz_time", "trade_no", "trade_amount")
_RULES = MappingRules(
    Export.ORDERS, Api.CUMULATION, {}, {}, {"partner_id": "2088", "amount_name": "orders"}, ZoneInfo("Asia/Shanghai")
)
_JOB = """
[jobs.orders]
export = "orders"
api = "alipay.cumulation"
account = "zhima"
input = ["orders.csv"]
rate = 5000
[jobs.orders.constants]
partner_id = "2088000000000000"
amount_name = "orders"
"""
_ROWS, _SENT, _TIMES = 50_000, 2_000, 3


def main() -> int:
    """Measure, and print a line for each figure: the median of several times, and the spread."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_export(folder / "orders.csv", _ROWS)
        _tell("read", "rows/s", _ROWS, lambda: _read(folder))
        rows = _rows(folder)
        map_row = bind(_RULES, _COLUMNS)
        _tell("map", "rows/s", _ROWS, lambda: [map_row(row) for row in rows])
        write_client_keys(folder / "keys")
        _tell("sign", "requests/s", _SENT, _signing(folder))
        _send(folder)
    return 0


def _write_export(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for n in range(count):
            writer.writerow(
                [f"A{n:08}", f"20255{n:015}", f"2088{n:012}", "2025-11-20 10:00:00", f"T{n}", f"{n % 500}.50"]
            )


def _read(folder: Path) -> int:
    (file,) = find_inputs(["orders.csv"], base=folder, date=date(2025, 11, 20))
    with open_source(file, CsvFormat()) as source:
        return sum(len(chunk.rows) for chunk in source)


def _rows(folder: Path) -> list[Row]:
    (file,) = find_inputs(["orders.csv"], base=folder, date=date(2025, 11, 20))
    with open_source(file, CsvFormat()) as source:
        return [row for chunk in source for row in chunk.rows if isinstance(row, Row)]


def _signing(folder: Path) -> Callable[[], object]:
    keys = folder / "keys"
    signer = AlipayV3(
        app_id="2021000000000001",
        private_key=load_private_key((keys / "app_private_key.pem").read_bytes(), "app"),
        platform=load_public_key((keys / "alipay_public_key.pem").read_bytes(), "platform"),
    )
    body, at = b"x" * 400, datetime.now(UTC)
    return lambda: [signer.sign(body, at=at, nonce=f"{n:032x}") for n in range(_SENT)]


def _send(folder: Path) -> None:
    """The whole path, against the simulator in a thread of this process: its own work is in the CPU time."""
    with Simulator() as simulator:
        for n in range(_TIMES):
            night = folder / f"night-{n}"
            night.mkdir()
            write_client_keys(night / "keys")
            (night / "backfill.toml").write_text(client_config(simulator.url) + _JOB, encoding="utf-8")
            _write_export(night / "orders.csv", _SENT)
            simulator.reset()
            cpu = time.process_time()
            result = run_job(night / "backfill.toml", "orders", environ={})
            cpu = time.process_time() - cpu
            rate, each = result.summary["sent_per_s"], cpu / _SENT * 1000
            sys.stdout.write(
                f"send, simulator included: {rate:,.0f} requests/s, {each:.2f} ms CPU a row, "
                f"{result.summary['counts']['succeeded']} of {_SENT} succeeded\n"
            )


def _tell(what: str, unit: str, count: int, act: Callable[[], object]) -> None:
    figures = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        act()
        figures.append(count / (time.perf_counter() - began))
    low, middle, high = min(figures), statistics.median(figures), max(figures)
    sys.stdout.write(f"{what}: {middle:,.0f} {unit} ({low:,.0f} to {high:,.0f}), {os.cpu_count()} cores\n")


if __name__ == "__main__":
    sys.exit(main())
