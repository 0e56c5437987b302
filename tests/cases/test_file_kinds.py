"""Variants of the cases about files: other exports, other fields, other file types."""

import gzip
import json
from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cases.inputs import csv_of, job, order, parquet_of, points, row, run, state, task, written_by
from tests.cases.player import Content, Player
from tests.read.workbooks import number, text, xlsx


def refused(job_name: str, *says: str) -> dict[str, Any]:
    return run(f"run {job_name}", 2, sent=[], says=list(says))


# ---------- gbk-that-is-valid-utf8


@pytest.mark.parametrize(
    ("export", "field", "rows"),
    [
        pytest.param("orders", "amount_name", [order(1, amount_name="元")], id="orders"),
        pytest.param("tasks", "task_name", [task(1, task_name="学校"), task(2, task_name="通知")], id="two-words"),
        pytest.param("tasks", "task_name", [task(1, task_name="VIP券")], id="beside-letters"),
        pytest.param("states", "biz_data", [state(1, "DONE", biz_data='{"a":"学员"}')], id="states"),
    ],
)
def test_gbk_that_is_valid_utf8_is_refused(
    player: Player, export: str, field: str, rows: Sequence[dict[str, Any]]
) -> None:
    """GBK text that is also valid UTF-8 is refused, until the job names the encoding."""
    encoding = '[jobs.fixed.csv]\nencoding = "gbk"\n'
    jobs = job(export, ["in.csv"]) + job(export, ["in.csv"], name="fixed", more=encoding)
    jobs = jobs.replace('amount_name = "消费金额"\n', "") if field == "amount_name" else jobs
    player.prepare(jobs, {"in.csv": csv_of(rows).encode("gbk")})
    player.play([refused(export, "encoding", "gb ?18030", "in\\.csv", "line 2")])
    ended = player.backfill("run fixed")
    assert (ended.exit_code, json.loads(ended.stdout)["inputs"][0]["encoding"]) == (0, "gbk")


@pytest.mark.parametrize(
    ("rows", "encoding", "names"),
    [
        pytest.param(
            [task(1, task_name="学习"), task(2, task_name="会员")], "gb18030", ["学习", "会员"], id="one-clear-line"
        ),
        pytest.param([task(1, task_name="José"), task(2, task_name="Müller")], "utf-8", ["José", "Müller"], id="latin"),
        pytest.param([task(1, task_name="学习")], "utf-8", ["学习"], id="utf-8"),
    ],
)
def test_text_with_a_clear_encoding_is_sent(
    player: Player, rows: Sequence[dict[str, Any]], encoding: str, names: Sequence[str]
) -> None:
    """One clear line decides, accented letters in words are UTF-8, and the summary names the encoding."""
    player.prepare(job("tasks", ["in.csv"]), {"in.csv": csv_of(rows).encode(encoding)})
    sent = [{"task_type_data": {"name": name}} for name in names]
    player.play([run("run tasks", 0, sent=sent)])
    assert json.loads(player.backfill("show last").stdout)["inputs"][0]["encoding"] == encoding


def test_an_ambiguous_column_that_no_field_uses_is_accepted(player: Player) -> None:
    """Ambiguous text in an unused column does not stop the run."""
    player.prepare(job("tasks", ["in.csv"]), {"in.csv": csv_of([task(1, task_name="a", note="学习")]).encode("gbk")})
    player.play([run("run tasks", 0, sent=[{"task_type_data": {"name": "a"}}])])


# ---------- lake-folders

BALANCE = parquet_of([points(1, 10)])


@pytest.mark.parametrize(
    ("pattern", "mark", "kind"),
    [
        pytest.param("t", "t/metadata/00000-1.metadata.json", "iceberg", id="iceberg"),
        pytest.param("t/data/*.parquet", "t/metadata/v3.metadata.json", "iceberg", id="data-of-iceberg"),
        pytest.param("t", "t/.hoodie/hoodie.properties", "hudi", id="hudi"),
        pytest.param("t/data/p.parquet", "t/.hoodie/hoodie.properties", "hudi", id="file-of-hudi"),
        pytest.param(".", "t/_delta_log/00000000000000000000.json", "delta", id="folder-above-delta"),
        pytest.param("t/**/*.parquet", "t/_delta_log/00000000000000000000.json", "delta", id="glob-into-delta"),
    ],
)
def test_a_lake_folder_is_refused(player: Player, pattern: str, mark: str, kind: str) -> None:
    """A Delta, Iceberg or Hudi table is refused by name, however the input reaches it."""
    player.prepare(job("points", [pattern]), {"t/data/p.parquet": BALANCE, mark: "{}"})
    player.play([refused("points", kind, "parquet|csv")])


# ---------- lines-above-the-header


@pytest.mark.parametrize(
    ("export", "data", "setting", "rows"),
    [
        pytest.param(
            "points", "积分日报\n\n" + csv_of([points(1, 10)]), "skip_lines = 2", [points(1, 10)], id="points"
        ),
        pytest.param(
            "tasks", "# 任务\n" + csv_of([task(1)], delimiter="\t"), 'comment = "#"', [task(1)], id="tabs-and-a-comment"
        ),
        pytest.param(
            "states",
            '"Export of states; 2025-11-20"\r\n' + csv_of([state(1, "DONE")], delimiter=";"),
            "skip_lines = 1",
            [state(1, "DONE")],
            id="semicolons",
        ),
        pytest.param(
            "orders",
            "a,b\nc,d\ne\n" + csv_of([order(1)]).replace(",", "||"),
            'skip_lines = 3\ndelimiter = "||"',
            [order(1)],
            id="longer-delimiter",
        ),
    ],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_lines_above_the_header_are_reported(
    player: Player, export: str, data: str, setting: str, rows: Sequence[dict[str, Any]], packed: bool
) -> None:
    """The message names the header's line and the setting, and with that setting the rows are sent."""
    name = "in.csv.gz" if packed else "in.csv"
    stored = gzip.compress(data.encode()) if packed else data.encode()
    jobs = job(export, [name]) + job(export, [name], name="fixed", more=f"[jobs.fixed.csv]\n{setting}\n")
    line = next(at for at, text in enumerate(data.splitlines(), 1) if "user_id" in text or "openid" in text)
    player.prepare(jobs, {name: stored})
    player.play(
        [
            refused(export, f"line {line}\\b", f"skip_lines = {line - 1}"),
            run("run fixed", 0, [row(name, at, "succeeded") for at, _ in enumerate(rows, 1)]),
        ]
    )


def test_rows_above_the_header_of_a_sheet_are_reported(player: Player) -> None:
    """As in CSV: the message names the row of the sheet and the setting, and with it the rows are sent."""
    sheet = [[text("任务报表")], [], list(map(text, task(1))), [text(value) for value in task(1).values()]]
    jobs = job("tasks", ["in.xlsx"]) + job(
        "tasks", ["in.xlsx"], name="fixed", more="[jobs.fixed.csv]\nskip_lines = 2\n"
    )
    player.prepare(jobs, {"in.xlsx": xlsx({"S": sheet})})

    player.play(
        [
            refused("tasks", "in.xlsx: .* row 3", "csv.skip_lines = 2"),
            run("run fixed", 0, [row("in.xlsx", 1, "succeeded")], [{"out_biz_no": "K1"}]),
        ]
    )


def test_a_delimiter_that_cannot_be_detected_is_reported(player: Player) -> None:
    """If blanks seem to be the delimiter but are in values too, the message says so."""
    data = csv_of([points(1, 10)]).replace(",", " ") + "B001 card tpl 1 o 1 2\n"
    player.prepare(job("points", ["in.csv"]), {"in.csv": data + data.split("\n")[2] + "\n"})
    player.play([refused("points", "line 1", 'delimiter " "', "csv\\.delimiter")])


# ---------- dates-in-names


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        pytest.param("{date:%Y/%m/%d}/points.csv", "2025/11/20/points.csv", id="folders"),
        pytest.param("points_{date:%y%m%d}*.csv", "points_251120_1.csv", id="glob"),
        pytest.param("points/dt={date}", "points/dt=2025-11-20/a.csv", id="partition"),
        pytest.param("points/dt={date:%Y%m%d}/**/*.csv", "points/dt=20251120/hour=1/a.csv", id="partition-in-a-form"),
    ],
)
def test_dates_in_names(player: Player, pattern: str, name: str) -> None:
    """The file of the run's day is read, and files of other days are not."""
    other = name.replace("20", "21").replace("2125", "2025")
    player.prepare(job("points", [pattern]), {name: csv_of([points(1, 10)]), other: csv_of([points(2, 20)])})
    sent = [{"user_card_code": "000000000001"}]
    player.play([run("run points --date 2025-11-20", 0, [row(name, 1, "succeeded")], sent)])


def test_an_export_that_is_not_ready_is_not_sent(player: Player) -> None:
    """Without the ready file nothing is sent; a file named on the command line needs none."""
    player.prepare(job("points", ["in/*.csv"], more='ready = "_SUCCESS"'), {"in/a.csv": csv_of([points(1, 10)])})
    player.play([refused("points", "_SUCCESS", "in/a\\.csv"), run("plan points in/a.csv", 0)])
    (player.folder / "in/_SUCCESS").touch()
    player.play([run("run points", 0, sent=[{"point_balance": 10}])])


# ---------- int96-times


def int96_of(rows: Sequence[dict[str, Any]], column: str) -> bytes:
    table = pa.table({name: [made[name] for made in rows] for name in rows[0]})
    file = BytesIO()
    pq.write_table(table, file, use_deprecated_int96_timestamps=True, store_schema=False)
    assert b"\x03" in file.getvalue()
    assert table.schema.field(column).type == pa.timestamp("us")
    return file.getvalue()


EVENING = datetime(2025, 11, 20, 18, 30)  # noqa: DTZ001 - INT96 has no zone


@pytest.mark.parametrize(
    ("export", "made", "column", "utc", "local"),
    [
        pytest.param(
            "tasks", task(1, biz_time=EVENING), "biz_time", {"biz_time": "2025-11-21 02:30:00"},
            {"biz_time": "2025-11-20 18:30:00"}, id="tasks",
        ),
        pytest.param(
            "orders", order(1, biz_time=EVENING), "biz_time", {"biz_time": "2025-11-21 02:30:00"},
            {"biz_time": "2025-11-20 18:30:00"}, id="orders",
        ),
        pytest.param(
            "points", points(1, 10, updated_at=EVENING), "updated_at", {"point_balance": 10}, {"point_balance": 10},
            id="points",
        ),
    ],
)  # fmt: skip
def test_int96_times(
    player: Player, export: str, made: dict[str, Any], column: str, utc: dict[str, Any], local: dict[str, Any]
) -> None:
    """INT96 of Trino is UTC; for other writers the job decides, or file and column are refused."""
    data = int96_of([made], column)
    key = "out_biz_no" if "out_biz_no" in made else "user_card_code"
    other = int96_of([made | {key: f"9{made[key]}"[:12]}], column)
    player.prepare(
        job(export, ["trino.parquet"])
        + job(export, ["other.parquet"], name="unknown")
        + job(export, ["other.parquet"], name="local", more='int96 = "local"'),
        {"trino.parquet": lambda path: _written_by_trino(path, data), "other.parquet": other},
    )
    player.play(
        [
            run(f"run {export}", 0, sent=[utc]),
            refused("unknown", "other\\.parquet", "INT96", column),
            run("run local", 0, sent=[local]),
        ]
    )


def _written_by_trino(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    written_by(path, "parquet-mr-trino version 440 (build n/a)")


# ---------- common file types

SHEET_ROW = [text(value) if isinstance(value, str) else number(str(value)) for value in points(1, 10).values()]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("in.tsv", csv_of([points(1, 10)], delimiter="\t"), id="tsv"),
        pytest.param("in.jsonl", json.dumps(points(1, 10)) + "\n", id="json-lines"),
        pytest.param("in.csv", csv_of([points(1, 10)]).replace(",", "^A|"), id="longer-delimiter"),
        pytest.param("in.xlsx", xlsx({"明细": [list(map(text, points(1, 10))), SHEET_ROW]}), id="workbook"),
    ],
)
def test_common_file_types(player: Player, name: str, data: str | bytes) -> None:
    """Each of these files gives the same row."""
    player.prepare(job("points", [name]), {name: data})
    player.play(
        [run("run points", 0, [row(name, 1, "succeeded")], [{"user_card_code": "000000000001", "point_balance": 10}])]
    )


def test_files_that_are_not_read_are_listed(player: Player) -> None:
    """`plan` and the log of a run name ignored files of the folder; a plan names encoding and delimiter."""
    files: dict[str, Content] = {"in/a.csv": csv_of([points(1, 10)]), "in/notes.txt": "x", "in/b.parquet": BALANCE}
    player.prepare(job("points", ["in"]), files)
    plan = json.loads(player.backfill("plan points").stdout)
    assert plan["ignored"] == ["in/notes.txt"]
    assert plan["inputs"] == [
        {"file": "in/a.csv", "rows": 1, "encoding": "utf-8", "delimiter": ","},
        {"file": "in/b.parquet", "rows": 1, "encoding": None, "delimiter": None},
    ]
    assert "ignored: in/notes.txt" in player.backfill("run points").stderr
