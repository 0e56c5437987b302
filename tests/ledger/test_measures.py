"""The measures of deliveries in a ledger of version 9: taken from bodies that are still there."""

import sqlite3
from contextlib import closing
from pathlib import Path

import orjson

from pipeline.ledger.rules.measures import COLUMNS, MEASURES
from pipeline.ledger.store.database import connect, open_ledger
from pipeline.ledger.store.schema import APPLICATION_ID, MIGRATIONS

BEFORE = 9
REFUND = {
    "agreement_no": "20255108518085000001",
    "biz_time": "2025-11-20 10:00:00",
    "biz_action": "ORDER_REFUND",
    "amount_type_data": {
        "name": "消费金额",
        "trade_info": {"trade_no": "T1", "amount": "1280.05"},
        "out_discount_infos": [{"discount_amount": "0.10"}, {"discount_amount": "1.25"}],
    },
    "task_type_data": {"name": "签到"},
}
TASK = {"agreement_no": "2", "biz_time": "2025-11-21 00:00:00", "biz_action": "ORDER_PAID", "task_type_data": {}}
ORDER = {
    "agreement_no": "3",
    "biz_time": "2025-11-22 23:59:59",
    "biz_action": "ORDER_PAID",
    "amount_type_data": {"trade_info": {"amount": "0.05"}},
}
EXPECTED = {
    "refund": ("20255108518085000001", 20251120, -1, 1, 128005, 135),
    "task": ("2", 20251121, 1, 1, None, None),
    "order": ("3", 20251122, 1, 0, 5, None),
}
BODIES = {"refund": REFUND, "task": TASK, "order": ORDER}


def write_version_9(path: Path) -> None:
    """Write a ledger with an unknown delivery for each body, a confirmed one without body, and a balance."""
    with closing(connect(path)) as connection:
        for step in MIGRATIONS[:BEFORE]:
            connection.executescript(step)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {BEFORE}")
        bodies = [*((key, orjson.dumps(body)) for key, body in BODIES.items()), ("confirmed", None), ("balance", b"{}")]
        for number, (key, body) in enumerate(bodies):
            api = "wechatpay.points" if key == "balance" else "alipay.cumulation"
            state = "succeeded" if body is None else "unknown"
            connection.execute(
                "INSERT INTO dues (due_no, run_no, row_no, part, position, request_key, identity, key_is_derived,"
                " digest, body, lane, status) VALUES (?, 1, ?, 0, 1, ?, ?, 0, x'00', ?, x'00', ?)",
                (number, number, key, key, body, state),
            )
            connection.execute(
                "INSERT INTO deliveries (account_no, api, identity, digest, state, due_no)"
                " VALUES (1, ?, ?, x'00', ?, ?)",
                (api, key, state, number),
            )


def test_a_migration_takes_measures_from_bodies(tmp_path: Path) -> None:
    """Deliveries with a body get their measures; of confirmed ones, whose body was deleted, they are not known."""
    write_version_9(tmp_path / "ledger.db")

    with closing(open_ledger(tmp_path / "ledger.db")) as ledger:
        found = {key: tuple(rest) for key, *rest in ledger.execute(f"SELECT identity, {COLUMNS} FROM deliveries")}

    unknown = (None,) * 6
    assert found == {**EXPECTED, "confirmed": unknown, "balance": unknown}


def test_measures_of_a_body() -> None:
    """Amounts are whole fen, a refund has the direction -1, several discounts are added up."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE d (body BLOB)")
        found = {}
        for key, body in BODIES.items():
            connection.execute("DELETE FROM d")
            connection.execute("INSERT INTO d VALUES (?)", (orjson.dumps(body),))
            found[key] = connection.execute(f"SELECT {MEASURES} FROM d").fetchone()

    assert found == EXPECTED
