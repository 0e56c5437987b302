"""What `report.html` shows beside the run in numbers: related runs, settings and versions."""

import platform
from collections.abc import Mapping

from pipeline import version
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.report import PageContext
from pipeline.settings import Job


def page_context(ledger: Ledger, run: RunRecord, job: Job | None) -> PageContext:
    """Return the context of a run's page. `job` is None if the config no longer has it."""
    followers = ledger.followers(run)
    return PageContext(
        is_rerun=run.is_rerun,
        reruns=tuple(each.run_id for each in followers if each.is_rerun),
        fixes=tuple(each.run_id for each in followers if not each.is_rerun),
        settings={} if job is None else _settings(job),
        versions={"backfill": version(), "Python": platform.python_version()},
    )


def _settings(job: Job) -> Mapping[str, str]:
    """Return the settings that decide how a job sends. Inputs and constants may hold credentials or ids."""
    settings = {
        "export": job.export,
        "rate": f"{job.rate:g}/s",
        "share": f"{job.share:g}",
        "concurrency": str(job.concurrency),
        "max_attempts": str(job.max_attempts),
        "timeout_s": f"{job.timeout_s:g}",
        "outage_limit_s": f"{job.outage_limit_s:g}",
        "max_invalid": str(job.max_invalid),
        "timezone": job.timezone.key,
        "order": job.order,
        "transport": job.transport,
    }
    return settings if job.max_failures is None else settings | {"max_failures": str(job.max_failures)}
