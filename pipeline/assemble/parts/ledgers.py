"""The config file and its ledger: all that commands for past runs need."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from pipeline.clock import Clock
from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.database import is_writable
from pipeline.ledger.store.lease import this_process
from pipeline.ledger.store.loss_detection.marks import mark_path
from pipeline.ledger.store.loss_detection.traces import ReportTrace, Traces
from pipeline.ledger.store.quotas import quota_path
from pipeline.settings import Config

_RUN_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")


def working_folder() -> Path:
    """Return the working directory, the base of relative paths. Raises SettingsError if it was removed."""
    try:
        return Path.cwd()
    except OSError as exc:
        raise SettingsError(
            [t("can't use the working directory ({reason}); change to an existing one", reason=exc.strerror)]
        ) from exc


def config_path(named: Path | None, environ: Mapping[str, str]) -> Path:
    """
    Return the config file: the given one, else $BACKFILL_CONFIG, else `backfill.toml`.

    Raises SettingsError if it is relative and the working directory was removed.
    """
    path = named or Path(environ.get("BACKFILL_CONFIG") or "backfill.toml")
    if not path.is_absolute():
        working_folder()
    return path


def open_the_ledger(
    config: Config, clock: Clock, *, only_reads: bool = False, open_ledger: Callable[..., Ledger] = Ledger
) -> Ledger:
    """
    Open the ledger; create it if missing. Raises LedgerError with cause and advice if it can't be used.

    With `only_reads`, an unwritable ledger is opened for reading only.
    """
    path = config.ledger_path
    only_reads = only_reads and config.ledger_server is None and path.is_file() and not is_writable(path)
    return open_ledger(config.ledger, clock, this_process(), traces=traces_of(config), only_reads=only_reads)


def reports_folder(config: Config) -> Path:
    """Return the default folder of all reports, beside the config."""
    return config.folder / "reports"


def traces_of(config: Config) -> Traces:
    """
    Return the traces that show whether the ledger is the newest.

    State and reports are in different folders, often on different disks: if one is restored, the other shows it.
    """
    is_file = config.ledger_server is None
    return Traces(
        mark=mark_path(config.ledger_path) if is_file else None,
        report_mark=mark_path(config.path),
        quota=quota_path(config.ledger_path) if is_file else None,
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
