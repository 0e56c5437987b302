"""
Makes the sample exports. The same call always makes the same files.

    python sample_data/make_sample_data.py [FOLDER]      (default: the folder of this file)

Each export has the form of another kind of system, with right rows and a few wrong ones.
faults.toml adds faults of the platform for some of them.
"""

import csv
import gzip
import io
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from coffee_chain import DATE_DIGITS, DAY, Chance, Row, balances, payments, refund, rentals, tasks

SEED = 20251120

Column: TypeAlias = "pa.Array[Any]"


def write_sample_data(folder: Path) -> None:
    """Write every export below `folder`, at the paths of backfill.toml."""
    chance = Chance(SEED)
    till = payments(chance, first=1, count=120, store=0)
    counter = payments(chance, first=121, count=80, store=2)
    app = payments(chance, first=201, count=70, store=4)
    daily = folder / "exports" / DAY
    _write(daily / "orders-1-till.csv.gz", _gzipped(till_file(till, app)))
    _write(daily / "orders-2-counter.csv", counter_file(counter))
    _write_parquet(daily / "orders-3-app.parquet", app_table(app))
    _write(daily / "states.csv", states_file(rentals(chance, 60)))
    for store, table in task_tables(tasks(chance, 150)).items():
        _write_parquet(folder / "exports" / "tasks" / f"dt={DAY}" / f"shop={store}" / "part-00000.parquet", table)
    points = folder / "exports" / "points" / f"dt={DAY}"
    _write(points / "brand_id=1004" / "balances.csv", numbered_balances_file(balances(chance, first=1, cards=44)))
    _write(points / "brand_id=1005" / "balances.csv.gz", _gzipped(_csv(balances(chance, first=45, cards=16))))
    # From a seed of its own, so that the other exports do not depend on it.
    _write(daily / "brand-balances.csv", brand_balances_file(balances(Chance(SEED + 1), first=61, cards=18)))


def till_file(till: Sequence[Row], app: Sequence[Row]) -> bytes:
    """Return sales and refunds, also of payments that fail, of a payment in a later file and of another day."""
    day_before = {**till[70], "order_id": "D202511190417", "trade_no": "POS20251119000417"}
    refunded = (till[9], till[29], till[39], till[49], app[4], day_before)
    refunds = [refund(number, of) for number, of in enumerate(refunded, 1)]
    return _csv(_by_time([*till, *refunds]), "gb18030")


def counter_file(rows: Sequence[Row]) -> bytes:
    """Return an export made by hand: 9 rows are invalid, 3 are duplicates."""
    odd = (
        {**rows[4], **_sale(1), "agreement_no": ""},
        {**rows[5], **_sale(2), "paid_yuan": "88.125"},
        {**rows[6], **_sale(3), "paid_at": "2025-11-31 10:24:00"},
        {**rows[7], **_sale(4), "paid_yuan": "-12.00"},
        {**rows[8], **_sale(5), "action": "ORDER_REFUND"},
        {**rows[9], **_sale(6), "note": "大杯, 去冰"},
        {**rows[10], **_sale(7), "note": "外带装"},
        {**rows[11], **_sale(8), "action": "GIFT"},
        {**rows[13], "order_id": rows[12]["order_id"], "note": "单号重复"},
        *(rows[0], rows[10], rows[11]),
    )
    mixed = [*rows]
    for place, row in enumerate(odd):
        mixed.insert(20 + 5 * place, row)
    mixed[3] = {**mixed[3], "note": "少冰, 去糖\n自提"}
    data = _csv(mixed, "gb18030")
    # An unquoted comma, and a character that lacks its second byte.
    ragged = data.replace('"大杯, 去冰"'.encode("gb18030"), "大杯, 去冰".encode("gb18030"))
    return ragged.replace("外带装".encode("gb18030"), "外带装".encode("gb18030")[:-1])


def _sale(number: int) -> Row:
    """Return the changes that make a row another sale."""
    return {"order_id": f"D{DATE_DIGITS}9{number:03d}", "trade_no": f"POS{DATE_DIGITS}9{number:05d}"}


def app_table(sold: Sequence[Row]) -> pa.Table:
    """Return sales and 2 refunds with the types of a data warehouse."""
    rows = _by_time([*sold, refund(11, sold[10]), refund(12, sold[12])])
    columns = _text_columns(rows)
    columns["paid_at"] = _moments(row["paid_at"] for row in rows)
    columns["paid_yuan"] = pa.array([Decimal(row["paid_yuan"]) for row in rows], pa.decimal128(12, 2))
    columns["discount_fen"] = _integers(row["discount_fen"] for row in rows)
    columns["shop"] = columns["shop"].dictionary_encode()
    return pa.table(columns)


def task_tables(rows: list[Row]) -> dict[str, pa.Table]:
    """Return tasks by store: 3 are invalid, and 2 stores report the same one."""
    for place, spoilt in ((20, {"times": "0"}), (50, {"task_name": ""}), (80, {"open_id": ""})):
        rows[place] |= spoilt
    stores = {f"S00{number}": rows[number - 1 :: 3] for number in (1, 2, 3)}
    stores["S002"] = [*stores["S002"], stores["S001"][5]]
    return {store: _tasks_table(done) for store, done in stores.items()}


def _tasks_table(rows: Sequence[Row]) -> pa.Table:
    columns = _text_columns(rows)
    columns["done_at"] = _moments(row["done_at"] for row in rows)
    columns["times"] = _integers(row["times"] for row in rows)
    columns["task_name"] = columns["task_name"].dictionary_encode()
    return pa.table(columns)


def states_file(rows: Sequence[Row]) -> bytes:
    """Return states as a spreadsheet saves them (byte order mark, semicolons, CRLF), with 5 odd rows."""
    nothing_known = {name: "" for name in rows[0] if name.startswith("biz_data.")}
    odd = (
        {**rows[30], "rental_no": f"L{DATE_DIGITS}9001", "user_id": ""},
        {**rows[40], "rental_no": f"L{DATE_DIGITS}9002", **nothing_known},
        {**rows[45]},
        {**rows[50], "biz_data.deposit_yuan": "9.90"},
        {**rows[60], "rental_no": f"L{DATE_DIGITS}9003", "state": "LEND_OUT"},
    )
    return _csv([*rows[:100], *odd, *rows[100:]], "utf-8-sig", delimiter=";", line_end="\r\n")


def numbered_balances_file(changes: Sequence[Row]) -> bytes:
    """Return balances of a brand that numbers its changes itself, with 5 wrong rows."""
    rows = [{"out_request_no": f"P{DATE_DIGITS}{number:04d}", **row} for number, row in enumerate(changes, 1)]
    odd = (
        {**rows[0], "out_request_no": f"P{DATE_DIGITS}9001", "user_card_code": "000000009001", "point_balance": "-50"},
        {**rows[1], "out_request_no": f"P{DATE_DIGITS}9002", "user_card_code": "０００９００２"},
        {**rows[2], "out_request_no": f"P{DATE_DIGITS}9003", "user_card_code": "000000009003", "updated_at": "昨晚"},
        {**rows[3]},
        {**rows[4], "user_card_code": "000000009005"},
    )
    return _csv([*rows[:30], *odd, *rows[30:]])


def brand_balances_file(changes: Sequence[Row]) -> bytes:
    """Return balances that a brand sends itself, with a row of another brand."""
    rows = [{"brand_id": "1004", **row} for row in changes]
    return _csv([*rows[:9], {**rows[0], "brand_id": "1005", "user_card_code": "000000009006"}, *rows[9:]])


def _by_time(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row["paid_at"])


def _csv(rows: Sequence[Row], encoding: str = "utf-8", *, delimiter: str = ",", line_end: str = "\n") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0], delimiter=delimiter, lineterminator=line_end)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def _gzipped(data: bytes) -> bytes:
    # Without the time of compression, which would make each file differ.
    return gzip.compress(data, mtime=0)


def _text_columns(rows: Sequence[Row]) -> dict[str, Column]:
    return {name: pa.array([row[name] or None for row in rows], pa.string()) for name in rows[0]}


def _integers(texts: Iterable[str]) -> Column:
    return pa.array([int(text) if text else None for text in texts], pa.int32())


def _moments(texts: Iterable[str]) -> Column:
    beijing = [datetime.fromisoformat(f"{text}+08:00") for text in texts]
    return pa.array(beijing, pa.timestamp("ms", "Asia/Shanghai"))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _write_parquet(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


if __name__ == "__main__":
    write_sample_data(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
