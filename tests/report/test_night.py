"""The report of a night: the runs of a day together."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from pipeline.language import Language, texts_in
from pipeline.model import Status
from pipeline.report import Night, NightRun, Summary, Tally, write_night

MakeSummary = Callable[..., Summary]
DAY = date(2025, 11, 20)


@pytest.fixture
def run_of(summary_of: MakeSummary) -> Callable[..., NightRun]:
    """Return a function that makes a run of a night, with some fields of its summary changed."""

    def make(
        run_id: str, *, is_rerun: bool = False, is_live: bool = False, link: str | None = None, **changes: object
    ) -> NightRun:
        return NightRun(summary_of(Tally(), run_id=run_id, **changes), is_rerun, is_live, link)

    return make


def counted(rows: int, **open_rows: int) -> dict[str, object]:
    """Return the fields of a summary for a number of rows, of which some are open, by status."""
    counts = {Status(status): number for status, number in open_rows.items()}
    return {"rows": rows, "left": sum(open_rows.values()), "counts": {Status.SUCCEEDED: rows, **counts} | {
        Status.SUCCEEDED: rows - sum(open_rows.values())
    }}  # fmt: skip


@pytest.fixture
def night(run_of: Callable[..., NightRun]) -> Night:
    """Return a night of two jobs: one refused, then run, rerun and fixed; one without a fault."""
    return Night(
        DAY,
        [
            run_of("R1", exit_code=2, **counted(0)),
            run_of("R2", link="../R2/report.html", **(counted(10, unknown=2, invalid=1) | {"left": 1})),
            run_of("R3", job="points", exit_code=0, **counted(1200)),
            run_of("R4", parent="R2", is_rerun=True, exit_code=0, **counted(2)),
            run_of("R5", parent="R2", is_live=True, **counted(1, unsent=1)),
        ],
    )


def test_a_job_counts_with_its_last_run_of_an_export(night: Night) -> None:
    """Totals leave out runs that were followed by another, and reruns and fixes, which settle rows of that one."""
    found = night.as_dict()

    assert [run.summary.run_id for run in night.counted] == ["R2", "R3"]
    assert {name: found[name] for name in ("date", "rows", "left", "jobs")} == {
        "date": "2025-11-20", "rows": 1210, "left": 1, "jobs": {"orders": "R2", "points": "R3"},
    }  # fmt: skip
    assert found["counts"] == {
        "succeeded": 1207, "skipped": 0, "invalid": 1, "rejected": 0, "unknown": 2, "blocked": 0, "unsent": 0,
    }  # fmt: skip
    assert [run["run_id"] for run in found["runs"]] == ["R1", "R2", "R3", "R4", "R5"]


def test_page_and_summary_are_written_together(night: Night, tmp_path: Path) -> None:
    """The folder has `report.html` and `summary.json`; the page has a line for each run and the totals."""
    write_night(tmp_path / "night", night)

    names = sorted(path.name for path in (tmp_path / "night").iterdir())
    page = (tmp_path / "night" / "report.html").read_text(encoding="utf-8")
    assert names == ["report.html", "summary.json"]
    assert json.loads((tmp_path / "night" / "summary.json").read_bytes()) == json.loads(json.dumps(night.as_dict()))
    assert page.count('<th scope="row">') == 5
    texts = ("Night of 2025-11-20", "1 of 1,210 rows are left.", 'href="../R2/report.html"', "rerun of R2", "fix of R2")
    assert [text for text in (*texts, "Run is active.", "Run not started") if text not in page] == []


def test_a_night_without_rows_left_says_so(run_of: Callable[..., NightRun], tmp_path: Path) -> None:
    """The verdict is green if no job has rows left."""
    write_night(tmp_path, Night(DAY, [run_of("R1", exit_code=0, **counted(5))]))

    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Of 5 rows none is left." in page
    assert 'class="verdict none"' in page


def test_the_page_is_in_the_language_of_the_process(night: Night, tmp_path: Path) -> None:
    """Title, totals and verdicts are Chinese; ids stay as they are."""
    with texts_in(Language.CHINESE):
        write_night(tmp_path, night)

    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    texts = ('<html lang="zh">', "2025-11-20 夜间汇总", "1,210 行中还有 1 行未完成。", "重跑 R2", "运行进行中。")
    assert [text for text in texts if text not in page] == []


def test_nothing_of_a_name_becomes_markup(run_of: Callable[..., NightRun], tmp_path: Path) -> None:
    """A hostile job name is text, and the page allows no script."""
    write_night(tmp_path, Night(DAY, [run_of("R1", job="<script>alert(1)</script>", **counted(5))]))

    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
