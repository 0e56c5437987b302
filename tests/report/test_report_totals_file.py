"""Totals as CSV, Parquet, JSON, and as a table."""

import io
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.model import Status
from pipeline.report.files.totals_file import TOTALS_COLUMNS, TotalsFormat, write_totals
from pipeline.tables.agreement_totals import TotalsLine

LINES = [
    TotalsLine(
        account="zhima",
        agreement_no="20255108518085000001",
        status=Status.SUCCEEDED,
        final=False,
        reports=-1,
        tasks=1200,
        amount=Decimal("-1234.50"),
        discount=Decimal("0.00"),
        reverse_reports=2,
        reverse_tasks=0,
        reverse_amount=Decimal("2000.00"),
        reverse_discount=Decimal("0.10"),
    ),
    TotalsLine("zhima", "=1,2", Status.INVALID, final=False, reports=3),
]


def written(totals_format: TotalsFormat, lines: list[TotalsLine] = LINES, **options: Any) -> bytes:
    file = io.BytesIO()
    write_totals(lines, file, totals_format, **options)
    return file.getvalue()


def test_csv_has_plain_numbers_and_guarded_texts() -> None:
    """A negative number stays a number; a text that begins like a formula gets an apostrophe."""
    assert written(TotalsFormat.CSV).decode().splitlines() == [
        ",".join(TOTALS_COLUMNS),
        "zhima,20255108518085000001,succeeded,false,-1,1200,-1234.50,0.00,2,0,2000.00,0.10",
        'zhima,"\'=1,2",invalid,false,3,,,,,,,',
    ]


def test_json_has_amounts_as_texts() -> None:
    """JSON is one array with an object a line; amounts are texts, and what is not known is null."""
    first, second = json.loads(written(TotalsFormat.JSON))

    assert first == {
        "account": "zhima",
        "agreement_no": "20255108518085000001",
        "status": "succeeded",
        "final": False,
        "reports": -1,
        "tasks": 1200,
        "amount": "-1234.50",
        "discount": "0.00",
        "reverse_reports": 2,
        "reverse_tasks": 0,
        "reverse_amount": "2000.00",
        "reverse_discount": "0.10",
    }
    assert (second["agreement_no"], second["amount"], tuple(second)) == ("=1,2", None, TOTALS_COLUMNS)


def test_parquet_has_decimals() -> None:
    """Parquet has amounts as decimals with two places, and null for what is not known."""
    table = pq.read_table(io.BytesIO(written(TotalsFormat.PARQUET)))

    assert table.schema.field("amount").type == pa.decimal128(38, 2)
    assert table.column("amount").to_pylist() == [Decimal("-1234.50"), None]
    assert table.column("final").to_pylist() == [False, False]
    assert tuple(table.column_names) == TOTALS_COLUMNS


@pytest.mark.parametrize(
    ("masks_ids", "numbers"),
    [
        pytest.param(False, ["20255108518085000001", "=1,2"], id="whole"),
        pytest.param(True, ["2***1 (20 characters)", "=***2 (4 characters)"], id="masked"),
    ],
)
def test_the_table_is_aligned(masks_ids: bool, numbers: list[str]) -> None:
    """Texts are aligned left and numbers right; agreement numbers are masked if asked for."""
    width = max(map(len, numbers))

    assert written(TotalsFormat.TABLE, masks_ids=masks_ids).decode().splitlines() == [
        f"account  {'agreement_no':<{width}}  status     reports  tasks     amount  discount",
        f"zhima    {numbers[0]:<{width}}  succeeded       -1  1,200  -1,234.50      0.00",
        f"zhima    {numbers[1]:<{width}}  invalid          3",
    ]


@pytest.mark.parametrize(
    ("totals_format", "content"),
    [
        pytest.param(TotalsFormat.CSV, f"{','.join(TOTALS_COLUMNS)}\n", id="csv"),
        pytest.param(TotalsFormat.JSON, "[]\n", id="json"),
        pytest.param(
            TotalsFormat.TABLE, f"{'  '.join(TOTALS_COLUMNS[:3])}  reports  tasks  amount  discount\n", id="table"
        ),
    ],
)
def test_no_lines(totals_format: TotalsFormat, content: str) -> None:
    """Without lines a file has its headings, or is an empty array."""
    assert written(totals_format, []).decode() == content
