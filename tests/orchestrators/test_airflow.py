"""`BackfillOperator` in a real Airflow: states, tries and results of tasks."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.orchestrators.conftest import CHECKOUT, Night
from tests.orchestrators.fake_command import (
    RESUMED,
    RUN,
    WAITS_FOR_A_SIGNAL,
    FakeCommand,
    result,
    summary,
    write_scenarios,
)

PRINTED = (CHECKOUT / "docs" / "how-to" / "schedule.md").read_text("utf-8").split("\n## Airflow\n")[1]
NIGHT_DAG, CLUSTER_DAG = re.findall(r"(?s)```python\n(.*?)```", PRINTED.split("\n## ")[0])
SCENARIOS = '''
from datetime import timedelta
import pendulum
from airflow.sdk import DAG
from pipeline.orchestrators.airflow import BackfillOperator

with DAG(
    "scenarios", schedule="0 9 * * *", start_date=pendulum.datetime(2025, 1, 1, tz="Asia/Shanghai"), catchup=False,
    default_args={{"retries": 2, "retry_delay": timedelta(0)}},
) as dag:
    fields = {{name: {{"task_id": name, "job": "orders", "program": f"{folder}/{{name}}/backfill"}}
              for name in ("succeeded", "failed", "stopped", "timed_out")}}
    BackfillOperator(**fields["succeeded"])
    BackfillOperator(**fields["failed"], date="{{{{ ds }}}}", inputs=["{{{{ dag.dag_id }}}}.csv"])
    BackfillOperator(**fields["stopped"])
    BackfillOperator(**fields["timed_out"], execution_timeout=timedelta(seconds=3), retries=0)
    BackfillOperator(task_id="real", job="states", program="{program}", config="{config}", accept_rows_left=True)
'''  # fmt: skip


def ends(dag: dict[str, Any]) -> dict[str, Any]:
    """Return state, tries, exit code and counts (without zeros) of each task."""
    shown = {}
    for name, (state, tries, end) in dag.items():
        counts = end and {status: count for status, count in end["counts"].items() if count}
        shown[name] = (state, tries, end and (end["exit_code"], counts))
    return shown


@pytest.mark.slow
def test_states_tries_and_results_of_tasks(
    tmp_path: Path, night: Night, play: Callable[..., "subprocess.CompletedProcess[str]"], database: str
) -> None:
    """
    A success returns the result. A failure that a retry cannot help is tried once; its result is there too. SIGTERM
    from Airflow and a timeout let the command end; a retry resumes. The DAGs of docs/how-to/schedule.md run as printed,
    the second one with a ledger on a server.
    """
    fakes = write_scenarios(tmp_path) | {
        "timed_out": FakeCommand.write(tmp_path / "timed_out", {"run": [WAITS_FOR_A_SIGNAL]})
    }
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "scenarios.py").write_text(SCENARIOS.format(folder=tmp_path, program=night.program, config=night.config))
    (dags / "night.py").write_text(night.with_its_paths(NIGHT_DAG), encoding="utf-8")
    (dags / "cluster.py").write_text(night.on_a_server(database).with_its_paths(CLUSTER_DAG), encoding="utf-8")

    played = play(
        "airflow_runs.py", dags, AIRFLOW_HOME=str(tmp_path), AIRFLOW__CORE__DAGS_FOLDER=str(dags),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
    )  # fmt: skip

    assert played.returncode == 0, played.stdout[-5000:] + played.stderr[-5000:]
    played_dags = json.loads(played.stdout.splitlines()[-1])
    assert ends(played_dags["scenarios"]) == {
        "succeeded": ("success", 1, (0, {"succeeded": 3})),
        "failed": ("failed", 1, (4, {"unsent": 3})),
        "stopped": ("success", 2, (0, {"succeeded": 3})),
        "timed_out": ("failed", 1, None),
        "real": ("success", 1, (3, {"succeeded": 13, "invalid": 1})),
    }
    assert ends(played_dags["loyalty_night"]) == {
        "orders": ("failed", 1, (3, {"succeeded": 11, "skipped": 1, "invalid": 1})),
        "points": ("failed", 1, (3, {"succeeded": 9, "invalid": 1})),
    }
    assert ends(played_dags["loyalty_cluster"]) == {
        "orders": ("failed", 1, (3, {"succeeded": 11, "skipped": 1, "invalid": 1})),
    }
    assert played_dags["scenarios"]["failed"][2] == result(summary(4, "stopped", unsent=3))
    assert Path(played_dags["scenarios"]["real"][2]["outcome"]).is_file()
    assert {name: fake.calls() for name, fake in fakes.items()} == {
        "succeeded": [RUN],
        "failed": [["run", "orders", "scenarios.csv", "--date", "2025-11-21", *RUN[4:]]],
        "stopped": RESUMED,
        "timed_out": [RUN],
    }
    assert len(re.findall(r"info +\] draining ", played.stdout + played.stderr)) == 2
