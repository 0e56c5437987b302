"""
Airflow and Dagster start `backfill run JOB --json` as a process, and read its summary.

Read in this order:

- `command`: the process, what its exit code means for a scheduler, and its result
- `airflow`: `BackfillOperator` (extra `airflow`)
- `dagster`: `backfill_op` (extra `dagster`)

It imports `language` alone, so that an orchestrator's environment needs none of the packages of the command.
"""
