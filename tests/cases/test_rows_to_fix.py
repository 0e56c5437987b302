"""Variants of two cases: a rerun of nothing, and `rows_to_fix` saved by a spreadsheet."""

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.cases.inputs import csv_of, job, order, points, row, run, state, task
from tests.cases.player import Player
from tests.read.workbooks import text, xlsx

CARD = "00048901234567890123"
AS_WRITTEN = {"delimiter": ",", "encoding": "utf-8-sig"}


@pytest.mark.parametrize(
    ("export", "rows", "exit_code", "says"),
    [
        pytest.param("points", [points(1, 5), points(2, "x"), points(3, "y")], 3, "2 rows", id="two invalid balances"),
        pytest.param("states", [state(1, "BUY", biz_data="x")], 3, "1 row ", id="nothing but an invalid state"),
        pytest.param("tasks", [task(1, times="0"), task(2)], 3, "1 row ", id="an invalid task"),
        pytest.param("orders", [order(1), order(2)], 0, "no row", id="nothing left"),
    ],
)
def test_a_rerun_of_nothing_makes_no_run(
    player: Player, export: str, rows: Sequence[Mapping[str, Any]], exit_code: int, says: str
) -> None:
    """For each export: no run, no request, the rows left, and exit code 3 only if rows need a person."""
    player.prepare(job(export, ["in.csv"]), {"in.csv": csv_of(rows)})

    player.play(
        [
            run(f"run {export}", exit_code, runs=1),
            run("rerun last", exit_code, sent=[], says=[says], runs=1),
            run("rerun last --only rejected", exit_code, sent=[], says=[says], runs=1),
        ]
    )


SPOILED = [
    pytest.param(
        "points", points(1, "x", user_card_code=CARD), {"point_balance": "5", "user_card_code": "48901234567890123"},
        id="leading zeros of a card",
    ),
    pytest.param(
        "points", points(1, "x", user_card_code=CARD), {"point_balance": "5", "user_card_code": "4.89012E+16"},
        id="card in scientific notation",
    ),
    pytest.param(
        "states", state(1, "BUY", biz_data="x", out_biz_no="123456789012345678"),
        {"biz_data": "{}", "out_biz_no": "123456789012346000"}, id="key of a state, rounded at the 15th digit",
    ),
    pytest.param(
        "tasks", task(1, times="0", out_biz_no="000777"), {"times": "1", "out_biz_no": "777.0"}, id="key as a float",
    ),
    pytest.param(
        "orders", order(1, trade_amount="x", trade_no="2025112022001400001234567890"),
        {"trade_amount": "1.00", "trade_no": "2,02511E+27"}, id="trade number, with a comma",
    ),
]  # fmt: skip


def resaved(player: Player, changes: Mapping[str, str], name: str, *, delimiter: str, encoding: str) -> None:
    """Save the newest `rows_to_fix` like a spreadsheet: another delimiter and encoding, the last column first."""
    report = max(player.folder.glob("reports/*"))
    with (report / "rows_to_fix.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = [each | dict(changes) for each in csv.DictReader(file)]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(reversed(rows[0])), delimiter=delimiter, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    (player.folder / name).write_bytes(out.getvalue().encode(encoding))


@pytest.mark.parametrize(("delimiter", "encoding"), [(",", "utf-8-sig"), (";", "gbk"), ("\t", "utf-16")])
@pytest.mark.parametrize(("export", "one", "changes"), SPOILED)
def test_an_id_that_a_spreadsheet_rounded_is_refused(
    player: Player, export: str, one: Mapping[str, Any], changes: Mapping[str, str], delimiter: str, encoding: str
) -> None:
    """A rounded id in any field, export and file type is refused; with the original id the row is sent."""
    player.prepare(job(export, ["in.csv"]), {"in.csv": csv_of([one])})
    player.play([run(f"run {export}", 3, [row("in.csv", 1, "invalid")], [])])

    resaved(player, changes, "fixed.csv", delimiter=delimiter, encoding=encoding)
    player.play([run(f"run {export} fixed.csv", 3, [row("fixed.csv", 1, "invalid", "id_rounded")], [])])
    resaved(player, {}, "again.csv", delimiter=delimiter, encoding=encoding)
    (field,) = {name for name in changes if name.endswith(("_no", "_code"))}

    player.play([run(f"run {export} again.csv", 0, [row("again.csv", 1, "succeeded")])])
    assert one[field] not in ("", changes[field])


def test_the_sheet_of_a_job_is_not_that_of_its_fixed_rows(player: Player) -> None:
    """A job that names the sheet of its exports takes back `rows_to_fix.xlsx`, and refuses any other workbook."""
    cells = [list(map(text, task(1))), [text(value) for value in task(1, biz_time="x").values()]]
    files = {"in.xlsx": xlsx({"明细": cells}), "other.xlsx": xlsx({"S": cells})}
    player.prepare(job("tasks", ["in.xlsx"], more='sheet = "明细"'), files)
    player.play(
        [
            run("run tasks other.xlsx", 2, sent=[], says=["other.xlsx has no sheet"]),
            run("run tasks", 3, [row("in.xlsx", 1, "invalid")], []),
        ]
    )
    report = max(player.folder.glob("reports/*"))
    with (
        zipfile.ZipFile(report / "rows_to_fix.xlsx") as before,
        zipfile.ZipFile(player.folder / "f.xlsx", "w") as after,
    ):
        for name in before.namelist():
            after.writestr(name, before.read(name).replace(b">x<", b">2025-11-20 10:00:00<"))

    player.play([run("run tasks f.xlsx", 0, [row("f.xlsx", 1, "succeeded")], [{"out_biz_no": "K1"}])])


def test_zeros_of_a_float_may_be_taken_off_an_id(player: Player) -> None:
    """An id like `123.0` may be fixed to 123: that is no rounding, if a float holds all of its digits."""
    one = order(1, out_biz_no="20251120001.0", trade_no="2025112000100000001.0")
    player.prepare(job("orders", ["in.csv"]), {"in.csv": csv_of([one])})
    player.play([run("run orders", 3, [row("in.csv", 1, "invalid", "id_rounded")], [])])

    resaved(player, {"out_biz_no": "20251120001", "trade_no": "2025112000100000000"}, "a.csv", **AS_WRITTEN)
    player.play([run("run orders a.csv", 3, [row("a.csv", 1, "invalid", "id_rounded", "trade_no")], [])])
    resaved(player, {"out_biz_no": "20251120001", "trade_no": "T1"}, "b.csv", **AS_WRITTEN)
    player.play([run("run orders b.csv", 0, [row("b.csv", 1, "succeeded")], [{"out_biz_no": "20251120001"}])])
