"""Variants of the cases about values: other fields, other exports, Parquet."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tests.cases.inputs import agreement, csv_of, job, order, parquet_of, points, row, run, state, task
from tests.cases.player import Player
from tests.read.workbooks import number, text, xlsx

Rows = Sequence[Mapping[str, Any]]


def play(
    player: Player, export: str, rows: Rows, wanted: Rows, sent: Rows, *, more: str = "", suffix: str = "csv"
) -> None:
    """Run a job over rows in a file of that type; `wanted` has status, and code and message where they matter."""
    name = f"{export}.{suffix}"
    content = parquet_of(rows) if suffix == "parquet" else csv_of(rows)
    player.prepare(job(export, [name], more=more), {name: content})
    outcomes = [{"file": name, "row": at, **one} for at, one in enumerate(wanted, 1)]
    is_done = all(one["status"] == "succeeded" for one in wanted)
    player.play([run(f"run {export}", 0 if is_done else 3, outcomes, sent)])


SENT = {"status": "succeeded"}
ROUNDED = {"status": "invalid", "code": "id_rounded", "message": ["export the column as text"]}


def invalid(code: str = "field_invalid", *message: str) -> dict[str, Any]:
    return {"status": "invalid", "code": code, "message": list(message)}


@pytest.mark.parametrize(
    ("export", "wrong", "right", "payload"),
    [
        pytest.param(
            "orders", order(1, agreement_no="2.02354E+19"), order(2), {"agreement_no": agreement(2)}, id="agreement"
        ),
        pytest.param("orders", order(1, trade_no="1.2E+15"), order(2), {"out_biz_no": "D2"}, id="trade number"),
        pytest.param("orders", order(1, out_biz_no="20251120001.0"), order(2), {"out_biz_no": "D2"}, id="point zero"),
        pytest.param("tasks", task(1, user_id="2.088E+15"), task(2), {"out_biz_no": "K2"}, id="user of a task"),
        pytest.param(
            "states", state(1, "DONE", service_id="2.019E+27"), state(2, "DONE"), {"out_biz_no": "S2"}, id="service"
        ),
        pytest.param("points", points(1, 1, openid="1E10"), points(2, 2), {"point_balance": 2}, id="open id"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_ids_rounded_by_spreadsheets(
    player: Player,
    export: str,
    wrong: Mapping[str, Any],
    right: Mapping[str, Any],
    payload: Mapping[str, Any],
    suffix: str,
) -> None:
    """A row whose id lost digits, in any field and export, is not sent; the other row is."""
    play(player, export, [wrong, right], [ROUNDED, SENT], [payload], suffix=suffix)


@pytest.mark.parametrize("code", ["12E4", "123.0", "7e10"])
def test_codes_that_look_rounded_are_sent_if_the_job_allows_it(player: Player, code: str) -> None:
    """With `suspicious_ids = "send"` such codes are sent as written."""
    rows = [order(1, trade_no=code)]
    sent = [{"amount_type_data": {"trade_info": {"trade_no": code}}}]

    play(player, "orders", rows, [SENT], sent, more='suspicious_ids = "send"')


@pytest.mark.parametrize("more", ["", 'suspicious_ids = "send"'], ids=["usual", "send"])
def test_a_cell_that_lost_digits_is_never_sent(player: Player, more: str) -> None:
    """A numeric cell with more than 15 digits has no id in it, so no setting sends it."""
    rows = [points(1, "1"), points(2, "2")]
    cells = [[text(str(value)) for value in each.values()] for each in rows]
    cells[0][3] = number("489012345678901234")
    cells[1][3] = number("489012345678901.0")
    player.prepare(job("points", ["in.xlsx"], more=more), {"in.xlsx": xlsx({"S": [list(map(text, rows[0])), *cells]})})

    wanted = [
        row("in.xlsx", 1, "invalid", "id_rounded", "export the column as text"),
        row("in.xlsx", 2, "succeeded"),
    ]
    player.play([run("run points", 3, wanted, [{"user_card_code": "489012345678901", "point_balance": 2}])])


@pytest.mark.parametrize(
    ("export", "rows", "wanted", "sent"),
    [
        pytest.param(
            "points",
            [points(1, 5, updated_at="None"), points(2, "NaN"), points(3, 7, user_card_code="#N/A")],
            [SENT, invalid("field_missing", "point_balance"), invalid("field_missing", "user_card_code")],
            [{"point_balance": 5}],
            id="points",
        ),
        pytest.param(
            "tasks",
            [task(1, open_id="(NULL)", times="<NA>"), task(2, task_name="null"), task(3, biz_action="NaT")],
            [SENT, invalid("field_missing", "task_name"), SENT],
            [{"out_biz_no": "K1", "open_id": None}, {"out_biz_no": "K3", "biz_action": "ORDER_PAID"}],
            id="tasks",
        ),
        pytest.param(
            "states",
            [
                state(1, "DONE", biz_data="", **{"biz_data.shop": "\\N", "biz_data.seat": "7"}),
                state(2, "nan", biz_data="", **{"biz_data.shop": "x"}),
            ],
            [SENT, invalid("field_missing", "biz_state_code")],
            [{"out_biz_no": "S1", "biz_data": '{"seat":"7"}'}],
            id="states",
        ),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_null_values(player: Player, export: str, rows: Rows, wanted: Rows, sent: Rows, suffix: str) -> None:
    """Null values are no value in every export, also in files with real nulls."""
    texts = [{name: str(cell) for name, cell in one.items()} for one in rows]

    play(player, export, texts, wanted, sent, suffix=suffix)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_job_may_have_its_own_null_values(player: Player, suffix: str) -> None:
    """The job's list replaces the default null values, in every file type."""
    rows = [order(1, open_id="无"), order(2, trade_no="NULL")]
    sent: Rows = [{"out_biz_no": "D1", "open_id": None}, {"amount_type_data": {"trade_info": {"trade_no": "NULL"}}}]

    more = '[jobs.orders.csv]\nnull_values = ["无"]\n'
    rows = [{"open_id": "", **one} for one in rows]
    play(player, "orders", rows, [SENT, SENT], sent, more=more, suffix=suffix)


@pytest.mark.parametrize(
    ("export", "rows", "wanted", "sent"),
    [
        pytest.param(
            "orders",
            [
                order(1, user_id="\u200e2088000000000001\u200e"),
                order(2, agreement_no=f"{agreement(2)[:4]}\u00ad{agreement(2)[4:]}"),
            ],
            [SENT, invalid("field_invalid", "agreement_no", r"U\+00AD")],
            [{"user_id": "2088000000000001"}],
            id="direction mark and soft hyphen",
        ),
        pytest.param(
            "points",
            [
                points(1, "\ufeff5"),
                points(2, 6, user_card_code="A\u200d1"),
                points(3, "1\u200b0"),
                points(4, 7, openid="o１"),
            ],
            [
                SENT,
                invalid("field_invalid", "user_card_code", r"U\+200D"),
                invalid("field_invalid", "point_balance", r"U\+200B"),
                invalid("field_invalid", "openid", r"U\+FF11"),
            ],
            [{"point_balance": 5}],
            id="BOM, joiner, full-width digit",
        ),
        pytest.param(
            "tasks",
            [
                task(1, biz_time="\u202a2025-11-20 10:00:00\u202c", biz_action="\u200bORDER_PAID"),
                task(2, biz_time="2025-11-20\u200b10:00:00"),
                task(3, biz_time="２０25-11-20 10:00:00"),
                task(4, biz_action="ORDER\u200b_PAID"),
            ],
            [
                SENT,
                invalid("field_invalid", "biz_time", r"U\+200B"),
                invalid("field_invalid", "biz_time", r"U\+FF12"),
                invalid("field_invalid", "biz_action", r"U\+200B"),
            ],
            [{"biz_time": "2025-11-20 10:00:00", "biz_action": "ORDER_PAID"}],
            id="times and fixed words",
        ),
        pytest.param(
            "tasks",
            [task(1, task_name="家庭👨\u200d👩签到")],
            [SENT],
            [{"task_type_data": {"name": "家庭👨\u200d👩签到"}}],
            id="a name",
        ),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_invisible_characters(player: Player, export: str, rows: Rows, wanted: Rows, sent: Rows, suffix: str) -> None:
    """Invisible characters are stripped at the ends, and named inside; a name keeps them."""
    texts = [{name: str(cell) for name, cell in one.items()} for one in rows]

    play(player, export, texts, wanted, sent, suffix=suffix)


@pytest.mark.parametrize(
    ("export", "rows", "sent"),
    [
        pytest.param(
            "states",
            [state(1, "'DONE", out_principal_id="`P1", user_id='="2088123412341234"')],
            [{"user_id": "2088123412341234", "out_principal_id": "P1", "biz_state_code": "DONE"}],
            id="states",
        ),
        pytest.param(
            "orders",
            [order(1, biz_time="'2025-11-20 10:00:00", trade_amount='="1,280.00"', trade_no="`00017")],
            [
                {
                    "biz_time": "2025-11-20 10:00:00",
                    "amount_type_data": {"trade_info": {"amount": "1280.00", "trade_no": "00017"}},
                }
            ],
            id="time and amount",
        ),
        pytest.param(
            "tasks",
            [task(1, times="'2", task_name="'twas")],
            [{"out_biz_no": f"K1-{n}", "task_type_data": {"name": "'twas"}} for n in (1, 2)],
            id="a number of times, and a name that keeps its apostrophe",
        ),
        pytest.param(
            "points",
            [points(1, '="7"', user_card_code='="000123"', updated_at="`2025-11-20 10:00:00")],
            [{"point_balance": 7, "user_card_code": "000123"}],
            id="formulas",
        ),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_spreadsheet_guards(player: Player, export: str, rows: Rows, sent: Rows, suffix: str) -> None:
    """Text prefixes are removed from ids, numbers and times."""
    play(player, export, rows, [SENT], sent, suffix=suffix)


TIMES = [
    *("2025-11-20 10:00:00 +08:00", "2025-11-20T02:00:00Z", "2025-11-20 02:00:00 UTC", "2025-11-19 21:00:00-0500"),
    *("2025-11-20 10:00", "2025/11/20 10:00", "20251120100000", "2025-11-20T10:00:00.999", "2025-11-20 02:00:00.5+00"),
]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_times_of_databases_and_spreadsheets(player: Player, suffix: str) -> None:
    """All forms of databases and spreadsheets give the same moment."""
    rows = [order(n, biz_time=time) for n, time in enumerate(TIMES, 1)]
    sent = [{"out_biz_no": f"D{n}", "biz_time": "2025-11-20 10:00:00"} for n in range(1, len(TIMES) + 1)]

    play(player, "orders", rows, [SENT] * len(rows), sent, suffix=suffix)


def test_a_moment_of_parquet(player: Player) -> None:
    """A timestamp with a zone is sent as its moment, to the second."""
    moment = pa.array([datetime(2025, 11, 20, 2, 0, 0, 999_000, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    content = parquet_of([order(1, biz_time=moment[0].as_py())], {"biz_time": moment.type})
    player.prepare(job("orders", ["orders.parquet"]), {"orders.parquet": content})

    sent = [{"biz_time": "2025-11-20 10:00:00"}]
    player.play([run("run orders", 0, [row("orders.parquet", 1, "succeeded")], sent)])


@pytest.mark.parametrize(
    ("form", "time"),
    [
        pytest.param('"epoch_s"', "1763604000", id="seconds since 1970"),
        pytest.param('"epoch_ms"', "1763604000123", id="milliseconds since 1970"),
        pytest.param('["%d/%m/%Y", "excel_serial"]', "45981.4166666667", id="day number of a spreadsheet"),
        pytest.param('"%Y年%m月%d日 %H:%M"', "2025年11月20日 10:00", id="Chinese"),
    ],
)
def test_times_in_the_forms_of_a_job(player: Player, form: str, time: str) -> None:
    """A job may name the form of its export's times."""
    rows = [task(1, biz_time=time), task(2)]
    sent = [{"out_biz_no": f"K{n}", "biz_time": "2025-11-20 10:00:00"} for n in (1, 2)]

    play(player, "tasks", rows, [SENT, SENT], sent, more=f"[jobs.tasks.formats]\nbiz_time = {form}\n")


def test_times_out_of_range(player: Player) -> None:
    """Times before 2010 or in the future are invalid; a day number is reported with its likely form."""
    rows = [
        *(order(n, biz_time=time) for n, time in enumerate(("1970-01-01 08:00:00", "2009-12-31 23:59:59"), 1)),
        *(order(n, biz_time=time) for n, time in enumerate(("2099-01-01 00:00:00", "45981", "2025-02-30 10:00:00"), 3)),
        order(6),
    ]
    out_of_range = invalid("time_out_of_range", "biz_time")
    wanted = [*[out_of_range] * 3, invalid("field_invalid", "excel_serial"), invalid("field_invalid", "exist"), SENT]

    play(player, "orders", rows, wanted, [{"out_biz_no": "D6"}])


@pytest.mark.parametrize("zone", ["UTC+8", "+08:00", "CST", "Asia/Beijing", "北京", "China Standard Time"])
def test_zone_names(player: Player, zone: str) -> None:
    """Asia/Shanghai is suggested for all usual names of China's zone."""
    player.prepare(job("tasks", ["tasks.csv"], more=f'timezone = "{zone}"'), {"tasks.csv": csv_of([task(1)])})

    player.play([run("run tasks", 2, sent=[], says=["tasks.*timezone.*Asia/Shanghai"])])


def test_a_zone_whose_sign_is_reversed(player: Player) -> None:
    """Etc/GMT-8 is China's offset under a misleading name: it works, and gives a warning."""
    zone = 'timezone = "Etc/GMT-8"'
    player.prepare(job("tasks", ["tasks.csv"], more=zone), {"tasks.csv": csv_of([task(1)])})

    sent = [{"biz_time": "2025-11-20 10:00:00"}]
    player.play([run("run tasks", 0, sent=sent, says=[r"Etc/GMT-8 means UTC\+8.*Asia/Shanghai"])])


@pytest.mark.parametrize(
    ("export", "rows", "types", "sent"),
    [
        pytest.param(
            "orders",
            [order(1, trade_amount=Decimal("1280.5000"))],
            {"trade_amount": pa.decimal128(18, 4)},
            [{"amount_type_data": {"trade_info": {"amount": "1280.50"}}}],
            id="an amount of four places",
        ),
        pytest.param(
            "orders",
            [order(1, trade_amount=12.5)],
            {"trade_amount": pa.float64()},
            [{"amount_type_data": {"trade_info": {"amount": "12.50"}}}],
            id="a float that is exact",
        ),
        pytest.param(
            "orders",
            [order(1, trade_amount=12.34)],
            {"trade_amount": pa.float32()},
            [{"amount_type_data": {"trade_info": {"amount": "12.34"}}}],
            id="a short float",
        ),
        pytest.param(
            "points",
            [points(1, 1000.0)],
            {"point_balance": pa.float64()},
            [{"point_balance": 1000}],
            id="a whole float",
        ),
        pytest.param(
            "points",
            [points(1, Decimal(10))],
            {"point_balance": pa.decimal128(38, 18)},
            [{"point_balance": 10}],
            id="a balance of eighteen places",
        ),
        pytest.param(
            "tasks",
            [task(1, times=Decimal("2.0"))],
            {"times": pa.decimal128(5, 1)},
            [{"out_biz_no": "K1-1"}, {"out_biz_no": "K1-2"}],
            id="times",
        ),
    ],
)
def test_whole_numbers_in_decimals(
    player: Player, export: str, rows: Rows, types: Mapping[str, pa.DataType], sent: Rows
) -> None:
    """An exact number is read at any scale and type."""
    name = f"{export}.parquet"
    player.prepare(job(export, [name]), {name: parquet_of(rows, types)})

    player.play([run(f"run {export}", 0, [row(name, 1, "succeeded")], sent)])


def test_a_short_float_that_may_have_lost_cents_is_refused(player: Player) -> None:
    """From 131072 yuan on a float of 32 bits does not tell all cents apart, so such an amount is not sent."""
    rows = [order(1, trade_amount=167772.17), order(2, trade_amount=167772.5)]
    player.prepare(job("orders", ["in.parquet"]), {"in.parquet": parquet_of(rows, {"trade_amount": pa.float32()})})

    wanted = [
        row("in.parquet", 1, "invalid", "field_invalid", r"167772\.171875.*at most two decimals"),
        row("in.parquet", 2, "succeeded"),
    ]
    player.play([run("run orders", 3, wanted, [{"amount_type_data": {"trade_info": {"amount": "167772.50"}}}])])


def test_numbers_as_spreadsheets_show_them(player: Player) -> None:
    """Separators, currency signs and zeros are read; inexact numbers and misplaced signs are invalid."""
    amounts = ["1,280.00", "￥18.00", "¥18", "12.5000", "1,28.00", "¥¥1", "12.345", "-1", "1，280.00"]
    rows = [order(n, trade_amount=amount) for n, amount in enumerate(amounts, 1)]
    sent = [
        {"out_biz_no": f"D{n}", "amount_type_data": {"trade_info": {"amount": amount}}}
        for n, amount in enumerate(("1280.00", "18.00", "18.00", "12.50"), 1)
    ]

    play(player, "orders", rows, [SENT] * 4 + [invalid("field_invalid", "trade_amount")] * 5, sent)


def test_a_plan_shows_what_would_be_sent(player: Player) -> None:
    """The sample payloads of a plan are equal to those that a run sends."""
    rows = [
        order(
            1,
            user_id="'2088000000000001",
            trade_amount="￥1,280.00",
            biz_time="2025/11/20 7:45",
            trade_no="\ufeff00017",
        ),
        order(2, open_id="NULL", biz_time="2025-11-20 02:00:00.5+00"),
        order(3, agreement_no="2.02354E+19"),
    ]
    player.prepare(job("orders", ["orders.csv"]), {"orders.csv": csv_of(rows)})

    planned = json.loads(player.backfill("plan orders --show-ids").stdout)
    player.backfill("run orders")

    assert [payload["out_biz_no"] for payload in planned["samples"]] == ["D1", "D2"]
    assert sorted(player.sent, key=lambda payload: payload["out_biz_no"]) == planned["samples"]
