"""The outcome file: the same rows in every format, written and read back."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import SourceError
from pipeline.model import Status
from pipeline.report import OUTCOME_COLUMNS, OutcomeFormat, ReportFiles, read_outcome
from pipeline.tables.outcome_page import Outcome

EVERY_FORMAT = pytest.mark.parametrize("outcome_format", list(OutcomeFormat))


@pytest.fixture
def outcomes(outcome: Callable[..., Outcome]) -> list[Outcome]:
    """One row that was sent and one that never was."""
    message = '=amount "12,5*" is no amount'
    invalid = outcome(source_row=2, request_key="", status=Status.INVALID, code="field_invalid", message=message)
    return [outcome(), invalid]


def sent_and_never_sent(run_id: str) -> list[dict[str, Any]]:
    sent = (run_id, "orders", "orders-1.csv", 1, "A-1", "succeeded", "SUCCESS", "", 200, 1,
            "2024-05-01T16:00:00.123Z", "2024-05-01T16:00:00.456Z", 333, "0a1b2c3d")  # fmt: skip
    never = (run_id, "orders", "orders-1.csv", 2, "", "invalid", "field_invalid", '=amount "12,5*" is no amount',
             None, 0, None, None, None, None)  # fmt: skip
    return [dict(zip(OUTCOME_COLUMNS, line, strict=True)) for line in (sent, never)]


def test_csv_is_written_as_promised(
    tmp_path: Path, report: Callable[..., ReportFiles], outcomes: list[Outcome], run_id: str
) -> None:
    """The CSV has the promised columns in order, empty cells for missing values, and no formulas."""
    report(tmp_path, outcomes)

    assert (tmp_path / "outcome.csv").read_text(encoding="utf-8") == (
        "run_id,job,source_file,source_row,request_key,status,code,message,http_status,attempts,first_sent_at,"
        "finished_at,latency_ms,trace_id\n"
        f"{run_id},orders,orders-1.csv,1,A-1,succeeded,SUCCESS,,200,1,2024-05-01T16:00:00.123Z,"
        "2024-05-01T16:00:00.456Z,333,0a1b2c3d\n"
        f'{run_id},orders,orders-1.csv,2,,invalid,field_invalid,"\'=amount ""12,5*"" is no amount",,0,,,,\n'
    )


def test_jsonl_is_written_as_promised(
    tmp_path: Path, report: Callable[..., ReportFiles], outcomes: list[Outcome], run_id: str
) -> None:
    """Each line is one object with the promised keys in order, null for missing values, texts unchanged."""
    report(tmp_path, outcomes, outcome_format=OutcomeFormat.JSONL)

    lines = (tmp_path / "outcome.jsonl").read_text(encoding="utf-8").splitlines()
    assert [list(json.loads(line).items()) for line in lines] == [
        list(line.items()) for line in sent_and_never_sent(run_id)
    ]


def test_parquet_is_written_as_promised(
    tmp_path: Path, report: Callable[..., ReportFiles], outcomes: list[Outcome], run_id: str
) -> None:
    """The Parquet file has the promised columns in order, whole numbers as int64, texts unchanged."""
    report(tmp_path, outcomes, outcome_format=OutcomeFormat.PARQUET)

    table = pq.read_table(tmp_path / "outcome.parquet")
    whole = {"source_row", "http_status", "attempts", "latency_ms"}
    assert table.schema == pa.schema([(name, pa.int64() if name in whole else pa.string()) for name in OUTCOME_COLUMNS])
    assert table.to_pylist() == sent_and_never_sent(run_id)


def test_parquet_keeps_its_rows_over_many_groups(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """Rows beyond one row group are all there, in source order."""
    report(tmp_path, (outcome(source_row=n) for n in range(1, 40_001)), outcome_format=OutcomeFormat.PARQUET)

    file = pq.ParquetFile(tmp_path / "outcome.parquet")
    assert file.num_row_groups == 3
    assert file.read(["source_row"])["source_row"].to_pylist() == list(range(1, 40_001))


def test_without_a_format_there_is_no_outcome_file(
    tmp_path: Path, report: Callable[..., ReportFiles], outcomes: list[Outcome]
) -> None:
    """With format None, everything but the outcome file is written."""
    files = report(tmp_path, outcomes, outcome_format=None)

    assert files.outcome is None
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "report.html",
        "rows_to_fix.csv",
        "rows_to_fix.xlsx",
        "summary.json",
    ]
    assert "outcome." not in (tmp_path / "report.html").read_text(encoding="utf-8")


@EVERY_FORMAT
def test_an_outcome_is_read_back_with_its_types(
    tmp_path: Path,
    report: Callable[..., ReportFiles],
    outcomes: list[Outcome],
    run_id: str,
    outcome_format: OutcomeFormat,
) -> None:
    """Every format gives the same frame, in any folder: strings, nullable integers, UTC timestamps."""
    folder = tmp_path / "day=1"
    files = report(folder, outcomes, outcome_format=outcome_format)

    frame = read_outcome(folder)

    expected = pd.DataFrame(sent_and_never_sent(run_id), dtype="object").astype(
        dict.fromkeys(OUTCOME_COLUMNS, "string")
        | dict.fromkeys(("source_row", "http_status", "attempts", "latency_ms"), "Int64")
        | dict.fromkeys(("first_sent_at", "finished_at"), "datetime64[ns, UTC]")
    )
    pd.testing.assert_frame_equal(frame, expected)
    pd.testing.assert_frame_equal(read_outcome(files.outcome or folder), expected)
    assert frame["first_sent_at"][0] == datetime(2024, 5, 1, 16, 0, 0, 123_000, tzinfo=UTC)


@EVERY_FORMAT
def test_a_run_without_rows_is_read_back(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome_format: OutcomeFormat
) -> None:
    """An outcome file without rows gives a frame with the promised columns."""
    report(tmp_path, [], outcome_format=outcome_format)

    frame = read_outcome(tmp_path)

    assert (list(frame.columns), len(frame)) == (list(OUTCOME_COLUMNS), 0)


@EVERY_FORMAT
@settings(deadline=None, max_examples=50)
@given(texts=st.lists(st.tuples(st.text(alphabet="'=-\t\r\n\",\0a") | st.text(), st.text()), min_size=1, max_size=4))
def test_any_text_is_read_back_as_it_was(
    report: Callable[..., ReportFiles],
    outcome: Callable[..., Outcome],
    outcome_format: OutcomeFormat,
    texts: list[tuple[str, str]],
) -> None:
    """Every format returns keys and messages unchanged."""
    outcomes = [replace(outcome(), request_key=key, message=message) for key, message in texts]
    with TemporaryDirectory() as folder:
        report(Path(folder), outcomes, outcome_format=outcome_format)

        frame = read_outcome(Path(folder))

    assert list(zip(frame["request_key"], frame["message"], strict=True)) == texts


def test_of_several_outcome_files_the_newest_is_read(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome]
) -> None:
    """Of several outcome files in a folder, the newest is read."""
    report(tmp_path, [outcome(code="OLD")])
    report(tmp_path, [outcome(code="NEW")], outcome_format=OutcomeFormat.JSONL)

    assert list(read_outcome(tmp_path)["code"]) == ["NEW"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param(".", "has no outcome file", id="folder-without-one"),
        pytest.param("outcome.csv", "does not exist", id="no-such-file"),
        pytest.param("outcome.txt", "is not an outcome file", id="another-kind-of-file"),
    ],
)
def test_a_path_without_outcome_file_is_refused(tmp_path: Path, name: str, message: str) -> None:
    """The error names the path and what to give instead."""
    (tmp_path / "outcome.txt").touch()

    with pytest.raises(SourceError, match=message):
        read_outcome(tmp_path / name)


KEYS = ["A-1", "=1+1", "-5", 'a"b', "a,b", "'=x", "", "\0=x", "＝x", "50 %s", "plain"]


@EVERY_FORMAT
def test_the_page_size_does_not_change_the_files(
    tmp_path: Path, report: Callable[..., ReportFiles], outcome: Callable[..., Outcome], outcome_format: OutcomeFormat
) -> None:
    """Files and counts are the same for pages of one row and for pages of many equal outcomes."""
    same = [outcome(source_row=n, request_key=key, status=Status.UNSENT, code="interrupted", message="=cut off")
            for n, key in enumerate(KEYS * 20, 7)]  # fmt: skip
    mixed = [outcome(source_row=n, request_key=key, status=status, code=key, message=key, cells="[]")
             for n, (key, status) in enumerate(product(KEYS, Status), 1000)]  # fmt: skip

    together = report(tmp_path / "together", same + mixed, outcome_format=outcome_format)
    one_by_one = report(tmp_path / "one-by-one", same + mixed, outcome_format=outcome_format, page_rows=1)

    assert together.summary == one_by_one.summary
    for name in (f"outcome.{outcome_format}", "rows_to_fix.csv", "report.html"):
        assert (tmp_path / "together" / name).read_bytes() == (tmp_path / "one-by-one" / name).read_bytes()
