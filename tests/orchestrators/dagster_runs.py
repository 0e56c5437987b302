"""
Runs jobs by a real Dagster, and writes their ends to stdout, as JSON in the last line.

In the environment of the orchestrators: `python dagster_runs.py FAKES MODULE`. FAKES has a folder with a fake command
for each scenario; MODULE has `loyalty_night`.
"""

import json
import runpy
import sys
from typing import Any

from dagster import DagsterInstance, RetryPolicy, RunConfig, job

from pipeline.orchestrators.dagster import BackfillConfig, backfill_op


@job
def one_op() -> None:
    """Run one op, whose retries wait for nothing."""
    backfill_op.with_retry_policy(RetryPolicy(max_retries=2, delay=0))()


def scenario(folder: str, name: str, instance: DagsterInstance) -> dict[str, Any]:
    """Run a fake command; return success, number of tries, output and metadata of the failure."""
    config = BackfillConfig(job="orders", date="2025-11-20", program=f"{folder}/{name}/backfill")
    run_config = RunConfig(ops={"backfill": config})
    run = one_op.execute_in_process(run_config=run_config, instance=instance, raise_on_error=False)
    events = [event for event in run.all_node_events if event.is_step_failure or event.is_step_up_for_retry]
    failure = events[-1].step_failure_data if events and events[-1].is_step_failure else None
    data = failure.user_failure_data.metadata if failure and failure.user_failure_data else {}
    return {
        "succeeded": run.success,
        "tries": 1 + sum(event.is_step_up_for_retry for event in events),
        "output": run.output_for_node("backfill") if run.success else None,
        "failure": {key: each.value for key, each in data.items()},
    }


def printed_job(module: str) -> dict[str, Any]:
    """Run the job of the docs for one partition; return the counts in the failure of each step."""
    night = runpy.run_path(module)["defs"].resolve_job_def("loyalty_night")
    run = night.execute_in_process(partition_key="2025-11-20", raise_on_error=False)
    failures = [event for event in run.all_node_events if event.is_step_failure]
    return {
        event.node_name: event.step_failure_data.user_failure_data.metadata["counts"].value
        for event in failures
        if event.step_failure_data.user_failure_data
    }


def main() -> None:
    """Run each scenario, and the job of the docs."""
    folder, module = sys.argv[1:]
    with DagsterInstance.ephemeral() as instance:
        ends = {name: scenario(folder, name, instance) for name in ("succeeded", "failed", "stopped")}
    sys.stdout.write(json.dumps(ends | {"loyalty_night": printed_job(module)}) + "\n")


if __name__ == "__main__":
    main()
