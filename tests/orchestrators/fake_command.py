"""A stand-in for `backfill`: it records its words, writes a log line, prints a given answer and ends with its code."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# While it waits for SIGTERM it stands for a run with requests in flight.
_PROGRAM = """\
import json, os, pathlib, signal, sys

def drain(number, frame):
    os.write(2, b"draining\\n")
    os._exit(5)

folder = pathlib.Path(sys.argv[0]).parent
words = sys.argv[1:]
with (folder / "calls.jsonl").open("a", encoding="utf-8") as calls:
    calls.write(json.dumps(words) + "\\n")
answers = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
answer = answers[words[0]].pop(0)
(folder / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
if isinstance(answer, str):
    signal.signal(signal.SIGTERM, drain)
    print("sending", file=sys.stderr, flush=True)
    if answer == "stop the scheduler's process":
        os.kill(os.getppid(), signal.SIGTERM)
    signal.pause()
print("log of", words[0], file=sys.stderr)
print("a session of its own:", os.getsid(0) == os.getpid(), file=sys.stderr)
if answer[1] is not None:
    print(json.dumps(answer[1]))
sys.exit(answer[0])
"""

# Answers besides (exit code, printed JSON).
WAITS_FOR_A_SIGNAL = "wait for a signal"
STOPS_THE_SCHEDULER = "stop the scheduler's process"


@dataclass(frozen=True, slots=True)
class FakeCommand:
    """The folder of a fake command. `answers`: by command, one (exit code, printed JSON) for each call."""

    folder: Path

    @classmethod
    def write(cls, folder: Path, answers: Mapping[str, Sequence[Any]]) -> "FakeCommand":
        folder.mkdir(parents=True)
        (folder / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
        (folder / "backfill").write_text(f"#!{sys.executable} -IS\n{_PROGRAM}", encoding="utf-8")
        (folder / "backfill").chmod(0o755)
        return cls(folder)

    @property
    def program(self) -> str:
        return str(self.folder / "backfill")

    def calls(self) -> list[list[str]]:
        """Return the words of each call so far."""
        lines = (self.folder / "calls.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


def summary(exit_code: int, state: str = "completed", **counts: int) -> dict[str, Any]:
    """Return a summary as `--json` prints it, shortened; it has fields that no task may hand on."""
    return {
        "run_id": "01K0000000000000000000000A",
        "job": "orders",
        "date": "2025-11-20",
        "state": state,
        "exit_code": exit_code,
        "inputs": [{"file": "s3://KEY:SECRET@bucket/orders.csv"}],
        "rows": sum(counts.values()),
        "left": sum(count for status, count in counts.items() if status != "succeeded"),
        "counts": counts,
        "codes": {},
        "report": "/data/reports/01K0000000000000000000000A",
    }


def write_scenarios(folder: Path) -> dict[str, FakeCommand]:
    """Write the fake commands that both orchestrators run: a success, a failure, and an interrupted run."""
    done = summary(0, succeeded=3)
    interrupted = {**summary(5, "interrupted", unsent=3), "parent": None}
    resumed: dict[str, Sequence[Any]] = {
        "runs": [(0, [interrupted])],
        "show": [(0, interrupted)],
        "resume": [(0, done)],
    }
    return {
        "succeeded": FakeCommand.write(folder / "succeeded", {"run": [(0, done)]}),
        "failed": FakeCommand.write(folder / "failed", {"run": [(4, summary(4, "stopped", unsent=3))]}),
        "stopped": FakeCommand.write(folder / "stopped", {"run": [STOPS_THE_SCHEDULER], **resumed}),
    }


def result(printed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a task whose command printed this summary."""
    names = ("run_id", "job", "date", "state", "rows", "left", "counts", "report")
    fields = {name: printed[name] for name in names}
    return {"exit_code": printed["exit_code"], **fields, "outcome": f"{printed['report']}/outcome.csv"}


RUN = ["run", "orders", "--date", "2025-11-20", "--format", "csv", "--json"]
RESUMED = [
    RUN,
    ["runs", "--limit", "200", "--json"],
    ["show", "01K0000000000000000000000A", "--json"],
    ["resume", "01K0000000000000000000000A", "--format", "csv", "--json"],
]
