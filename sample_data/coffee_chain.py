"""
One day of an invented coffee chain, as its systems export it.

No person, store, card or id here is real.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

DAY = "2025-11-20"
DATE_DIGITS = DAY.replace("-", "")
SHOPS = ("青石巷店", "滨江路店", "大学城店", "火车东站店", "望湖广场店")

_OPENING = datetime.fromisoformat(f"{DAY} 07:00:00")
_OPEN_SECONDS = 15 * 3600
_MEMBERS = 90
_PRICES_FEN = {"拿铁": 2200, "燕麦拿铁": 2600, "手冲单品": 3200, "桂花乌龙": 1800, "海盐可颂": 1500, "抹茶千层": 2900}
_TASKS = ("到店打卡", "自带杯减塑", "完成口味问卷", "邀请好友入会")

Row = dict[str, str]


class Chance:
    """Draws from a seed, the same in every version of Python, because it uses `random()` only."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - it makes samples, not secrets

    def number(self, below: int) -> int:
        """Return a number from 0 to `below` - 1."""
        return int(self._random.random() * below)

    def times(self, count: int) -> Iterator[datetime]:
        """Yield times spread over the opening hours, in order."""
        for place in range(count):
            yield _OPENING + timedelta(seconds=int((place + self._random.random()) / count * _OPEN_SECONDS))

    def store(self) -> str:
        """Return a store's name."""
        return SHOPS[self.number(len(SHOPS))]

    def member(self) -> "Member":
        """Return one of the chain's members."""
        return Member(1 + self.number(_MEMBERS))


@dataclass(frozen=True, slots=True)
class Member:
    """A member. The ids are made from its number; they have the platforms' form and belong to nobody."""

    number: int

    @property
    def user_id(self) -> str:
        """The id at Alipay."""
        return f"20880000{self.number:08d}"

    @property
    def open_id(self) -> str:
        """The newer id at Alipay."""
        return f"oTESTalipay{self.number:017d}"

    @property
    def agreement_no(self) -> str:
        """The number of the Zhima Go agreement; more digits than a float can represent."""
        return f"2025000000000000{self.number:04d}"


def payments(chance: Chance, *, first: int, count: int, store: int) -> list[Row]:
    """Return the sales of one channel, in order, in the store at this place of SHOPS and the next one."""
    return [_payment(chance, number, at, store) for number, at in enumerate(chance.times(count), first)]


def _payment(chance: Chance, number: int, at: datetime, store: int) -> Row:
    member = chance.member()
    item = tuple(_PRICES_FEN)[chance.number(len(_PRICES_FEN))]
    count = 1 + chance.number(3)
    off_fen = 300 if number % 5 == 0 else 0
    return {
        "order_id": f"D{DATE_DIGITS}{number:04d}",
        "agreement_no": member.agreement_no,
        "user_id": member.user_id,
        "paid_at": f"{at}",
        "trade_no": f"POS{DATE_DIGITS}{number:06d}",
        "paid_yuan": f"{Decimal(_PRICES_FEN[item] * count - off_fen) / 100:.2f}",
        "discount_name": "会员日立减" if off_fen else "",
        "discount_fen": str(off_fen or ""),
        "action": "ORDER_PAID",
        "refund_of": "",
        "shop": SHOPS[(store + number % 2) % len(SHOPS)],
        "note": f"{item}×{count}",
    }


def refund(number: int, of: Row) -> Row:
    """Return a refund of a payment, one hour later."""
    return {
        **of,
        "order_id": f"R{DATE_DIGITS}{number:04d}",
        "paid_at": f"{datetime.fromisoformat(of['paid_at']) + timedelta(hours=1)}",
        "discount_name": "",
        "discount_fen": "",
        "action": "ORDER_REFUND",
        "refund_of": of["order_id"],
        "note": "退款",
    }


def tasks(chance: Chance, count: int) -> list[Row]:
    """Return tasks done, in order; every 40th was done 3 times."""
    return [_task(chance, number, at) for number, at in enumerate(chance.times(count), 1)]


def _task(chance: Chance, number: int, at: datetime) -> Row:
    member = chance.member()
    return {
        "task_no": f"T{DATE_DIGITS}{number:04d}",
        "agreement_no": member.agreement_no,
        "open_id": member.open_id,
        "done_at": f"{at}",
        "task_name": _TASKS[chance.number(len(_TASKS))],
        "times": "3" if number % 40 == 0 else "",
    }


def rentals(chance: Chance, count: int) -> list[Row]:
    """Return the states of `count` reusable cups, in order: each was lent and returned within 6 hours."""
    states = [row for number, at in enumerate(chance.times(count), 1) for row in _rental(chance, number, at)]
    return sorted(states, key=lambda row: row["biz_data.happened_at"])


def _rental(chance: Chance, number: int, at: datetime) -> tuple[Row, Row]:
    lent = {
        "rental_no": f"L{DATE_DIGITS}{number:04d}",
        "user_id": chance.member().user_id,
        "cup_no": f"CUP-{number:05d}",
        "state": "LENT",
        "biz_data.shop": chance.store(),
        "biz_data.deposit_yuan": "19.90",
        "biz_data.happened_at": f"{at}",
    }
    back_at = at + timedelta(minutes=20 + chance.number(340))
    return lent, {**lent, "state": "RETURNED", "biz_data.shop": chance.store(), "biz_data.happened_at": f"{back_at}"}


def balances(chance: Chance, *, first: int, cards: int) -> list[Row]:
    """Return the balances of `cards` cards, in order; every third card changed twice."""
    rows: list[Row] = []
    for number, at in enumerate(chance.times(cards), first):
        points = 10 + chance.number(2000)
        if number % 3 == 0:
            rows.append(_balance(chance, number, points, at - timedelta(minutes=90)))
        rows.append(_balance(chance, number, points + 15, at))
    return sorted(rows, key=lambda row: row["updated_at"])


def _balance(chance: Chance, number: int, points: int, at: datetime) -> Row:
    return {
        "card_id": "pTESTcoffeeCard0000000000001",
        "openid": f"oTESTwechat{number:017d}",
        "user_card_code": f"{number:012d}",
        "point_balance": str(points),
        "updated_at": f"{at}",
        "shop": chance.store(),
    }
