"""`BackfillOperator`: a task of Airflow that runs a job by the command `backfill`."""

from collections.abc import Sequence
from typing import Any, ClassVar

from airflow.sdk import BaseOperator, Context
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from pipeline.orchestrators.command import BackfillCommand, TaskState

# The day before the run is due, in the DAG's time zone. `{{ ds }}` is a date in UTC, and of another moment under other
# timetables.
DAY_BEFORE = "{{ macros.ds_add(dag_run.run_after.astimezone(dag.timezone) | ds, -1) }}"


class BackfillOperator(BaseOperator):
    """
    Run a job, and return its result: exit code, run id, counts, rows left, paths of report and outcome file.

    - `job`, `inputs`, `date`, `config`, `until`: as on the command line; templates are rendered
    - `options`: further options of `backfill run`; templates are rendered
    - `program`: path of the command
    - `accept_rows_left`: exit code 3 (some rows are left) is a success

    Exit codes 2, 3, 4, and 5 after a deadline, fail without a retry. Other ones may be retried. The result is pushed
    after a failure too.
    """

    template_fields: ClassVar[Sequence[str]] = ("job", "inputs", "date", "config", "until", "options")

    def __init__(
        self,
        *,
        job: str,
        inputs: Sequence[str] = (),
        date: str | None = DAY_BEFORE,
        config: str | None = None,
        until: str | None = None,
        outcome_format: str = "csv",
        options: Sequence[str] = (),
        program: str = "backfill",
        accept_rows_left: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.inputs = inputs
        self.date = date
        self.config = config
        self.until = until
        self.outcome_format = outcome_format
        self.options = options
        self.program = program
        self.accept_rows_left = accept_rows_left
        self._command: BackfillCommand | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the job; raise AirflowFailException or AirflowException if it did not succeed."""
        self._command = BackfillCommand(
            job=self.job,
            inputs=self.inputs,
            date=self.date,
            config=self.config,
            until=self.until,
            outcome_format=self.outcome_format,
            options=self.options,
            program=self.program,
        )
        task = context["ti"]
        result = self._command.run(self.log.info, is_retry=task.try_number > 1)
        state = result.state(accept_rows_left=self.accept_rows_left)
        if state is TaskState.SUCCEEDED:
            return result.value()
        if self.do_xcom_push:
            task.xcom_push(key=BaseXCom.XCOM_RETURN_KEY, value=result.value())
        raise (AirflowFailException if state is TaskState.FAILED else AirflowException)(str(result))

    def on_kill(self) -> None:
        """Let the command finish its requests in flight; `execute` then returns its exit code 5."""
        if self._command is not None:
            self._command.stop()
