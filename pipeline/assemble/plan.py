"""`plan`: stage without sending, into a temporary folder."""

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.assemble.parts.ledgers import traces_of
from pipeline.assemble.parts.new_run import inputs_of, new_run, opener_of, others_of, rules_of
from pipeline.assemble.parts.platform import merchant_of
from pipeline.assemble.parts.run_options import RowLimits, RunOptions
from pipeline.assemble.parts.system import System
from pipeline.ledger.dry_run import DryRun
from pipeline.limits.window import most_per_second
from pipeline.model import Api
from pipeline.read import Chunk
from pipeline.run.input_columns import InputColumns, columns_of
from pipeline.run.parameter_names import ParameterNames
from pipeline.run.plan import Plan, plan_of
from pipeline.run.stage import Stager
from pipeline.settings import Config
from pipeline.write.brakes.run_control import Drained, RunControl


def plan(
    config: Config,
    name: str,
    inputs: Sequence[str],
    options: RunOptions,
    system: System,
    *,
    show_ids: bool = False,
    compares: bool = False,
) -> Plan:
    """
    Return the plan of a run of the job now. Nothing is sent; temporary files are removed.

    With `compares` it has the differences from the job's last completed run.
    """
    job, now = config.jobs[name], system.clock.now()
    account = config.accounts[job.account]
    found = inputs_of(config, job, inputs, options, system).find()
    new, merchant, traces = new_run(job, now, system.chance, {}), merchant_of(account), traces_of(config)
    names = ParameterNames()
    look_at_bodies = names.look if job.api is Api.STATE else lambda _bodies: None
    with (
        tempfile.TemporaryDirectory(prefix="backfill-plan-") as scratch,
        DryRun(
            config.ledger,
            new,
            merchant,
            Path(scratch),
            clock=system.clock,
            traces=traces,
            look=look_at_bodies,
            compares=compares,
        ) as dry_run,
    ):
        rules, control = rules_of(job, account, now, dry_run.salt), RunControl(system.clock)
        columns = list[InputColumns]()

        def look(name: str, chunk: Chunk) -> None:
            if not columns:
                columns.append(columns_of(name, chunk.columns, chunk, rules, show_ids=show_ids))

        stager = Stager(
            ledger=dry_run,
            rules=rules,
            open_input=opener_of(job, rules),
            control=control,
            max_invalid=RowLimits.of(options.kept, job).max_invalid,
            limit=options.limit,
            others=others_of(job, now),
            look=look,
        )
        # A run that would stop before its first request has a plan too.
        with suppress(Drained):
            stager.stage(found.files)
        return plan_of(
            dry_run.result,
            most_per_second(job.limit_per_s),
            control.reason,
            ignored=found.ignored,
            warnings=names.warnings(),
            columns=next(iter(columns), None),
            show_ids=show_ids,
        )
