"""Exports with known outcomes."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Row = Mapping[str, str]
_SENT = "succeeded"


@dataclass(frozen=True, slots=True)
class Export:
    """The rows of one job. `statuses` are their final statuses, `keys` the request keys that are delivered."""

    job: str
    rows: Sequence[Row]
    statuses: Sequence[str]
    keys: Sequence[str]

    @property
    def exit_code(self) -> int:
        """The exit code of a completed run."""
        return 3 if "invalid" in self.statuses else 0

    def write(self, folder: Path) -> None:
        """Write the rows as the job's CSV file."""
        with (folder / f"{self.job}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)


def orders(count: int) -> Export:
    """Return orders. Of 12 rows, one is a duplicate, one is a refund, and one is invalid."""
    rows: list[Row] = []
    statuses: list[str] = []
    for number in range(count):
        fault = _SENT
        match number % 12:
            case 1:
                row, fault = rows[-1], "skipped"
            case 3:
                row = {**rows[-1], "out_biz_no": f"R{number}", "biz_action": "ORDER_REFUND"}
                row["pay_out_biz_no"] = rows[-1]["out_biz_no"]
            case 5:
                row, fault = _payment(number, user=""), "invalid"
            case _:
                row = _payment(number, user=f"2088000000{number % 97:06d}")
        rows.append(row)
        statuses.append(fault)
    return Export("orders", rows, statuses, _keys(rows, statuses, "out_biz_no"))


def _payment(number: int, *, user: str) -> dict[str, str]:
    return {
        "out_biz_no": f"A{number}",
        "agreement_no": f"20255108518085{number % 97:06d}",
        "user_id": user,
        "biz_time": "2025-11-20 10:00:00",
        "trade_no": f"T{number}",
        "trade_amount": "12.50",
        "biz_action": "ORDER_PAID",
        "pay_out_biz_no": "",
    }


def points(count: int) -> Export:
    """Return balances. Every fifth one is superseded by the next, the others have a card of their own."""
    rows = [_balance(number + (number % 5 == 0), number) for number in range(count)]
    statuses = ["skipped" if number % 5 == 0 and number + 1 < count else _SENT for number in range(count)]
    return Export("points", rows, statuses, _keys(rows, statuses, "out_request_no"))


def _balance(card: int, number: int) -> dict[str, str]:
    return {
        "openid": f"oTEST{card:023d}",
        "user_card_code": f"{card:012d}",
        "point_balance": str(100 + number),
        "out_request_no": f"P{number}",
    }


def _keys(rows: Sequence[Row], statuses: Sequence[str], column: str) -> list[str]:
    return [row[column] for row, fault in zip(rows, statuses, strict=True) if fault == _SENT]
