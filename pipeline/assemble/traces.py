"""Traces: files that runs leave outside the ledger, as evidence of a lost or restored ledger."""

import re
from pathlib import Path
from typing import Any

import orjson

from pipeline.ledger.store.marks import mark_path
from pipeline.ledger.store.quotas import quota_path
from pipeline.ledger.store.traces import ReportTrace, Traces
from pipeline.settings import Config

_RUN_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")


def reports_folder(config: Config) -> Path:
    """Return the default folder of all reports, beside the config."""
    return config.folder / "reports"


def traces_of(config: Config) -> Traces:
    """
    Return the traces that show whether the ledger is the newest.

    State and reports are in different folders, often on different disks: if one is restored, the other shows it.
    """
    return Traces(
        mark=mark_path(config.ledger_path),
        report_mark=mark_path(config.path),
        quota=quota_path(config.ledger_path),
        reports=_ReportsOfConfig(config),
    )


class _ReportsOfConfig:
    """The reports beside a config, of the APIs and accounts that its jobs send to."""

    def __init__(self, config: Config) -> None:
        self._folder = reports_folder(config)
        self._sent_to = {(job.api, job.account) for job in config.jobs.values()}

    def run_ids(self) -> list[str]:
        """Return the ids of runs with a report folder, oldest first."""
        try:
            return sorted(entry.name for entry in self._folder.iterdir() if _RUN_ID.fullmatch(entry.name))
        except OSError:
            return []

    def read(self, run_id: str) -> ReportTrace | None:
        """Return the trace of a report; None if it is missing, or of an API or account that no job sends to."""
        summary = self._summary(run_id)
        if (summary.get("api"), summary.get("account")) not in self._sent_to:
            return None
        finished_at = summary.get("finished_at")
        return ReportTrace(run_id, finished_at if isinstance(finished_at, str) else None)

    def _summary(self, run_id: str) -> dict[str, Any]:
        try:
            summary = orjson.loads((self._folder / run_id / "summary.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return summary if isinstance(summary, dict) else {}
