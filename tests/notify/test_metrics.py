"""Metrics of a run, and the file for Prometheus."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.notify.channels.not_sent import NotSent
from pipeline.notify.telemetry.metrics import METRICS, samples_of
from pipeline.notify.telemetry.metrics_file import write_metrics
from tests.notify.ends import NOT_STARTED, run_end

JOB = 'job="orders"'
FILE = f"""\
backfill_rows{{{JOB},status="succeeded"}} 1000.0
backfill_rows{{{JOB},status="skipped"}} 0.0
backfill_rows{{{JOB},status="invalid"}} 8.0
backfill_rows{{{JOB},status="rejected"}} 0.0
backfill_rows{{{JOB},status="unknown"}} 2.0
backfill_rows{{{JOB},status="blocked"}} 0.0
backfill_rows{{{JOB},status="unsent"}} 0.0
backfill_rows_left{{{JOB}}} 10.0
backfill_attempts{{{JOB}}} 1011.0
backfill_throttled{{{JOB}}} 3.0
backfill_duration_seconds{{{JOB}}} 3723.5
backfill_exit_code{{{JOB}}} 3.0
backfill_last_run_timestamp_seconds{{{JOB}}} 1.7145829235e+09
"""


def test_the_file_has_each_metric_of_a_run(tmp_path: Path) -> None:
    """Prometheus' text format, with help and type of each metric; no other file is left."""
    path = tmp_path / "orders.prom"
    write_metrics(path, samples_of(run_end()))

    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    assert "".join(line for line in lines if not line.startswith("#")) == FILE
    families = {
        family.name: (family.type, family.documentation) for family in text_string_to_metric_families("".join(lines))
    }
    assert families == {name: ("gauge", meaning) for name, meaning in METRICS.items()}
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_without_a_report_has_code_and_time() -> None:
    """Counts are not known then."""
    assert [(sample.metric, sample.value) for sample in samples_of(NOT_STARTED)] == [
        ("backfill_exit_code", 2),
        ("backfill_last_run_timestamp_seconds", 1714582923.5),
    ]


def test_the_file_is_replaced_whole(tmp_path: Path) -> None:
    """Of two runs of one job the later one counts; another job keeps its own lines."""
    path = tmp_path / "all.prom"
    path.write_text("old", encoding="utf-8")
    ends = [run_end(3), run_end(3, job="points"), run_end(0)]
    write_metrics(path, [sample for end in ends for sample in samples_of(end)])

    codes = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("backfill_exit_code")]
    assert codes == ['backfill_exit_code{job="orders"} 0.0', 'backfill_exit_code{job="points"} 3.0']


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    """The fault names path and cause, and nothing is left beside it."""
    path = tmp_path / "orders.prom"
    path.mkdir()

    with pytest.raises(NotSent) as raised:
        write_metrics(path, samples_of(run_end()))

    assert str(raised.value) == f"{path} can't be written: Is a directory"
    assert list(tmp_path.iterdir()) == [path]
