"""Parts of a case: jobs, rows, input files and steps."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SERVICE = "2019000000000000000000000000"
_ACCOUNTS = {"alipay.cumulation": "zhima", "alipay.state": "zhima", "wechatpay.points": "card"}
_APIS = {
    "orders": "alipay.cumulation",
    "tasks": "alipay.cumulation",
    "states": "alipay.state",
    "points": "wechatpay.points",
}
_CONSTANTS = {
    "orders": {"partner_id": "2088000000000000", "amount_name": "消费金额"},
    "tasks": {"partner_id": "2088000000000000"},
}


def job(export: str, source: Sequence[str], *, name: str | None = None, more: str = "") -> str:
    """Return a job as TOML; `more` is inserted between its own keys and its constants."""
    api = _APIS[export]
    constants = "".join(f"{key} = {_text(value)}\n" for key, value in _CONSTANTS.get(export, {}).items())
    return (
        f'[jobs.{name or export}]\nexport = "{export}"\napi = "{api}"\naccount = "{_ACCOUNTS[api]}"\n'
        f"input = {_text(list(source))}\n{more}\n[jobs.{name or export}.constants]\n{constants}\n"
    )


def _text(value: object) -> str:
    # JSON and TOML have the same form for texts and lists of texts.
    return json.dumps(value, ensure_ascii=False)


def agreement(number: int) -> str:
    """Return an agreement number of 20 digits."""
    return f"2023540000000000{number:04d}"


def order(number: int, **changes: Any) -> dict[str, Any]:
    """Return a valid payment."""
    return {
        "out_biz_no": f"D{number}",
        "agreement_no": agreement(number),
        "user_id": f"2088{number:012d}",
        "biz_time": "2025-11-20 10:00:00",
        "trade_no": f"T{number:06d}",
        "trade_amount": "1.00",
    } | changes


def task(number: int, **changes: Any) -> dict[str, Any]:
    """Return a valid task."""
    return {
        "out_biz_no": f"K{number}",
        "agreement_no": agreement(number),
        "user_id": f"2088{number:012d}",
        "biz_time": "2025-11-20 10:00:00",
        "task_name": "签到",
    } | changes


def points(number: int, balance: Any, **changes: Any) -> dict[str, Any]:
    """Return the balance of one card."""
    return {
        "brand_id": "B001",
        "card_id": "card_tpl_1",
        "openid": f"oOpenid{number:04d}",
        "user_card_code": f"{number:012d}",
        "point_balance": balance,
    } | changes


def state(number: int, code: str, **changes: Any) -> dict[str, Any]:
    """Return a state of one object."""
    return {
        "user_id": "2088123412341234",
        "out_biz_no": f"S{number}",
        "out_principal_id": "P1",
        "biz_state_code": code,
        "category_code": "CAT",
        "service_id": SERVICE,
        "biz_data": '{"a":"b"}',
    } | changes


def csv_of(rows: Sequence[Mapping[str, Any]], *, delimiter: str = ",") -> str:
    """Return rows as CSV, with the columns of all rows."""
    out = io.StringIO()
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.DictWriter(out, columns, restval="", delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def parquet_of(rows: Sequence[Mapping[str, Any]], types: Mapping[str, pa.DataType] | None = None) -> bytes:
    """Return rows as Parquet; a column without a type gets the one that Arrow infers."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    arrays = [pa.array([row.get(column) for row in rows], (types or {}).get(column)) for column in columns]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays, names=columns), sink)
    return sink.getvalue().to_pybytes()


def written_by(path: Path, created_by: str) -> None:
    """Replace the name of the writer in the footer of a Parquet file."""
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    body, foot = data[: -8 - length], data[-8 - length : -8]
    old, new = pq.read_metadata(path).created_by.encode(), created_by.encode()
    assert foot.count(bytes([len(old)]) + old) == 1
    assert len(new) < 128
    foot = foot.replace(bytes([len(old)]) + old, bytes([len(new)]) + new)
    path.write_bytes(body + foot + len(foot).to_bytes(4, "little") + b"PAR1")


def row(file: str, number: int, status: str, code: str | None = None, *message: str) -> dict[str, Any]:
    """Return the expected outcome of a row; `message` are regular expressions."""
    wanted: dict[str, Any] = {"file": file, "row": number, "status": status}
    return wanted | ({"code": code} if code else {}) | ({"message": list(message)} if message else {})


def run(
    words: str,
    exit_code: int,
    rows: Sequence[Mapping[str, Any]] | None = None,
    sent: Iterable[Mapping[str, Any]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return a step: the words after `backfill`, and the expected result."""
    step: dict[str, Any] = {"run": words, "exit": exit_code, **more}
    return step | ({} if rows is None else {"rows": rows}) | ({} if sent is None else {"sent": list(sent)})
