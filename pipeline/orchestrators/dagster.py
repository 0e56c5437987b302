"""`backfill_op`: an op of Dagster that runs a job by the command `backfill`."""

from typing import Any

from dagster import Config, Failure, In, Nothing, OpExecutionContext, RetryPolicy, op
from pydantic import Field

from pipeline.orchestrators.command import BackfillCommand, TaskState


class BackfillConfig(Config):
    """Config of the op: the words of the command line. `accept_rows_left`: exit code 3 is a success."""

    job: str
    inputs: list[str] = Field(default_factory=list)
    date: str | None = Field(None, description="default: the partition's day, else yesterday in the job's time zone")
    config: str | None = None
    until: str | None = None
    outcome_format: str = "csv"
    options: list[str] = Field(default_factory=list)
    program: str = "backfill"
    accept_rows_left: bool = False


@op(name="backfill", ins={"start_after": In(Nothing)}, retry_policy=RetryPolicy(max_retries=3, delay=600))
def backfill_op(context: OpExecutionContext, config: BackfillConfig) -> dict[str, Any]:
    """
    Run a job, and return its result: exit code, run id, counts, rows left, paths of report and outcome file.

    Raise Failure if it did not succeed. Exit codes 2, 3, 4, and 5 after a deadline, are not retried.
    """
    words = config.model_dump(exclude={"accept_rows_left"})
    if config.date is None and context.has_partition_key:
        words["date"] = context.partition_key
    result = BackfillCommand(**words).run(context.log.info, is_retry=context.retry_number > 0)
    value = result.value()
    state = result.state(accept_rows_left=config.accept_rows_left)
    if state is not TaskState.SUCCEEDED:
        raise Failure(str(result), metadata=value, allow_retries=state is TaskState.RETRY)
    context.add_output_metadata(value)
    return value
