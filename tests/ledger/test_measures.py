"""Measures read from a body in Python are those that SQL reads from it."""

import sqlite3
from contextlib import closing

import orjson
import pytest

from pipeline.ledger.rules.measures import MEASURES, MeasureValues, measures_of

ORDER = {"agreement_no": "20250000000000000001", "biz_time": "2025-11-20 10:00:00", "biz_action": "ORDER_PAID"}


@pytest.mark.parametrize(
    ("fields", "measures"),
    [
        (
            {**ORDER, "amount_type_data": {"name": "x", "trade_info": {"amount": "12.50"}}},
            ("20250000000000000001", 20251120, 1, 0, 1250, None),
        ),
        (
            {
                **ORDER,
                "biz_action": "ORDER_REFUND",
                "amount_type_data": {
                    "trade_info": {"amount": "0.00"},
                    "out_discount_infos": [{"discount_amount": "3.00"}, {"discount_amount": "1234567890123.45"}],
                },
                "task_type_data": {"name": "y"},
            },
            ("20250000000000000001", 20251120, -1, 1, 0, 123456789012645),
        ),
        (
            {**ORDER, "amount_type_data": {"name": "x"}, "task_type_data": {"name": "y"}},
            ("20250000000000000001", 20251120, 1, 1, None, None),
        ),
        ({**ORDER, "task_type_data": {"name": "y"}}, ("20250000000000000001", 20251120, 1, 1, None, None)),
        ({"card_id": "p", "point_balance": 5}, (None, None, 1, 0, None, None)),
    ],
    ids=["payment", "refund", "no trade", "task", "balance"],
)
def test_both_readings_agree(fields: dict[str, object], measures: MeasureValues) -> None:
    """Amounts are in fen, discounts are added up, and what a body lacks is null."""
    body = orjson.dumps(fields)
    with closing(sqlite3.connect(":memory:")) as connection:
        by_sql = connection.execute(f"SELECT {MEASURES} FROM (SELECT ? AS body) AS d", (body,)).fetchone()

    assert (measures_of(body), by_sql) == (measures, measures)
