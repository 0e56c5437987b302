"""The report of a night: one page over all runs of a day, with a link to the report of each, and their summaries."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from pipeline.language import language_in_use, t
from pipeline.model import Status
from pipeline.report.advice import Severity, severity, verdict
from pipeline.report.files.folder import PendingFiles, make_folder
from pipeline.report.page import template
from pipeline.report.summary import Summary
from pipeline.report.texts import Texts

NIGHT_NAMES = ("report.html", "summary.json")
"""The names of the files of a night's report."""

_DONE = (Status.SUCCEEDED, Status.SKIPPED)
_SEVERITIES = tuple(Severity)


@dataclass(frozen=True, slots=True)
class NightRun:
    """
    One run of a night.

    - `is_rerun`: whether it reruns its parent; otherwise a run with a parent fixes rows of that
    - `is_live`: whether it is running now
    - `link`: where its own page is, relative to the night's folder; None if there is none
    """

    summary: Summary
    is_rerun: bool
    is_live: bool
    link: str | None


@dataclass(frozen=True, slots=True)
class Night:
    """
    All runs of a day, oldest first.

    A job counts with its last run that read its export: reruns and fixes settle rows of that one, and a run that was
    refused or stopped is followed by another.
    """

    day: date
    runs: Sequence[NightRun]

    @property
    def counted(self) -> Sequence[NightRun]:
        """The run of each job that counts."""
        return list({run.summary.job: run for run in self.runs if run.summary.parent is None}.values())

    @property
    def rows(self) -> int:
        """Rows read by the runs that count."""
        return sum(run.summary.rows for run in self.counted)

    @property
    def left(self) -> int:
        """Rows of the runs that count which are not done, over reruns and fixes."""
        return sum(run.summary.left for run in self.counted)

    def as_dict(self) -> dict[str, Any]:
        """Return the night in numbers, as `summary.json` has it: totals of what counts, and all summaries."""
        counts: Counter[Status] = Counter()
        for run in self.counted:
            counts.update(run.summary.counts)
        return {
            "date": self.day.isoformat(),
            "rows": self.rows,
            "left": self.left,
            "counts": {status.value: counts[status] for status in Status},
            "jobs": {run.summary.job: run.summary.run_id for run in self.counted},
            "runs": [run.summary.as_dict() for run in self.runs],
        }


def write_night(folder: Path, night: Night) -> None:
    """Write the page and `summary.json` into a folder. Raises SettingsError if it can't be written."""
    make_folder(folder)
    with PendingFiles(folder) as pending:
        pending.begin("report.html").write(render_night(night).encode())
        pending.begin("summary.json").write(
            orjson.dumps(night.as_dict(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        )


def render_night(night: Night) -> str:
    """Return the page: one HTML document that needs no other file and has no script."""
    worst = max((_severity(run) for run in night.counted), key=_SEVERITIES.index, default=Severity.NONE)
    says = t("{left} of {rows} rows are left.", left=f"{night.left:,}", rows=f"{night.rows:,}")
    return template("night.html.template").render(
        language=language_in_use(),
        title=t("Night of {date}", date=night.day),
        severity=worst,
        says=says if night.left else t("Of {rows} rows none is left.", rows=f"{night.rows:,}"),
        heads=[t("Job"), t("Run"), t("Result"), t("Rows"), t("Done"), t("Left"), t("Not done in this run")],
        numbers=(3, 4, 5),
        lines=list(map(_line, night.runs)),
        note=t("The totals count each job's last run that read its export; reruns and fixes settle rows of it."),
    )


def _severity(run: NightRun) -> Severity:
    return Severity.MINOR if run.is_live else severity(run.summary)


def _line(run: NightRun) -> dict[str, object]:
    summary = run.summary
    done = sum(summary.counts.get(status, 0) for status in _DONE)
    return {
        "job": summary.job,
        "run_id": summary.run_id,
        "link": run.link,
        "kind": _kind(run),
        "verdict": t("Run is active.") if run.is_live else verdict(summary, Texts(language_in_use())),
        "numbers": [f"{number:,}" for number in (summary.rows, done, summary.left)],
        "open_rows": list(_open_rows(summary)),
    }


def _kind(run: NightRun) -> str:
    if run.summary.parent is None:
        return ""
    if run.is_rerun:
        return t("rerun of {run}", run=run.summary.parent)
    return t("fix of {run}", run=run.summary.parent)


def _open_rows(summary: Summary) -> Iterator[tuple[str, str]]:
    for status in Status:
        if status not in _DONE and (rows := summary.counts.get(status, 0)):
            yield status.value, f"{rows:,}"
