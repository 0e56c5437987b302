"""Exports of which it is known beforehand what must become of every row."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Row = Mapping[str, str]
_SENT = "succeeded"


@dataclass(frozen=True, slots=True)
class Export:
    """The rows for one job; `fates` are their statuses once all is done, `keys` the request keys that are delivered."""

    job: str
    rows: Sequence[Row]
    fates: Sequence[str]
    keys: Sequence[str]

    @property
    def exit_code(self) -> int:
        """Return how a run ends that has done all it can."""
        return 3 if "invalid" in self.fates else 0

    def write(self, folder: Path) -> None:
        """Write the rows as the job's CSV file."""
        with (folder / f"{self.job}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)


def orders(count: int) -> Export:
    """Return so many orders. Of twelve, one repeats a row, one refunds another, and one can't be sent."""
    rows: list[Row] = []
    fates: list[str] = []
    for number in range(count):
        fate = _SENT
        match number % 12:
            case 1:
                row, fate = rows[-1], "skipped"
            case 3:
                row = {**rows[-1], "out_biz_no": f"R{number}", "biz_action": "ORDER_REFUND"}
                row["pay_out_biz_no"] = rows[-1]["out_biz_no"]
            case 5:
                row, fate = _payment(number, user=""), "invalid"
            case _:
                row = _payment(number, user=f"2088000000{number % 97:06d}")
        rows.append(row)
        fates.append(fate)
    return Export("orders", rows, fates, _keys(rows, fates, "out_biz_no"))


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
    """Return so many balances, each of a card of its own but for every fifth, which the next one overtakes."""
    rows = [_balance(number + (number % 5 == 0), number) for number in range(count)]
    fates = ["skipped" if number % 5 == 0 and number + 1 < count else _SENT for number in range(count)]
    return Export("points", rows, fates, _keys(rows, fates, "out_request_no"))


def _balance(card: int, number: int) -> dict[str, str]:
    return {
        "openid": f"oTEST{card:023d}",
        "user_card_code": f"{card:012d}",
        "point_balance": str(100 + number),
        "out_request_no": f"P{number}",
    }


def _keys(rows: Sequence[Row], fates: Sequence[str], column: str) -> list[str]:
    return [row[column] for row, fate in zip(rows, fates, strict=True) if fate == _SENT]
