"""One run of a job, by the command `backfill` as a process."""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from tempfile import TemporaryFile
from typing import Any

from pipeline.language import t

# Of the summary. Names of inputs stay out of it, because a URI may hold credentials.
_RESULT_FIELDS = ("run_id", "job", "date", "state", "rows", "left", "counts", "report")
# Runs of all jobs among which the last one of this job is looked up.
_RECENT_RUNS = "200"
# A shell's exit code for a command that does not exist.
_NOT_FOUND = 127


class TaskState(StrEnum):
    """What a scheduler does after the command: go on, give up, or try again later."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The end of a command: exit code (negative: the number of a signal), summary if it printed one, last log line."""

    exit_code: int
    summary: Mapping[str, Any]
    last_line: str
    outcome_format: str

    def state(self, *, accept_rows_left: bool) -> TaskState:
        """Return what a scheduler does next. A retry helps only where the same command may end differently."""
        match self.exit_code:
            case 0:
                return TaskState.SUCCEEDED
            case 3 if accept_rows_left:
                return TaskState.SUCCEEDED
            case 2 | 3 | 4 | 126 | 127:
                return TaskState.FAILED
            case 5 if "deadline" in self.summary.get("codes", ()):
                # A retry would start after the deadline.
                return TaskState.FAILED
            case _:
                return TaskState.RETRY

    def value(self) -> dict[str, Any]:
        """Return the result for later tasks: exit code, run id, counts, rows left, report folder and outcome file."""
        fields = {name: self.summary.get(name) for name in _RESULT_FIELDS}
        report = fields["report"]
        return {"exit_code": self.exit_code, **fields, "outcome": report and f"{report}/outcome.{self.outcome_format}"}

    def __str__(self) -> str:
        run_id = self.summary.get("run_id")
        if run_id is None:
            return t("exit code {exit_code}: {message}", exit_code=self.exit_code, message=self.last_line)
        counts = ", ".join(f"{count} {status}" for status, count in self.summary["counts"].items() if count)
        return t(
            "exit code {exit_code}, run {run_id}: {counts}; report: {report}",
            exit_code=self.exit_code,
            run_id=run_id,
            counts=counts or "0",
            report=self.summary.get("report"),
        )


@dataclass(slots=True)
class BackfillCommand:
    """
    `backfill run JOB`. The fields are those of the command line; `program` is its path, `options` are further words.
    """

    job: str
    inputs: Sequence[str] = field(default=(), repr=False)
    date: str | None = None
    config: str | None = None
    until: str | None = None
    outcome_format: str = "csv"
    options: Sequence[str] = field(default=(), repr=False)
    program: str = "backfill"
    _process: "subprocess.Popen[str] | None" = None
    _is_stopped: bool = False

    def run(self, log: Callable[[str], object], *, is_retry: bool = False) -> CommandResult:
        """
        Run the job and wait; pass each line of its logs to `log`.

        A retry resumes the job's last run if that was interrupted or killed and has the same date. Given inputs are
        run again instead: the ledger skips what is delivered.
        """
        if shutil.which(self.program) is None:
            message = t("{program} is no program; name the path of `backfill` as `program`", program=self.program)
            return CommandResult(_NOT_FOUND, {}, message, self.outcome_format)
        run_id = self._interrupted_run() if is_retry and not self.inputs else None
        words = ["resume", run_id] if run_id else ["run", self.job, *self.inputs, *_option("--date", self.date)]
        words += [*_option("--until", self.until), "--format", self.outcome_format, *self.options, "--json"]
        # A session of its own: an orchestrator signals its whole process group, and a second signal ends the command
        # without waiting for requests in flight.
        with TemporaryFile() as printed:
            exit_code, last_line = self._wait(self._words(words), printed, log)
            printed.seek(0)
            summary = json.loads(printed.read() or "{}")
        return CommandResult(exit_code, summary, last_line, self.outcome_format)

    def stop(self) -> None:
        """Let the command finish its requests in flight and end (SIGTERM); also from a signal handler."""
        self._is_stopped = True
        if self._process is not None:
            self._process.terminate()

    def _wait(self, words: Sequence[str], printed: Any, log: Callable[[str], object]) -> tuple[int, str]:
        """Start the command; return its exit code and the last line of its logs. An exception stops it first."""
        with subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.PIPE, encoding="utf-8",
            errors="replace", start_new_session=True,
        ) as process:  # fmt: skip
            self._process = process
            if self._is_stopped:
                process.terminate()
            try:
                last_line = _pass_lines(process, log)
            except BaseException:
                process.terminate()
                # Until its requests in flight have ended.
                _pass_lines(process, log)
                raise
        return process.returncode, last_line

    def _interrupted_run(self) -> str | None:
        """Return the id of the job's last run, if `resume` continues it and it has this command's date."""
        runs = self._query("runs", "--limit", _RECENT_RUNS) or []
        last = next((run for run in runs if run["job"] == self.job and not run["parent"]), None)
        if last is None or last["state"] not in ("interrupted", "killed"):
            return None
        shown = self._query("show", last["run_id"])
        return last["run_id"] if shown and self.date in (None, shown["date"]) else None

    def _query(self, *words: str) -> Any:
        """Return what a command prints as JSON; None if it fails, because `run` then reports the fault."""
        done = subprocess.run(
            self._words([*words, "--json"]), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        return json.loads(done.stdout) if done.returncode == 0 else None

    def _words(self, words: Sequence[str]) -> list[str]:
        return [self.program, words[0], *_option("--config", self.config), *words[1:]]


def _option(name: str, value: str | None) -> list[str]:
    return [] if value is None else [name, value]


def _pass_lines(process: "subprocess.Popen[str]", log: Callable[[str], object]) -> str:
    """Pass each line of a process' logs to `log` until the process ends; return the last one that is not blank."""
    last_line = ""
    for line in process.stderr or ():
        log(line.rstrip("\n"))
        last_line = line.strip() or last_line
    return last_line
