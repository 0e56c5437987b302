"""
Runs each DAG of a folder by a real Airflow, and writes the ends of its tasks to stdout, as JSON in the last line.

In the environment of the orchestrators: `python airflow_runs.py FOLDER`.
"""

import json
import sys
from datetime import UTC, datetime
from typing import Any

from airflow import settings
from airflow.dag_processing.dagbag import DagBag
from airflow.models.xcom import XComModel
from airflow.utils.db import initdb

# 09:00 in Shanghai: `{{ ds }}` is the same day in UTC.
DUE = datetime(2025, 11, 21, 1, 0, tzinfo=UTC)


def ends_of(dag: Any) -> dict[str, Any]:
    """Run a DAG; return state, number of tries and result of each task."""
    run = dag.test(run_after=DUE, logical_date=DUE)
    session = settings.Session()
    results = {each.task_id: each.value for each in session.query(XComModel).filter_by(dag_id=dag.dag_id)}
    tasks = run.get_task_instances(session=session)
    return {each.task_id: [each.state, each.try_number, results.get(each.task_id)] for each in tasks}


def main() -> None:
    """Set up a metadata database in AIRFLOW_HOME, and run the DAGs."""
    initdb()
    bag = DagBag(sys.argv[1])
    assert bag.import_errors == {}, bag.import_errors
    sys.stdout.write(json.dumps({name: ends_of(dag) for name, dag in bag.dags.items()}) + "\n")


if __name__ == "__main__":
    main()
