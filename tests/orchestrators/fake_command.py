"""A stand-in for `backfill`: it records its words, writes a log line, prints a given answer and ends with its code."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# `sleep` waits for SIGTERM, and then drains. It says that it is ready only after its signal handler is set.
_PROGRAM = '''\
import json, pathlib, signal, sys

def drain(number, frame):
    print("draining", file=sys.stderr, flush=True)
    sys.exit(5)

folder = pathlib.Path(sys.argv[0]).parent
words = sys.argv[1:]
with (folder / "calls.jsonl").open("a", encoding="utf-8") as calls:
    calls.write(json.dumps(words) + "\\n")
answers = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
answer = answers[words[0]].pop(0)
(folder / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
if answer == "wait for a signal":
    signal.signal(signal.SIGTERM, drain)
    print("ready", file=sys.stderr, flush=True)
    signal.pause()
print("fake log of", words[0], file=sys.stderr)
if answer[1] is not None:
    print(json.dumps(answer[1]))
sys.exit(answer[0])
'''

WAITS_FOR_A_SIGNAL = "wait for a signal"


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
