"""
Exports as merchants' systems write them, of any length and in constant memory. The same call makes the same file.

    python -m benchmarks.exports orders|points FILE --rows N [--errors SHARE] [--json-discounts] [--changed SHARE]
    python -m benchmarks.exports blocks FILE --rows N [--shuffled M]

`blocks` are orders, written quickly: the same million rows again and again, under keys that go on. With --shuffled up
to M of these rows are chosen at random, in a random order.

A FILE with the suffix .parquet is Parquet, with typed columns and no errors; any other is CSV. All data is invented.
"""

import argparse
import csv
import itertools
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from mmap import ACCESS_READ, mmap
from pathlib import Path

ORDER_COLUMNS = (
    "order_id", "agreement_no", "user_id", "open_id", "paid_at", "trade_no", "paid_yuan", "discount_name",
    "discount_fen", "discounts", "action", "refund_of", "shop", "note",
)  # fmt: skip
POINT_COLUMNS = ("brand_id", "card_id", "openid", "user_card_code", "point_balance", "updated_at", "shop")

_SHOPS = ("青石巷店", "滨江路店", "大学城店", "火车东站店", "望湖广场店")
_ITEMS = (("拿铁", 2200), ("燕麦拿铁", 2600), ("手冲单品", 3200), ("桂花乌龙", 1800), ("海盐可颂", 1500))
_NOTES = ("", "", "少冰", "去糖, 自提", '门口写着"青石巷"', "外带")
_MIDNIGHT = datetime(2025, 11, 20)  # noqa: DTZ001 - exports write local time without a zone
_BATCH = 20_000
# Rows of a block, a power of 10, and what its keys begin with: the day and the leading digits of the number.
_BLOCK_ROWS = 1_000_000
_DAY, _DIGITS = b"20251120", 9

Cells = tuple[str, ...]


def orders(rows: int, *, errors: float = 0.0, json_discounts: bool = False, seed: int = 1) -> Iterator[Cells]:
    """
    Yield sales, one per second: 1 in 5 with a discount, 1 in 50 a refund of an earlier sale.

    Each member buys 3 times. `errors` is the share of invalid rows, 0 to 1. With `json_discounts`, discounts are a JSON
    list in one cell, with many quotes. A longer export begins with the rows of a shorter one.
    """
    chance = random.Random(seed)
    for number in range(rows):
        cells = dict(zip(ORDER_COLUMNS, _sale(number, chance), strict=True))
        if number % 5 == 0:
            _give_discount(cells, json_discounts=json_discounts)
        if number % 50 == 49:
            _make_refund(cells, number - 1 - chance.randrange(40))
        if chance.random() < errors:
            _spoil(cells, chance)
        yield tuple(cells.values())


def _sale(number: int, chance: random.Random) -> Cells:
    item, price_fen = _ITEMS[chance.randrange(len(_ITEMS))]
    count = 1 + chance.randrange(3)
    paid = price_fen * count
    return (
        f"D20251120{number:09d}", *_member(number), str(_MIDNIGHT + timedelta(seconds=number % 86_400)),
        f"POS20251120{number:09d}", f"{paid // 100}.{paid % 100:02d}", "", "", "", "ORDER_PAID", "",
        _SHOPS[number % len(_SHOPS)], f"{item}×{count} {chance.choice(_NOTES)}",
    )  # fmt: skip


def _member(number: int) -> Cells:
    """Return agreement, user id and open id of the buyer. In 3,000 sales, 1,000 members buy in turn."""
    member = number // 3000 * 1000 + number * 7919 % 1000
    # One member in 4 has the newer id.
    user_id, open_id = ("", f"oTESTalipay{member:021d}") if member % 4 == 0 else (f"2088{member:012d}", "")
    return f"2025{member:016d}", user_id, open_id


def _give_discount(cells: dict[str, str], *, json_discounts: bool) -> None:
    if json_discounts:
        cells["discounts"] = (
            '[{"discount_name": "会员日立减", "discount_type": "exclusiveDiscount", "discount_amount": "300"}]'
        )
    else:
        cells |= {"discount_name": "会员日立减", "discount_fen": "300"}


def _make_refund(cells: dict[str, str], number: int) -> None:
    sale = f"D20251120{number:09d}"
    cells |= {"action": "ORDER_REFUND", "refund_of": sale, "note": "退款"}
    cells |= dict.fromkeys(("discount_name", "discount_fen", "discounts"), "")
    cells |= zip(("agreement_no", "user_id", "open_id"), _member(number), strict=True)


def _spoil(cells: dict[str, str], chance: random.Random) -> None:
    column, value = chance.choice(
        (
            ("agreement_no", ""),
            ("paid_yuan", "88.125"),
            ("paid_yuan", "-12.00"),
            ("paid_at", "2025-11-31 10:24:00"),
            ("action", "GIFT"),
        )
    )
    cells[column] = value


def points(rows: int, *, changed: float = 0.0, seed: int = 1) -> Iterator[Cells]:
    """Yield the balance of each card; `changed` is the share, 0 to 1, that differs from the day before."""
    balances, changes = random.Random(seed), random.Random(seed + 1)
    for number in range(rows):
        balance = balances.randrange(20_000)
        has_changed = changes.random() < changed
        yield (
            str(1004 + number % 3), "pTESTcoffeeCard0000000000001", f"oTESTwechat{number:017d}", f"{number:012d}",
            str(balance + 15 * has_changed), str(_MIDNIGHT + timedelta(days=has_changed)), _SHOPS[number % len(_SHOPS)],
        )  # fmt: skip


def write(path: Path, columns: Cells, rows: Iterator[Cells]) -> None:
    """Write rows into a new file, in the format of its suffix."""
    if path.suffix == ".parquet":
        _write_parquet(path, columns, rows)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def _write_parquet(path: Path, columns: Cells, rows: Iterator[Cells]) -> None:
    # Imported here, so that writing CSV takes little memory.
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    # Types as in a data warehouse; wrong values fit none of them.
    typed: dict[str, pa.DataType] = {
        "paid_at": pa.timestamp("ms"), "paid_yuan": pa.decimal128(12, 2), "discount_fen": pa.int32(),
        "point_balance": pa.int64(), "updated_at": pa.timestamp("ms"), "shop": pa.dictionary(pa.int32(), pa.string()),
    }  # fmt: skip
    schema = pa.schema([(name, typed.get(name, pa.string())) for name in columns])
    with pq.ParquetWriter(path, schema) as writer:
        while batch := list(itertools.islice(rows, _BATCH)):
            texts = [pa.array([cell or None for cell in column], pa.string()) for column in zip(*batch, strict=True)]
            arrays = [text.cast(field.type) for text, field in zip(texts, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def write_blocks(path: Path, rows: int, block_rows: int = _BLOCK_ROWS) -> None:
    """Write orders into a new CSV file, in the order of their keys."""
    write(path, ORDER_COLUMNS, orders(min(rows, block_rows)))
    _, *lines = path.read_bytes().splitlines(keepends=True)
    leading = _DIGITS - len(str(block_rows)) + 1
    with path.open("ab") as file:
        for first in range(block_rows, rows, block_rows):
            block = b"".join(lines[: rows - first])
            file.write(block.replace(_DAY + b"0" * leading, _DAY + b"%0*d" % (leading, first // block_rows)))


def shuffle(path: Path, rows: int) -> None:
    """Keep some rows of a CSV file, one a line, in another order: always the same ones."""
    # Imported here, so that writing CSV takes little memory.
    import numpy as np  # noqa: PLC0415

    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as lines:
        view = np.frombuffer(lines, np.uint8)
        ends = np.flatnonzero(view == ord("\n")) + 1
        del view
        order = np.random.default_rng(1).permutation(np.arange(1, len(ends)))[:rows]
        shuffled = path.with_suffix(".shuffled")
        with shuffled.open("wb") as out:
            out.write(lines[: ends[0]])
            out.writelines(lines[ends[n - 1] : ends[n]] for n in order)
    shuffled.replace(path)


def main() -> None:
    """Write one export."""
    parser = argparse.ArgumentParser()
    parser.add_argument("export", choices=("orders", "points", "blocks"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--errors", type=float, default=0.0)
    parser.add_argument("--json-discounts", action="store_true")
    parser.add_argument("--changed", type=float, default=0.0)
    parser.add_argument("--shuffled", type=int, metavar="M")
    args = parser.parse_args()
    if args.export == "orders":
        rows = orders(args.rows, errors=args.errors, json_discounts=args.json_discounts)
        write(args.file, ORDER_COLUMNS, rows)
    elif args.export == "blocks":
        write_blocks(args.file, args.rows)
        if args.shuffled:
            shuffle(args.file, args.shuffled)
    else:
        write(args.file, POINT_COLUMNS, points(args.rows, changed=args.changed))


if __name__ == "__main__":
    main()
