"""Every kind of bad input, and the answer it gets."""

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.simulator import InjectedFault, Kind
from tests.acceptance.night import Night, balance, end_of, first_line, order, state

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
def test_inputs_that_hold_nothing_to_read(pattern: str, messages: str, night: Night) -> None:
    """Exit 2, and the pattern or file is named."""
    (night.folder / "empty.csv").touch()
    (night.folder / "nothing").mkdir()
    (night.folder / "blank.csv").write_text("\n\n\n")
    (night.folder / "book.csv").write_bytes(b"PK\x03\x04" + bytes(100))

    assert messages in night.refused("orders", pattern)


def test_a_header_without_rows_is_a_run_of_no_rows(night: Night) -> None:
    """A night on which nothing happened is no fault."""
    (night.folder / "orders.csv").write_text(HEADER)

    ended = night.backfill("run", "orders")

    summary = night.summary()
    assert (ended.exit_code, night.outcomes(), summary["rows"], sum(summary["counts"].values())) == (0, [], 0, 0)


def test_a_required_column_that_is_absent(night: Night) -> None:
    """The missing columns are named with the nearest there is, and those that are there."""
    (night.folder / "orders.csv").write_text(HEADER.replace("agreement_no", "agreement_nr") + line("A1"))

    messages = night.refused("orders")

    assert "no column or constant feeds agreement_no" in messages
    assert 'did you mean "agreement_nr"' in messages
    assert "The file has these columns: out_biz_no, agreement_nr, user_id" in messages


def test_a_column_that_the_config_names_is_absent_in_the_second_file(night: Night) -> None:
    """A file is checked before anything of an earlier one is sent."""
    night.export("orders-1.csv", [order(1)])
    (night.folder / "orders-2.csv").write_text("out_biz_no\nA2\n")

    assert "orders-2.csv: no column or constant feeds" in night.refused("orders", "orders-*.csv")


def test_undecodable_bytes_spoil_their_own_row_only(night: Night) -> None:
    """A row whose bytes the encoding does not know is invalid, with file and row; the others go on."""
    rows = [HEADER.encode(), line("A1").encode(), line("A2").encode().replace(b"T1", b"T\xff\xfe"), line("A3").encode()]
    (night.folder / "orders.csv").write_bytes(b"".join(rows))

    ended = night.backfill("run", "orders")

    assert (ended.exit_code, night.fates()) == (3, ["succeeded SUCCESS", "invalid not_decodable", "succeeded SUCCESS"])
    assert [(found["source_file"], found["source_row"]) for found in night.outcomes()] == [
        ("orders.csv", "1"),
        ("orders.csv", "2"),
        ("orders.csv", "3"),
    ]


def test_a_wrong_encoding_spoils_the_rows_that_it_cannot_read(night: Night) -> None:
    """GB18030 text read as UTF-8 is not sent as rubbish; rows in plain ASCII are read all the same."""
    night.configure({"jobs.states.csv": {"encoding": "utf-8"}})
    night.export("states.csv", [state(1), state(2, biz_data='{"n":1}')], encoding="gb18030")

    ended = night.backfill("run", "states")

    assert (ended.exit_code, night.fates()) == (3, ["invalid not_decodable", "succeeded 10000"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_are_found_out(encoding: str, night: Night) -> None:
    """Where the config says nothing, UTF-8, a byte order mark and GB18030 are told apart."""
    night.export("states.csv", [state(1), state(2)], encoding=encoding)

    assert (night.backfill("run", "states").exit_code, night.fates()) == (0, ["succeeded 10000"] * 2)
    digests = {entry.body_digest for entry in night.simulator.journal.entries}
    assert digests == bodies_as_in_utf8(night)


def bodies_as_in_utf8(night: Night) -> set[str]:
    """Send the same states, written in UTF-8, as a newcomer would; return the digests of their bodies."""
    night.simulator.reset()
    night.export("states.csv", [state(1), state(2)])
    night.backfill("run", "states", "--resync")
    return {entry.body_digest for entry in night.simulator.journal.entries}


@pytest.mark.parametrize(
    ("text", "fate"),
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
def test_a_broken_csv_line_spoils_itself_only(text: str, fate: str, night: Night) -> None:
    """What RFC 4180 allows is read; what it does not makes its own row invalid, and the others go on."""
    (night.folder / "orders.csv").write_text(HEADER + line("A1") + text + line("A3"), newline="")

    exit_code = night.backfill("run", "orders").exit_code

    assert (exit_code, night.fates()) == (
        0 if fate.startswith("succeeded") else 3,
        ["succeeded SUCCESS", fate, "succeeded SUCCESS"],
    )


def test_an_embedded_newline_is_read(night: Night) -> None:
    """A quoted cell over two lines is one cell of one row, and its white space inside JSON does no harm."""
    night.export("states.csv", [state(1, biz_data='{"a":\n1}'), state(2)])

    assert (night.backfill("run", "states").exit_code, night.fates()) == (0, ["succeeded 10000"] * 2)


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
def test_a_damaged_file_stops_the_run_before_anything_is_sent(damage: Callable[[Path], None], night: Night) -> None:
    """Exit 2 names the file; nothing goes out, not even of a sound file before it."""
    night.export("exports-1.csv", [order(1)])
    damage(night.folder / "exports-2")

    messages = night.refused("orders", "exports-*")

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
def test_a_wrong_value_makes_its_row_invalid(job: str, row: Mapping[str, str], messages: str, night: Night) -> None:
    """The message names the field, and shows the value where it names nobody, else no more than its ends."""
    sound = {"orders": order(1), "points": balance(1, 1), "states": state(1)}[job]
    night.export(f"{job}.csv", [row, sound])

    exit_code = night.backfill("run", job).exit_code

    bad, good = night.outcomes()
    assert (exit_code, bad["status"], good["status"]) == (3, "invalid", "succeeded")
    assert bad["message"].startswith(messages)
    names_nobody = messages in {"biz_time", "trade_amount", "biz_action", "point_balance"}
    assert (f'"{row[messages]}"' in bad["message"]) == names_nobody


def test_a_file_that_changes_while_it_is_read_is_noticed(night: Night) -> None:
    """A file that grows during the first act stops the run with exit 2, and nothing of it is sent."""
    path = night.export("orders.csv", [order(number) for number in range(9000)])

    process = night.start("run", "orders", "--no-progress")
    assert "of job orders" in first_line(process)
    with path.open("a") as file:
        file.write("\n")
    ended = end_of(process)

    assert (ended.exit_code, ended.stdout, night.requests()) == (2, "", [])
    assert "orders.csv changed after it was found" in ended.stderr


def test_a_file_that_changed_before_a_resume_is_noticed(night: Night) -> None:
    """Resume sends nothing while an input is not what it was; with the old file back it goes on."""
    path = night.export("orders.csv", [order(1), order(2)])
    night.simulator.set_faults([InjectedFault(Kind.STATUS, status=403)])
    night.backfill("run", "orders")
    night.simulator.reset()
    night.simulator.set_faults([])
    before = path.read_bytes()

    path.write_bytes(before + line("A3").encode())
    changed = night.backfill("resume", "last")
    path.unlink()
    gone = night.backfill("resume", "last")
    path.write_bytes(before)
    resumed = night.backfill("resume", "last")

    assert (changed.exit_code, gone.exit_code, resumed.exit_code, night.requests()) == (2, 2, 0, ["A1", "A2"])
    assert "orders.csv changed since run" in changed.stderr


def test_a_file_that_changed_since_a_deadline_in_the_first_act_is_noticed(night: Night) -> None:
    """The rows that a run has reported as unsent are the rows that its resume sends, or it sends none."""
    path = night.export("orders.csv", [order(1), order(2)])
    more = night.export("returns.csv", [order(4)])
    night.backfill("run", "orders", str(path), str(more), "--until", night.now())
    assert night.fates() == ["unsent deadline"] * 2
    night.export("orders.csv", [order(1), order(2), order(3)])

    changed = night.backfill("resume", "last")

    assert (changed.exit_code, night.requests()) == (2, [])
    assert f"{path.name} changed since run" in changed.stderr
