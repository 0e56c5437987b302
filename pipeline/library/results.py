"""Results of the library's functions. Each one shows itself as a table in a notebook."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from pipeline.assemble.reports.nothing_done import NothingDone
from pipeline.language import t
from pipeline.library.html import HtmlTable, page
from pipeline.report import ReportFiles, Step, outcome_table, read_outcome
from pipeline.run.plan import Plan, SendingTime

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class RunResult:
    """
    The end of a run.

    - `run_id`, `job`: the run; if there was nothing to rerun or resume, the given run
    - `state`: completed, stopped or interrupted; None if there was nothing to rerun
    - `exit_code`: as the command has it: 0 if every row is done, 3 if rows are left, 4 if it stopped itself, 5 if it
      was stopped
    - `rows`, `left`: rows read; rows that neither succeeded nor were skipped
    - `counts`, `codes`: rows by status and by code
    - `reason`: why the run stopped, or why there was nothing to do
    - `next_steps`: what to do about the rows that are left: a sentence and its command each
    - `report`: the report folder
    - `summary`: the content of summary.json
    """

    run_id: str
    job: str
    state: str | None
    exit_code: int
    rows: int
    left: int
    counts: Mapping[str, int]
    codes: Mapping[str, int]
    reason: str | None
    next_steps: tuple[Step, ...]
    report: Path
    summary: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, end: ReportFiles | NothingDone) -> "RunResult":
        """Return the result of a run with this end."""
        if isinstance(end, NothingDone):
            return cls._of_facts(end.facts, end.run.run_id, end.reason, (), end.report)
        summary = end.summary
        return cls._of_facts(summary.as_dict(), summary.run_id, summary.reason, tuple(end.next_steps), end.folder)

    @classmethod
    def _of_facts(
        cls, facts: Mapping[str, Any], run_id: str, reason: str | None, next_steps: tuple[Step, ...], report: Path
    ) -> "RunResult":
        return cls(
            run_id=run_id,
            job=facts["job"],
            state=None if facts.get("state") is None else str(facts["state"]),
            exit_code=facts["exit_code"],
            rows=facts["rows"],
            left=facts["left"],
            counts=facts["counts"],
            codes=facts.get("codes", {}),
            reason=reason,
            next_steps=next_steps,
            report=report,
            summary=facts,
        )

    @overload
    def outcome(self, *, as_arrow: Literal[False] = False) -> "pd.DataFrame": ...
    @overload
    def outcome(self, *, as_arrow: Literal[True]) -> "pa.Table": ...
    def outcome(self, *, as_arrow: bool = False) -> "pd.DataFrame | pa.Table":
        """
        Return the outcome of each row read, in source order, from the report.

        Texts are `string`, whole numbers nullable, times UTC. Raises SourceError if the report has no outcome file.
        """
        frame = read_outcome(self.report)
        return outcome_table(frame) if as_arrow else frame

    def _repr_html_(self) -> str:
        state = self.state or t("nothing to do")
        title = t("run {run} of job {job}: {state}, exit code {code}",
                  run=self.run_id, job=self.job, state=state, code=self.exit_code)  # fmt: skip
        lines = [self.reason, t("{rows} rows, {left} left", rows=f"{self.rows:,}", left=f"{self.left:,}")]
        tables = [
            HtmlTable.of_counts("status", self.counts),
            HtmlTable.of_counts("code", self.codes),
            HtmlTable(("next_steps", "command"), [(step.text, step.command) for step in self.next_steps]),
        ]
        return page(title, [*filter(None, lines)], tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanResult(Plan):
    """
    What a run would do now.

    - `job`: the job
    - `ends_at`: when sending would end at the quota, in the job's zone
    - `requests_left`: requests that `until` would leave over
    - `saved`: the file that the plan was saved to, for `run(plan=...)`; None without `save`
    """

    job: str
    ends_at: datetime
    requests_left: int
    saved: Path | None = None

    @classmethod
    def of(cls, job: str, made: Plan, night: SendingTime, *, saved: Path | None = None) -> "PlanResult":
        """Return the plan of a job."""
        facts = {fact.name: getattr(made, fact.name) for fact in fields(Plan)}
        return cls(**facts, job=job, ends_at=night.ends_at, requests_left=night.left, saved=saved)

    def _repr_html_(self) -> str:
        title = t("plan of job {job} (nothing was sent)", job=self.job)
        lines = [
            self.reason,
            t("{rows} rows, {requests} requests, until {end} at the quota",
              rows=f"{self.rows:,}", requests=f"{self.to_send:,}", end=f"{self.ends_at:%Y-%m-%d %H:%M %Z}"),
            t("{left} requests are left at the deadline", left=f"{self.requests_left:,}") * bool(self.requests_left),
            *self.warnings,
        ]  # fmt: skip
        faults = [(p.source_file, p.source_row, p.code, p.message) for p in self.problems]
        tables = [
            HtmlTable.of_counts("decision", self.counts),
            HtmlTable.of_counts("code", self.codes),
            HtmlTable.of_counts("difference", self._differences()),
            HtmlTable(("source_file", "source_row", "code", "message"), faults),
            HtmlTable(("samples",), [(sample,) for sample in self.samples]),
        ]
        return page(title, [*filter(None, lines)], tables)

    def _differences(self) -> Mapping[str, int]:
        found = self.differences
        return {} if found is None else {side: getattr(found, side).rows for side in ("new", "changed", "gone")}


@dataclass(frozen=True, slots=True)
class PastRun:
    """
    A run in the ledger.

    `state` is completed, stopped, interrupted, running or killed. `exit_code` is None until the run ended. Times are
    UTC. `parent` is the run that it reruns or fixes.
    """

    run_id: str
    job: str
    api: str
    account: str
    state: str
    exit_code: int | None
    started_at: datetime
    finished_at: datetime | None
    elapsed_s: float
    parent: str | None


class PastRuns(tuple[PastRun, ...]):
    """Runs, newest first."""

    __slots__ = ()

    def to_pandas(self) -> "pd.DataFrame":
        """Return the runs as a DataFrame, one line each."""
        import pandas as pd  # noqa: PLC0415 - slow to import

        return pd.DataFrame(self._lines(), columns=[column.name for column in fields(PastRun)])

    def _lines(self) -> list[tuple[object, ...]]:
        return [tuple(getattr(run, column.name) for column in fields(PastRun)) for run in self]

    def _repr_html_(self) -> str:
        shown = [
            (run.run_id, run.job, run.state, "" if run.exit_code is None else run.exit_code,
             f"{run.started_at:%Y-%m-%d %H:%M:%S}", f"{run.elapsed_s:,.1f}", run.parent or "")
            for run in self
        ]  # fmt: skip
        columns = ("run_id", "job", "state", "exit_code", "started_at", "elapsed_s", "parent")
        return page(t("past runs: {count}", count=f"{len(self):,}"), [], [HtmlTable(columns, shown)])
