"""Every kind of bad input, and its error."""

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import Workspace, balance, end_of, first_line, order, state

HEADER = "out_biz_no,agreement_no,user_id,biz_time,trade_no,trade_amount\n"
LINE = "{key},20255108518085000001,2088000000000001,2025-11-20 10:00:00,T1,1.00\n"


def line(key: str) -> str:
    return LINE.format(key=key)


@pytest.mark.parametrize(
    ("pattern", "messages"),
    [
        pytest.param("nightly-*.csv", "no file matches 'nightly-*.csv'", id="no file matches"),
        pytest.param("empty.csv", "empty.csv is empty and has no header", id="empty file"),
        pytest.param("nothing", "folder nothing holds no exports", id="folder without exports"),
        pytest.param("blank.csv", "blank.csv holds nothing but blank lines", id="blank lines"),
        pytest.param("book.csv", "book.csv is a ZIP archive or a workbook, and damaged", id="workbook"),
    ],
)
def test_inputs_without_anything_to_read(pattern: str, messages: str, workspace: Workspace) -> None:
    """Exit 2, and the pattern or file is named."""
    (workspace.folder / "empty.csv").touch()
    (workspace.folder / "nothing").mkdir()
    (workspace.folder / "blank.csv").write_text("\n\n\n")
    (workspace.folder / "book.csv").write_bytes(b"PK\x03\x04" + bytes(100))

    assert messages in workspace.refused("orders", pattern)


def test_a_header_without_rows_is_a_run_of_no_rows(workspace: Workspace) -> None:
    """An export without rows is no error."""
    (workspace.folder / "orders.csv").write_text(HEADER)

    ended = workspace.backfill("run", "orders")

    summary = workspace.summary()
    assert (ended.exit_code, workspace.outcomes(), summary["rows"], sum(summary["counts"].values())) == (0, [], 0, 0)


def test_a_required_column_that_is_absent(workspace: Workspace) -> None:
    """The error names the missing columns, the nearest existing ones, and all existing ones."""
    (workspace.folder / "orders.csv").write_text(HEADER.replace("agreement_no", "agreement_nr") + line("A1"))

    messages = workspace.refused("orders")

    assert "no column or constant feeds agreement_no" in messages
    assert 'did you mean "agreement_nr"' in messages
    assert "The file has these columns: out_biz_no, agreement_nr, user_id" in messages


def test_a_configured_column_missing_in_the_second_file(workspace: Workspace) -> None:
    """All files are checked before anything is sent."""
    workspace.export("orders-1.csv", [order(1)])
    (workspace.folder / "orders-2.csv").write_text("out_biz_no\nA2\n")

    assert "orders-2.csv: no column or constant feeds" in workspace.refused("orders", "orders-*.csv")


def test_undecodable_bytes_make_only_their_row_invalid(workspace: Workspace) -> None:
    """A row with undecodable bytes is invalid, with file and row; the other rows are sent."""
    rows = [HEADER.encode(), line("A1").encode(), line("A2").encode().replace(b"T1", b"T\xff\xfe"), line("A3").encode()]
    (workspace.folder / "orders.csv").write_bytes(b"".join(rows))

    ended = workspace.backfill("run", "orders")

    assert (ended.exit_code, workspace.results()) == (
        3,
        ["succeeded SUCCESS", "invalid not_decodable", "succeeded SUCCESS"],
    )
    assert [(found["source_file"], found["source_row"]) for found in workspace.outcomes()] == [
        ("orders.csv", "1"),
        ("orders.csv", "2"),
        ("orders.csv", "3"),
    ]


def test_a_wrong_encoding_makes_unreadable_rows_invalid(workspace: Workspace) -> None:
    """GB18030 text read as UTF-8 is invalid and not sent; ASCII rows are read."""
    workspace.configure({"jobs.states.csv": {"encoding": "utf-8"}})
    workspace.export("states.csv", [state(1), state(2, biz_data='{"n":1}')], encoding="gb18030")

    ended = workspace.backfill("run", "states")

    assert (ended.exit_code, workspace.results()) == (3, ["invalid not_decodable", "succeeded 10000"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_are_detected(encoding: str, workspace: Workspace) -> None:
    """Without an encoding in the config, UTF-8, a byte order mark and GB18030 are detected."""
    workspace.export("states.csv", [state(1), state(2)], encoding=encoding)

    assert (workspace.backfill("run", "states").exit_code, workspace.results()) == (0, ["succeeded 10000"] * 2)
    digests = {entry.body_digest for entry in workspace.simulator.journal.entries}
    assert digests == bodies_as_in_utf8(workspace)


def bodies_as_in_utf8(workspace: Workspace) -> set[str]:
    """Send the same states from a UTF-8 file; return the digests of their bodies."""
    workspace.simulator.reset()
    workspace.export("states.csv", [state(1), state(2)])
    workspace.backfill("run", "states", "--resync")
    return {entry.body_digest for entry in workspace.simulator.journal.entries}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        pytest.param(line("A2").replace(",T1", ""), "invalid ragged", id="too few cells"),
        pytest.param(line("A2").replace(",T1", ",T1,T2"), "invalid ragged", id="too many cells"),
        pytest.param(line("A2").replace("T1", 'T"1'), "invalid bad_quote", id="stray quote"),
        pytest.param(line("A2").replace("T1", '"T1'), "invalid bad_quote", id="quote without an end"),
        pytest.param(line("A2").replace("T1", "T\0"), "invalid nul_character", id="NUL"),
        pytest.param(line("A2").replace("T1", "T" * 10_000_000), "invalid field_too_long", id="10 MB field"),
        pytest.param(line("A2").replace("\n", "\r\n"), "succeeded SUCCESS", id="CRLF"),
        pytest.param(line("A2").replace("T1", '"T1"'), "succeeded SUCCESS", id="quoted"),
        pytest.param(line("A2").replace("T1", '"T\n1"'), "invalid field_invalid", id="embedded newline in a number"),
    ],
)
def test_a_broken_csv_line_makes_only_its_row_invalid(text: str, result: str, workspace: Workspace) -> None:
    """RFC 4180 lines are read; any other line makes its own row invalid, and the other rows are sent."""
    (workspace.folder / "orders.csv").write_text(HEADER + line("A1") + text + line("A3"), newline="")

    exit_code = workspace.backfill("run", "orders").exit_code

    assert (exit_code, workspace.results()) == (
        0 if result.startswith("succeeded") else 3,
        ["succeeded SUCCESS", result, "succeeded SUCCESS"],
    )


def test_an_embedded_newline_is_read(workspace: Workspace) -> None:
    """A quoted cell over 2 lines is one cell of one row; its white space inside JSON is harmless."""
    workspace.export("states.csv", [state(1, biz_data='{"a":\n1}'), state(2)])

    assert (workspace.backfill("run", "states").exit_code, workspace.results()) == (0, ["succeeded 10000"] * 2)


def truncated_gzip(path: Path) -> None:
    data = gzip.compress((HEADER + "".join(line(f"A{n}") for n in range(3000))).encode())
    path.with_suffix(".csv.gz").write_bytes(data[: len(data) // 2])


def corrupt_gzip(path: Path) -> None:
    data = bytearray(gzip.compress((HEADER + "".join(line(f"A{n}") for n in range(3000))).encode()))
    data[len(data) // 2] ^= 0xFF
    path.with_suffix(".csv.gz").write_bytes(bytes(data))


def parquet_bytes(path: Path) -> bytes:
    rows = [{name: text for name, text in order(n).items() if text} for n in range(3000)]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path.read_bytes()


def truncated_parquet(path: Path) -> None:
    data = parquet_bytes(path.with_suffix(".parquet"))
    path.with_suffix(".parquet").write_bytes(data[: len(data) // 2])


def corrupt_parquet(path: Path) -> None:
    data = bytearray(parquet_bytes(path.with_suffix(".parquet")))
    data[100:2000] = bytes(1900)
    path.with_suffix(".parquet").write_bytes(bytes(data))


@pytest.mark.parametrize("damage", [truncated_gzip, corrupt_gzip, truncated_parquet, corrupt_parquet])
def test_a_damaged_file_stops_the_run_before_anything_is_sent(
    damage: Callable[[Path], None], workspace: Workspace
) -> None:
    """Exit 2 names the file; nothing is sent, not even from an intact file before it."""
    workspace.export("exports-1.csv", [order(1)])
    damage(workspace.folder / "exports-2")

    messages = workspace.refused("orders", "exports-*")

    assert "exports-2." in messages
    assert "nothing was sent" in messages


@pytest.mark.parametrize(
    ("job", "row", "messages"),
    [
        pytest.param("orders", order(2, biz_time="2025-02-30 10:00:00"), "biz_time", id="bad date"),
        pytest.param("orders", order(2, trade_amount="-1.00"), "trade_amount", id="negative amount"),
        pytest.param("orders", order(2, trade_amount="1.005"), "trade_amount", id="three decimals"),
        pytest.param("orders", order(2, trade_amount="12,50"), "trade_amount", id="comma"),
        pytest.param("orders", order(2, biz_action="ORDER_PAYED"), "biz_action", id="unknown enum"),
        pytest.param("points", balance(2, 1, point_balance="1.5"), "point_balance", id="half a point"),
        pytest.param("points", balance(2, 1, point_balance="-1"), "point_balance", id="negative points"),
        pytest.param("points", balance(2, 1, openid="o" * 129), "openid", id="too long"),
        pytest.param("states", state(2, biz_data="{not json"), "biz_data", id="no JSON"),
        pytest.param("states", state(2, biz_state_code="X" * 65), "biz_state_code", id="long code"),
    ],
)
def test_a_wrong_value_makes_its_row_invalid(
    job: str, row: Mapping[str, str], messages: str, workspace: Workspace
) -> None:
    """The message names the field and shows the value if it identifies nobody, else its ends only."""
    sound = {"orders": order(1), "points": balance(1, 1), "states": state(1)}[job]
    workspace.export(f"{job}.csv", [row, sound])

    exit_code = workspace.backfill("run", job).exit_code

    bad, good = workspace.outcomes()
    assert (exit_code, bad["status"], good["status"]) == (3, "invalid", "succeeded")
    assert bad["message"].startswith(messages)
    names_nobody = messages in {"biz_time", "trade_amount", "biz_action", "point_balance"}
    assert (f'"{row[messages]}"' in bad["message"]) == names_nobody


def test_a_file_that_changes_while_it_is_read_is_noticed(workspace: Workspace) -> None:
    """A file that grows during staging stops the run with exit 2, and none of its rows is sent."""
    path = workspace.export("orders.csv", [order(number) for number in range(9000)])

    process = workspace.start("run", "orders", "--no-progress")
    assert "of job orders" in first_line(process)
    with path.open("a") as file:
        file.write("\n")
    ended = end_of(process)

    assert (ended.exit_code, ended.stdout, workspace.requests()) == (2, "", [])
    assert "orders.csv changed after it was found" in ended.stderr


def test_a_file_that_changed_before_a_resume_is_noticed(workspace: Workspace) -> None:
    """Resume sends nothing while an input differs; with the old file restored it continues."""
    path = workspace.export("orders.csv", [order(1), order(2)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.STATUS, status=403)])
    workspace.backfill("run", "orders")
    workspace.simulator.reset()
    workspace.simulator.set_faults([])
    before = path.read_bytes()

    path.write_bytes(before + line("A3").encode())
    changed = workspace.backfill("resume", "last")
    path.unlink()
    gone = workspace.backfill("resume", "last")
    path.write_bytes(before)
    resumed = workspace.backfill("resume", "last")

    assert (changed.exit_code, gone.exit_code, resumed.exit_code) == (2, 2, 0)
    assert sorted(workspace.requests()) == ["A1", "A2"]
    assert "orders.csv changed since run" in changed.stderr


def test_a_file_that_changed_after_a_deadline_during_staging_is_noticed(workspace: Workspace) -> None:
    """Resume sends exactly the rows that the run reported as unsent, or none."""
    path = workspace.export("orders.csv", [order(1), order(2)])
    more = workspace.export("returns.csv", [order(4)])
    workspace.backfill("run", "orders", str(path), str(more), "--until", workspace.now())
    assert workspace.results() == ["unsent deadline"] * 2
    workspace.export("orders.csv", [order(1), order(2), order(3)])

    changed = workspace.backfill("resume", "last")

    assert (changed.exit_code, workspace.requests()) == (2, [])
    assert f"{path.name} changed since run" in changed.stderr
