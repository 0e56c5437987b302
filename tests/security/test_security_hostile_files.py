"""Hostile files end in a message or in invalid rows, soon and in bounded memory."""

import gzip
import json
import os
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.lease import this_process
from tests.acceptance.workspace import Workspace, order
from tests.security.measured import Measured, measured

MB = 1 << 20
MOST_MB = 400
HEADER = ",".join(order(1)).encode() + b"\n"
EMOJI = "😀".encode()  # each character of a text with it takes 4 bytes


def line(number: int, **changes: str) -> bytes:
    return ",".join(order(number, **changes).values()).encode() + b"\n"


def write_gzip(path: Path, blocks: Iterable[bytes]) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        for block in blocks:
            file.write(block)


def plan(workspace: Workspace, *inputs: str) -> Measured:
    ended = measured(workspace.folder, "plan", "orders", *inputs, "--json")
    assert ended.peak_mb < MOST_MB, ended.peak_mb
    assert len(ended.stdout) + len(ended.stderr) < 20_000
    return ended


@pytest.mark.parametrize(
    ("blocks", "text"),
    [
        pytest.param(
            (bytes(MB) for _ in range(150)),
            "bomb.csv.gz has no readable header: the line is longer than 12582912 bytes",
            id="zeros without a line feed",
        ),
        pytest.param(
            [b",".join(b"c%d" % number for number in range(100_000)), b"\n"],
            "bomb.csv.gz has no readable header: there are more than 65,536 cells",
            id="100,000 columns",
        ),
        pytest.param(
            [b",".join(b"c%d" % number for number in range(60_000)), b"\n"], " and 59,950 more", id="60,000 columns"
        ),
        pytest.param(
            [HEADER.strip(), b"," + b"name" * (2 * MB), b",user_id\n"],
            '2 columns are named "user_id", but user_id needs one',
            id="a name of 8 MB",
        ),
        pytest.param([b'"' * (11 * MB), b"\n"], "no column or constant feeds out_biz_no", id="a header of quotes"),
    ],
)
def test_a_hostile_header_is_refused(workspace: Workspace, blocks: Iterable[bytes], text: str) -> None:
    """A first line that is no header ends the command before anything is sent, with one short line."""
    write_gzip(workspace.folder / "bomb.csv.gz", blocks)

    ended = plan(workspace, "bomb.csv.gz")

    assert (ended.exit_code, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert text in ended.stderr


def test_hostile_rows_are_invalid_and_the_others_go_on(workspace: Workspace) -> None:
    """Endless rows, rows of a million cells or of quotes are invalid, and the other rows are sent."""
    hostile: dict[str, tuple[list[bytes], str]] = {
        "long": ([b"x" * MB] * 120, "line_too_long"),
        "crowded": ([b"," * (11 * MB)], "too_many_cells"),
        "crowded-wide": ([EMOJI, b"x," * (5 * MB)], "too_many_cells"),
        "crowded-open": ([EMOJI, b'x,"', b"," * (11 * MB)], "bad_quote"),
        "cell": ([EMOJI, b"x" * (23 * MB // 2)], "field_too_long"),
        "quotes": ([b'"' * (11 * MB)], "ragged"),
        "quoted": ([b'"', EMOJI, b'"",' * (3 * MB), b'"'], "ragged"),
    }
    for name, (blocks, _) in hostile.items():
        write_gzip(workspace.folder / f"{name}.csv.gz", [HEADER, *blocks, b"\n", line(1)])

    ended = plan(workspace, "*.csv.gz")

    assert ended.exit_code == 3
    planned = json.loads(ended.stdout)
    assert [(one["source_file"], one["code"]) for one in planned["problems"]] == sorted(
        (f"{name}.csv.gz", code) for name, (_, code) in hostile.items()
    )
    assert planned["counts"] == {"to_send": 1, "skipped": len(hostile) - 1, "invalid": len(hostile)}


def test_a_bomb_of_valid_rows_is_read_in_bounded_memory(workspace: Workspace) -> None:
    """100 MB of large valid rows, and as much of wide invalid ones, are on disk and not in memory."""
    ext_info = '"{""a"":""' + "b" * 60_000 + '""}"'
    header = HEADER.strip() + b",ext_info\n"
    write_gzip(
        workspace.folder / "valid.csv.gz", [header, *(line(n).strip() + f",{ext_info}\n".encode() for n in range(1700))]
    )
    write_gzip(workspace.folder / "wide.csv.gz", [HEADER, *[b"ab," * 60_000 + b"\n"] * 100])

    ended = plan(workspace, "valid.csv.gz", "wide.csv.gz")

    assert ended.exit_code == 3
    assert json.loads(ended.stdout)["counts"] == {"to_send": 1700, "skipped": 0, "invalid": 100}


def test_huge_rows_are_read_from_the_ledger_one_by_one(workspace: Workspace) -> None:
    """Invalid rows of 1 MB each are never in memory together."""
    write_gzip(workspace.folder / "huge.csv.gz", [HEADER, *[line(1, trade_no="T" * MB)] * 40])
    workspace.backfill("run", "orders", "huge.csv.gz")
    assert workspace.results() == ["invalid field_too_long"] * 40

    ledger = Ledger(workspace.folder / "state" / "backfill.db", SystemClock(), this_process())
    run = ledger.find("last")
    tracemalloc.start()
    lengths = [len(outcome.cells or "") for outcome in ledger.outcomes(run)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    ledger.close()

    assert sum(lengths) > 40 * MB
    assert peak < 8 * MB


DEEP = 100_000


@pytest.mark.usefixtures("each_ledger")
@pytest.mark.parametrize(
    ("changes", "result"),
    [
        pytest.param({"discounts": "[" * DEEP}, "invalid field_invalid", id="lists that never end"),
        pytest.param({"discounts": "[" * DEEP + "]" * DEEP}, "invalid field_invalid", id="lists within lists"),
        pytest.param({"ext_info": '{"a":' * DEEP + "1" + "}" * DEEP}, "invalid field_invalid", id="objects"),
        pytest.param({"ext_info": '{"a":' + "[" * 900 + "]" * 900 + "}"}, "succeeded SUCCESS", id="900 lists"),
        pytest.param(
            {"discounts": '[{"a":' + "[" * 900 + "]" * 900 + ',"a":1}]'}, "invalid field_missing", id="hidden"
        ),
        pytest.param({"discounts": '[{"discount_amount":1e999999999}]'}, "invalid field_invalid", id="exponent"),
        pytest.param({"discounts": '[{"discount_amount":' + "9" * DEEP + "}]"}, "invalid field_invalid", id="digits"),
        pytest.param({"ext_info": '{"a":' + "9" * 60_000 + "}"}, "invalid field_invalid", id="digits in ext_info"),
        pytest.param({"trade_amount": "9" * DEEP}, "invalid field_invalid", id="amount"),
        pytest.param({"trade_amount": "１２.５０"}, "invalid field_invalid", id="full-width digits"),
        pytest.param({"biz_time": "9" * DEEP}, "invalid field_invalid", id="time"),
        pytest.param({"biz_time": "0001-01-01 00:00:00+23:59"}, "invalid field_invalid", id="before time"),
        pytest.param({"out_biz_no": "K" * DEEP}, "invalid field_too_long", id="key"),
    ],
)
def test_hostile_values_are_invalid(workspace: Workspace, changes: dict[str, str], result: str) -> None:
    """Endless JSON, endless numbers and the like make one row invalid."""
    workspace.export("orders.csv", [order(1, **changes), order(2)])

    assert workspace.backfill("run", "orders").exit_code in (0, 3)
    assert workspace.results() == [result, "succeeded SUCCESS"]


@pytest.mark.parametrize(
    "biz_data",
    [
        pytest.param('{"a":' * 600 + "1" + "}" * 600, id="objects"),
        pytest.param("[" * 2000 + "]" * 2000, id="lists"),
        pytest.param('{"a":' + "9" * 4000 + "}", id="digits"),
    ],
)
def test_hostile_objects_of_states_are_bounded(workspace: Workspace, biz_data: str) -> None:
    """biz_data is a JSON object of at most 4096 characters: anything else makes the row invalid."""
    row = {"out_principal_id": "f", "biz_state_code": "BUY", "category_code": "WATCH", "service_id": "1"}
    workspace.export("states.csv", [{"user_id": "2088000000000001", "out_biz_no": "S1", **row, "biz_data": biz_data}])

    assert workspace.backfill("run", "states").exit_code in (0, 3)
    assert workspace.results()[0] in ("invalid field_invalid", "succeeded 10000")


@pytest.fixture
def special(workspace: Workspace) -> Path:
    """A folder with things that are not files of rows."""
    folder = workspace.folder / "special"
    folder.mkdir()
    os.mkfifo(folder / "fifo.csv")
    (folder / "loop.csv").symlink_to("loop.csv")
    (folder / "zero.csv").symlink_to("/dev/zero")
    (folder / "folder.csv").mkdir()
    (folder / "empty.csv").touch()
    circle = workspace.folder / "circle"
    circle.mkdir()
    (circle / "loop.csv").symlink_to("loop.csv")
    (circle / "up").symlink_to("..")
    return folder


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("special/fifo.csv", "special/fifo.csv is not a regular file", id="FIFO"),
        pytest.param("special/zero.csv", "special/zero.csv is not a regular file", id="device by a link"),
        pytest.param("/dev/zero", "/dev/zero is not a regular file", id="device"),
        pytest.param("/dev/stdin", "/dev/stdin is not a regular file", id="standard input"),
        pytest.param("/proc/self/mem", "/proc/self/mem is empty", id="memory"),
        pytest.param("special/loop.csv", "no file matches 'special/loop.csv'", id="link to itself"),
        pytest.param("special/folder.csv", "folder special/folder.csv holds no exports", id="folder called x.csv"),
        pytest.param("special/empty.csv", "special/empty.csv is empty", id="empty"),
        pytest.param("circle", "Too many levels of symbolic links", id="folder with a link to itself"),
        pytest.param("circle/**/*.csv", "Too many levels of symbolic links", id="glob into a circle"),
        pytest.param("special/" * 1000, "File name too long", id="long path"),
        pytest.param("x" * 5000, "File name too long", id="long name"),
        pytest.param("../../../../../../../../etc/hostname", "no column or constant feeds", id="up and away"),
        pytest.param("", "no file matches ''", id="nothing"),
    ],
)
def test_inputs_that_are_no_files_are_refused(workspace: Workspace, special: Path, name: str, text: str) -> None:
    """A pipe, a device, a loop or a folder as input gives an error message at once."""
    ended = workspace.backfill("plan", "orders", name)

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert text in ended.stderr
