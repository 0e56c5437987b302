"""The exports of a history: duplicates, contradictions, disorder, and rows that cannot be sent."""

import csv
import json
import random
from collections.abc import Iterable
from pathlib import Path

from pipeline.model import Export

COLUMNS = {
    Export.ORDERS: ["out_biz_no", "agreement_no", "user_id", "biz_time", "trade_no", "trade_amount", "biz_action",
                    "pay_out_biz_no", "task_name", "discounts"],
    Export.TASKS: ["out_biz_no", "agreement_no", "user_id", "biz_time", "times"],
    Export.POINTS: ["out_request_no", "openid", "user_card_code", "point_balance", "updated_at"],
    Export.STATES: ["out_biz_no", "user_id", "out_principal_id", "biz_state_code", "biz_data", "updated_at"],
}  # fmt: skip

# Columns and values that make a row invalid.
SPOILT_COLUMNS = ["biz_time", "openid", "user_id"]
SPOILT = frozenset({"", "wrong\x01"})
# The discounts of some orders, in yuan. An order that is a task too needs one.
_DISCOUNTS = json.dumps(
    [
        {"discount_name": name, "discount_type": "memberPoint", "discount_amount": amount}
        for name, amount in (("points", "0.10"), ("day", "0.25"))
    ]
)

Row = dict[str, str]


class Exports:
    """The exports of a scenario: a file per job and day, and the keys of their rows."""

    def __init__(self, export: Export, days: int, chance: random.Random, *, alternating: bool) -> None:
        self._export = export
        self._days = days
        self._chance = chance
        self._alternating = alternating
        self.keys: list[str] = []

    def write(self, folder: Path, job: str) -> None:
        """Write the files of one job."""
        usual = float(self._chance.random() < 0.5)
        for day in range(1, self._days + 1):
            # Sometimes only some rows have a time of change.
            rows = self._rows(job, day, times=0.8 if self._chance.random() < 0.15 else usual)
            self.keys += [row[COLUMNS[self._export][0]] for row in rows]
            write_export(folder / f"{job}-{day}.csv", self._export, rows)

    def _rows(self, job: str, day: int, *, times: float) -> list[Row]:
        chance = self._chance
        made: list[Row] = []
        with_keys = chance.random() < 0.3 and not self._alternating
        for n in range(chance.choice([1, 4, 12, 30])):
            row = self._row(job, day, n, made, with_keys=with_keys, with_times=chance.random() < times)
            if chance.random() < 0.03:
                self._contradict(row)
            if chance.random() < 0.05:
                row[chance.choice(SPOILT_COLUMNS)] = "" if chance.random() < 0.5 else "wrong\x01"
            made.append(row)
            if chance.random() < 0.06:
                made.append(dict(row))
        if chance.random() < 0.3:
            chance.shuffle(made)
        return made

    def _row(self, job: str, day: int, n: int, made: list[Row], *, with_keys: bool, with_times: bool) -> Row:
        match self._export:
            case Export.POINTS:
                return self._balance(job, day, n, with_keys=with_keys, with_times=with_times)
            case Export.STATES:
                return self._state(job, day, with_times=with_times)
            case Export.TASKS:
                return {**self._common(job), "out_biz_no": f"{job}{n}", "times": self._chance.choice(["", "1", "3"])}
            case Export.ORDERS:
                return self._order(job, n, made)

    def _contradict(self, row: Row) -> None:
        """Make a row name another user for its agreement or card."""
        if self._export is Export.POINTS:
            row["openid"] += "x"
        elif self._export is not Export.STATES and row["user_id"]:
            # A refund of a row without a user has none either; digits put there would be no user, but a wrong value.
            row["user_id"] = row["user_id"][:-2] + "9" + row["user_id"][-1:]

    def _common(self, job: str) -> Row:
        user = f"20880000000000{self._chance.randrange(4)}{job == 'a':d}"
        return {"user_id": user, "agreement_no": f"agr{user}", "biz_time": "2025-11-20 10:00:00"}

    def _balance(self, job: str, day: int, n: int, *, with_keys: bool, with_times: bool) -> Row:
        card = self._chance.randrange(8)
        # If alternating, the balances of the third day are those of the first.
        points = day % 2 if self._alternating else self._chance.randrange(2)
        return {
            "out_request_no": f"{job}{day}-{n}" if with_keys else "",
            "openid": f"o{job}{card}",
            "user_card_code": f"{job}{card:04}",
            "point_balance": str(points),
            "updated_at": f"2025-11-{20 + day} 0{self._chance.randrange(9)}:00:00" if with_times else "",
        }

    def _state(self, job: str, day: int, *, with_times: bool) -> Row:
        """Return one of a few states, so that they come back; sometimes the object has another user."""
        chance, thing = self._chance, self._chance.randrange(10)
        user = chance.randrange(3) if chance.random() < 0.1 else thing % 3
        return {
            "out_biz_no": f"{job}{thing}", "user_id": f"20880000000000{user}{job == 'a':d}",
            "out_principal_id": chance.choice(["film"] * 9 + ["book"]),
            "biz_state_code": chance.choice(["NEW", "PAID", "DONE"]),
            "biz_data": chance.choice(['{"n":1}'] * 5 + ['{"n":2}']),
            "updated_at": f"2025-11-{20 + day} 0{chance.randrange(6)}:00:00" if with_times else "",
        }  # fmt: skip

    def _order(self, job: str, n: int, made: list[Row]) -> Row:
        row = {
            **self._common(job), "out_biz_no": f"{job}{n}", "trade_no": f"T{n}", "trade_amount": f"{n}.50",
            "task_name": "task" if n % 6 == 1 else "", "discounts": _DISCOUNTS if n % 3 == 1 else "",
        }  # fmt: skip
        payments = [r for r in made if not r.get("pay_out_biz_no")]
        if payments and self._chance.random() < 0.25:
            paid = self._chance.choice(payments)
            return {**row, "user_id": paid["user_id"], "agreement_no": paid["agreement_no"],
                    "biz_action": "ORDER_REFUND", "pay_out_biz_no": paid["out_biz_no"]}  # fmt: skip
        return {**row, "biz_action": "ORDER_PAID", "pay_out_biz_no": ""}


def many_balances(folder: Path, job: str, count: int) -> None:
    """Write an export of balances of `count` cards."""
    columns = COLUMNS[Export.POINTS]
    cells = (("", f"o{job}{n}", f"{job}{n:08}", str(n % 7), "") for n in range(count))
    write_export(folder / f"{job}-1.csv", Export.POINTS, [dict(zip(columns, row, strict=True)) for row in cells])


def balances_with_keys(folder: Path, job: str, days: int, chance: random.Random) -> None:
    """Write exports of several days with the same few cards; each row has its own request key."""
    with_times = chance.random() < 0.5
    for day in range(1, days + 1):
        rows = [
            {
                "out_request_no": f"{job}{day}-{card}",
                "openid": f"o{job}{card}",
                "user_card_code": f"{job}{card:04}",
                "point_balance": str(chance.randrange(2)),
                "updated_at": f"2025-11-1{day} 08:00:00" if with_times else "",
            }
            for card in range(8)
        ]
        write_export(folder / f"{job}-{day}.csv", Export.POINTS, rows)


def many_orders(folder: Path, job: str, count: int) -> None:
    """Write an export of orders, each of another user."""
    users = [f"2088{n:011}{job == 'a':d}" for n in range(count)]
    rows = [
        {"out_biz_no": f"{job}{n}", "agreement_no": f"agr{user}", "user_id": user, "biz_time": "2025-11-20 10:00:00",
         "trade_no": f"T{n}", "trade_amount": "1.50", "biz_action": "ORDER_PAID", "pay_out_biz_no": ""}
        for n, user in enumerate(users)
    ]  # fmt: skip
    write_export(folder / f"{job}-1.csv", Export.ORDERS, rows)


def cards_in(exports: Iterable[Path]) -> list[str]:
    """Return the cards of some exports of points."""
    cards = set()
    for path in exports:
        with path.open(encoding="utf-8", newline="") as file:
            cards |= {row["user_card_code"] for row in csv.DictReader(file)}
    return sorted(cards)


def write_export(path: Path, export: Export, rows: list[Row]) -> None:
    """Write rows to a file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS[export], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
