"""`plan`: stage without sending, into a temporary folder."""

import random
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.assemble.new_run import inputs_of, new_run, others_of, rules_of, stager_of, yesterday
from pipeline.assemble.platform import merchant_of
from pipeline.assemble.row_limits import RowLimits
from pipeline.assemble.run_options import RunOptions
from pipeline.assemble.traces import traces_of
from pipeline.clock import Clock
from pipeline.ledger.dry_run import DryRun
from pipeline.limits.window import most_per_second
from pipeline.map import UsedColumns
from pipeline.model import Api
from pipeline.read import find, open_source
from pipeline.run.input_columns import columns_of
from pipeline.run.parameter_names import ParameterNames
from pipeline.run.plan import Plan, plan_of
from pipeline.settings import Config
from pipeline.write.brakes.run_control import Drained, RunControl


def plan(
    config: Config,
    name: str,
    inputs: Sequence[str],
    options: RunOptions,
    *,
    clock: Clock,
    chance: random.Random,
    folder: Path,
    show_ids: bool = False,
) -> Plan:
    """Return the plan of a run of the job now. Nothing is sent; temporary files are removed."""
    job, now = config.jobs[name], clock.now()
    account = config.accounts[job.account]
    source = inputs_of(config, job, inputs, options.day or yesterday(job, now), folder)
    found = find(source.patterns, base=source.base, date=source.day, ready=None if inputs else job.ready)
    new, merchant, names = new_run(job, now, chance, {}), merchant_of(account), ParameterNames()
    look = names.look if job.api is Api.STATE else lambda _bodies: None
    with (
        tempfile.TemporaryDirectory(prefix="backfill-plan-") as scratch,
        DryRun(config.ledger_path, new, merchant, Path(scratch), traces=traces_of(config), look=look) as dry_run,
    ):
        control = RunControl(clock)
        rules = rules_of(job, account, now, dry_run.salt)
        stager = stager_of(
            job,
            rules,
            dry_run,
            control,
            max_invalid=RowLimits.of(options.kept, job).max_invalid,
            limit=options.limit,
            others=others_of(job, now),
        )
        # A run that would stop before its first request has a plan too.
        with suppress(Drained):
            stager.stage(found.files)
        with open_source(found.files[0], job.csv, sheet=job.sheet, int96=job.int96, uses=UsedColumns(rules)) as first:
            columns = columns_of(found.files[0].name, first, rules, show_ids=show_ids)
        return plan_of(
            dry_run.result,
            most_per_second(job.limit_per_s),
            control.reason,
            ignored=found.ignored,
            warnings=names.warnings(),
            columns=columns,
            show_ids=show_ids,
        )
