"""
What a delivery of orders or tasks adds to the totals of its agreement, read from its body by SQL.

The body of a delivery is deleted once it is confirmed, so the ledger keeps its measures beside it:

- `agreement`: the agreement's number; `biz_day`: the day of `biz_time` as it was sent, in Beijing, as 20261128
- `direction`: 1, or -1 for a refund; `tasks`: 1 if a task is counted, else 0
- `amount` and `discount`: in fen, never negative; null where the body has none. Several discounts are added up

Bodies have amounts in yuan with two decimals: without the point they are whole fen.
"""

COLUMNS = "agreement, biz_day, direction, tasks, amount, discount"
"""The columns of the measures, in the table `deliveries` and in the result of `MEASURES`."""

# The measures of a due `d`, for use in a SELECT.
MEASURES = """
    json_extract(CAST(d.body AS TEXT), '$.agreement_no') AS agreement,
    CAST(replace(substr(json_extract(CAST(d.body AS TEXT), '$.biz_time'), 1, 10), '-', '') AS INTEGER) AS biz_day,
    iif(json_extract(CAST(d.body AS TEXT), '$.biz_action') = 'ORDER_REFUND', -1, 1) AS direction,
    json_extract(CAST(d.body AS TEXT), '$.task_type_data') IS NOT NULL AS tasks,
    CAST(replace(json_extract(CAST(d.body AS TEXT), '$.amount_type_data.trade_info.amount'), '.', '') AS INTEGER)
        AS amount,
    (SELECT sum(CAST(replace(json_extract(info.value, '$.discount_amount'), '.', '') AS INTEGER))
        FROM json_each(CAST(d.body AS TEXT), '$.amount_type_data.out_discount_infos') AS info) AS discount
"""
