"""Sample exports. All data is invented, and each has one row that is invalid on purpose."""

import csv
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from pipeline.report.files.workbook import TextWorkbook

_MORNING = datetime(2025, 11, 20, 8)  # noqa: DTZ001 - exports write local time without a zone
_ROWS = 10
_ORDER_COLUMNS = ("订单号", "协议号", "用户", "付款时间", "交易号", "实付金额", "优惠金额", "类型", "原订单号", "状态")
_STATE_COLUMNS = ("rental_no", "user_id", "cup_no", "state", "biz_data.shop", "happened_at")
_BALANCE_COLUMNS = ("brand_id", "card_id", "openid", "user_card_code", "point_balance", "updated_at")

SampleRow = tuple[str, ...]


def _at(number: int) -> datetime:
    return _MORNING + timedelta(minutes=7 * number)


def _user(number: int) -> str:
    return f"2088{number:012d}"


def _agreement(number: int) -> str:
    return f"2025{number:016d}"


def _order(
    number: int, user: int, paid: str, kind: str = "付款", refund_of: str = "", state: str = "已完成"
) -> SampleRow:
    at = f"{_at(number):%Y/%m/%d %H:%M}"
    return (f"A{number:04d}", _agreement(user), _user(user), at, f"T{number:04d}", paid, "", kind, refund_of, state)


def write_orders(path: Path) -> None:
    """Write sales of a till as CSV in GB18030 with Chinese column names: a refund, and an amount of 3 decimals."""
    rows = [_order(number, number, f"{1280 + number}.50") for number in range(1, _ROWS + 1)]
    rows += [
        _order(11, 1, "10.00", "退款", "A0001", "已退款"),
        _order(12, 2, "18.005"),
        _order(13, 3, "9.00", state="已取消"),
    ]
    _write_csv(path, _ORDER_COLUMNS, rows, "gb18030")


def write_states(path: Path) -> None:
    """Write the states of rented cups as CSV: some cups return, and one row has no cup."""
    rows = [
        (f"L{number:04d}", _user(number), f"CUP-{number:03d}", "LENT", "滨江路店", f"{_at(number):%Y-%m-%d %H:%M:%S}")
        for number in range(1, _ROWS + 1)
    ]
    rows += [(*row[:3], "RETURNED", row[4], f"{_at(90 + n):%Y-%m-%d %H:%M:%S}") for n, row in enumerate(rows[:3])]
    rows.append(("L0011", _user(11), "", "LENT", "滨江路店", f"{_at(11):%Y-%m-%d %H:%M:%S}"))
    _write_csv(path, _STATE_COLUMNS, rows, "utf-8")


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]], encoding: str) -> None:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def write_tasks(path: Path) -> None:
    """Write completed tasks as Parquet with typed columns; one was completed 0 times."""
    numbers = range(1, _ROWS + 1)
    table = pa.table(
        {
            "task_no": [f"K{number:04d}" for number in numbers],
            "agreement_no": [_agreement(number) for number in numbers],
            "user_id": [_user(number) for number in numbers],
            "done_at": pa.array([_at(number) for number in numbers], pa.timestamp("us", "Asia/Shanghai")),
            "task_name": ["每日签到"] * _ROWS,
            "times": pa.array([Decimal(number % 3 + 1) for number in numbers[:-1]] + [Decimal(0)], pa.decimal128(9, 0)),
        }
    )
    parquet.write_table(table, path)


def write_balances(path: Path) -> None:
    """Write balances as a workbook of text cells; one is negative."""
    with (
        tempfile.TemporaryDirectory() as folder,
        path.open("wb") as file,
        TextWorkbook(file, Path(folder), _BALANCE_COLUMNS) as workbook,
    ):
        for number in range(1, _ROWS + 1):
            points, at = "-5" if number == _ROWS else str(100 * number), f"{_at(number):%Y-%m-%d %H:%M:%S}"
            workbook.add(("1004", "pTESTcardTemplate0000000001", f"oTEST{number:023d}", f"{number:012d}", points, at))
