"""Parts of a report make the report of one pass."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model import Status
from pipeline.report import OutcomeFormat, ReportFiles, ReportPart, Tally, write_part, write_report
from pipeline.tables.outcome_page import Outcome, OutcomePage
from tests.report.conftest import RUN_ID, make_outcome, make_summary
from tests.report.outcome_pages import in_pages, page_of
from tests.report.report_files import report_files

EVERY_FORMAT = pytest.mark.parametrize("outcome_format", [None, *OutcomeFormat])
COLUMNS = {0: ("order_id", "amount", "amount"), 1: ("amount", "order_id")}
START = datetime(2024, 5, 1, 16, tzinfo=UTC)


def moment(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@st.composite
def outcomes(draw: st.DrawFn) -> Outcome:
    """Draw an outcome: many share status and code, some have faults, times far apart, or several attempts."""
    status = draw(st.sampled_from(Status))
    first = draw(st.integers(0, 30) | st.integers(0, 10**7))
    sent = {
        "attempts": draw(st.integers(1, 3)),
        "first_sent_at": moment(first),
        "finished_at": moment(first + draw(st.floats(0, 90))),
        "latency_ms": draw(st.integers(1, 400)),
    }
    return make_outcome(
        source_row=draw(st.integers(1, 9)),
        status=status,
        code=draw(st.sampled_from(["", "SUCCESS", "CODE", "=code", "field_invalid"])),
        message=draw(st.sampled_from(["", '"odd", \n', "-5"])),
        file_no=draw(st.sampled_from(sorted(COLUMNS))),
        wants_new_key=draw(st.booleans()),
        cells=draw(st.sampled_from([None, '["A-1"]', '["=1","","x,y"]'])),
        column=draw(st.sampled_from([None, "amount", "paid"])),
        **(sent if status not in {Status.INVALID, Status.UNSENT, Status.SKIPPED} else {}),
    )


def cut(rows: Sequence[Outcome], ends: Sequence[int]) -> list[Sequence[Outcome]]:
    """Return the rows in pieces that end there; some are empty."""
    places = [0, *sorted(min(end, len(rows)) for end in ends), len(rows)]
    return [rows[first:last] for first, last in pairwise(places)]


def tally_of(rows: Sequence[Outcome], most_kinds: float) -> Tally:
    tally = Tally(most_kinds)
    for page in in_pages(rows, 3):
        tally.add(page)
    return tally


def shown(tally: Tally) -> dict[str, Any]:
    """Return all that files and page show of a tally."""
    return {
        "summary": make_summary(tally, report="").as_dict(),
        "new keys": tally.new_keys_wanted,
        "skipped": tally.skipped,
        "listed": tally.need_attention(),
        "latencies": [tally.timeline.latency(percent) for percent in range(0, 101, 5)],
        **{
            name: (bins.width, bins.starts, {key: bins.counts(key) for key in (*Status, "requests") if key in bins})
            for name, bins in (("finished", tally.timeline.finished), ("requests", tally.timeline.requests))
        },
    }


@given(st.lists(outcomes(), max_size=30), st.lists(st.integers(0, 30), max_size=4), st.integers(1, 5))
def test_the_sum_of_tallies_is_that_of_one_pass(rows: list[Outcome], ends: list[int], most_kinds: int) -> None:
    """Counts, groups, examples, listed rows, times and latencies are those of one pass, wherever the rows are cut."""
    total = Tally(most_kinds)
    for piece in cut(rows, ends):
        total.add_json(tally_of(piece, float("inf")).as_json())

    assert shown(total) == shown(tally_of(rows, most_kinds))


def test_the_first_rows_of_each_status_are_listed_over_parts() -> None:
    """No more than 50 rows of a status are listed, the first ones."""
    rows = [make_outcome(source_row=n, status=Status.UNKNOWN) for n in range(1, 91)]
    total = Tally()
    for piece in cut(rows, [40, 45]):
        total.add_json(tally_of(piece, float("inf")).as_json())

    assert total.need_attention() == rows[:50]


def report_of(
    folder: Path, pieces: Sequence[Sequence[Outcome]], outcome_format: OutcomeFormat | None, written: set[int]
) -> ReportFiles:
    """Write a report of pieces, of which those numbered in `written` are parts."""

    def mark(row_no: int, outcome: Outcome) -> str:
        return f"[{row_no} {outcome.source_row}]"

    def as_pages_and_parts() -> Iterator[OutcomePage | ReportPart]:
        before = 0
        for number, rows in enumerate(pieces):
            if number in written:
                part = ReportPart(folder.with_suffix(f".{number}"))
                write_part(
                    part, outcome_format=outcome_format, run_id=RUN_ID, job="orders", outcomes=in_pages(rows, 2),
                    columns=COLUMNS, mark=mark, rows_before=before,
                )  # fmt: skip
                yield part
                part.remove()
            else:
                yield from map(page_of, rows)
            before += len(rows)

    return write_report(
        folder,
        outcome_format=outcome_format,
        run_id=RUN_ID,
        job="orders",
        outcomes=as_pages_and_parts(),
        columns=COLUMNS,
        summarise=lambda tally: make_summary(tally, report=""),
        mark=mark,
    )


@EVERY_FORMAT
@settings(deadline=None, max_examples=15)
@given(
    st.lists(outcomes(), max_size=12),
    st.lists(st.integers(0, 12), min_size=2, max_size=3),
    st.sets(st.integers(0, 3), min_size=1),
)
def test_pages_and_parts_make_the_files_of_one_pass(
    outcome_format: OutcomeFormat | None, rows: list[Outcome], ends: list[int], written: set[int]
) -> None:
    """Each file has the same bytes, whichever pieces are parts; a Parquet file has the same table."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        one = report_of(folder / "one", [rows], outcome_format, set())
        several = report_of(folder / "several", cut(rows, ends), outcome_format, written)

        assert replace(several, folder=one.folder, outcome=one.outcome) == one
        assert report_files(folder / "several") == report_files(folder / "one")
        assert sorted(path.name for path in folder.iterdir()) == ["one", "several"]


def test_parts_of_a_parquet_file_make_full_row_groups(tmp_path: Path, outcome: Callable[..., Outcome]) -> None:
    """Row groups are those of one pass, also where a part ends within one."""
    rows = [outcome(source_row=n) for n in range(1, 18_001)]
    report_of(tmp_path / "parts", cut(rows, [6_000, 12_000]), OutcomeFormat.PARQUET, {0, 2})

    file = pq.ParquetFile(tmp_path / "parts" / "outcome.parquet")
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [16_384, 1_616]
    assert file.read(["source_row"])["source_row"].to_pylist() == list(range(1, 18_001))
