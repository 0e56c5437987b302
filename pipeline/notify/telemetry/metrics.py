"""The metrics of a run (docs/how-to/metrics.md), as values that a file and OTLP share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.model import Status
from pipeline.notify.run_end import RunEnd

# Metrics by name, with their meanings. All are gauges of a job's last run.
METRICS: Final[Mapping[str, str]] = {
    "backfill_rows": "Rows of the last run by status.",
    "backfill_rows_left": "Rows of the last run that neither succeeded nor were skipped, in it or in a rerun or fix.",
    "backfill_attempts": "HTTP requests of the last run.",
    "backfill_throttled": "Throttled answers in the last run.",
    "backfill_duration_seconds": "Duration of the last run.",
    "backfill_exit_code": "Exit code of the last run.",
    "backfill_last_run_timestamp_seconds": "End of the last run, in seconds since 1970.",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric, with its labels."""

    metric: str
    labels: Mapping[str, str]
    value: float


def samples_of(end: RunEnd) -> list[Sample]:
    """Return the metrics of a run. Without a report: exit code and time alone."""
    job = {"job": end.job}
    samples = [
        Sample("backfill_exit_code", job, end.exit_code),
        Sample("backfill_last_run_timestamp_seconds", job, end.at.timestamp()),
    ]
    if (summary := end.summary) is None:
        return samples
    return [
        *(Sample("backfill_rows", {**job, "status": status}, summary.counts.get(status, 0)) for status in Status),
        Sample("backfill_rows_left", job, summary.left),
        Sample("backfill_attempts", job, summary.attempts),
        Sample("backfill_throttled", job, summary.quota.throttled),
        Sample("backfill_duration_seconds", job, summary.elapsed_s),
        *samples,
    ]
