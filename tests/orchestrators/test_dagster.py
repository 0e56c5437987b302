"""`backfill_op` in a real Dagster: ends, tries, outputs and metadata of steps."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.orchestrators.conftest import CHECKOUT, Night
from tests.orchestrators.fake_command import RESUMED, RUN, result, summary, write_scenarios

PRINTED = (CHECKOUT / "docs" / "how-to" / "schedule.md").read_text("utf-8").split("\n## Dagster\n")[1]
NIGHT_JOB = re.findall(r"(?s)```python\n(.*?)```", PRINTED)[0]


@pytest.mark.slow
def test_ends_tries_and_results_of_steps(
    tmp_path: Path, night: Night, play: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    """
    A success has the result as output. A failure that a retry cannot help is tried once, and has it as metadata.
    SIGTERM lets the command end; a retry resumes. The job of docs/how-to/schedule.md runs as printed.
    """
    fakes = write_scenarios(tmp_path)
    (tmp_path / "night.py").write_text(night.with_its_paths(NIGHT_JOB), encoding="utf-8")

    played = play("dagster_runs.py", tmp_path, tmp_path / "night.py")

    assert played.returncode == 0, played.stdout[-5000:] + played.stderr[-5000:]
    done = {"succeeded": True, "output": result(summary(0, succeeded=3)), "failure": {}}
    refused = result(summary(4, "stopped", unsent=3))
    zeros = dict.fromkeys(("succeeded", "skipped", "invalid", "rejected", "unknown", "blocked", "unsent"), 0)
    assert json.loads(played.stdout.splitlines()[-1]) == {
        "succeeded": {**done, "tries": 1},
        "failed": {"succeeded": False, "tries": 1, "output": None, "failure": refused},
        "stopped": {**done, "tries": 2},
        "loyalty_night": {"orders": {**zeros, "succeeded": 11, "skipped": 1, "invalid": 1}},
    }
    assert {name: fake.calls() for name, fake in fakes.items()} == {
        "succeeded": [RUN],
        "failed": [RUN],
        "stopped": RESUMED,
    }
    assert (played.stdout + played.stderr).count("draining") == 1
