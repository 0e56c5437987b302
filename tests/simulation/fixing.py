"""An operator fixes the rows of a report in various ways."""

import csv
import random
from pathlib import Path

from tests.simulation.rows import Row


def write_fixed_rows(report: Path, target: Path, number: int, seed: int) -> bool:
    """Write the rows to fix of a report, fixed; return whether there are any."""
    with (report / "rows_to_fix.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return False
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(_fixed(row, number, random.Random(f"{seed} {number} {row['out_biz_no']}")) for row in rows)
    return True


def _fixed(row: Row, number: int, chance: random.Random) -> Row:
    """Return a fixed row. Rows of one key are the same row, and are fixed alike."""
    # Under another key a row with a key conflict would count twice, so it stays as it is.
    was_overlooked = chance.random() < 0.15
    if was_overlooked or row["_code"] == "key_conflict":
        return row
    fixed = row | {"user_id": row["agreement_no"].removeprefix("agr"), "biz_time": "2025-11-20 10:00:00"}
    way = chance.choice(["as it is", "other key", "other key", "other content"])
    if way == "other key":
        fixed["out_biz_no"] = f"{row['out_biz_no']}f{number}"
    if way == "other content" and "trade_no" in row:
        fixed["trade_no"] = f"{row['trade_no']}f{number}"
    return fixed
