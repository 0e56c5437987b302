"""`plan`: the first act, with nothing written."""

import random
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.assemble.platform import merchant_of
from pipeline.assemble.row_limits import RowLimits
from pipeline.assemble.run_options import RunOptions
from pipeline.assemble.runner import inputs_of, new_run_id, rules_of, yesterday
from pipeline.assemble.traces import traces_of
from pipeline.clock import Clock
from pipeline.ledger.dry_run import DryRun
from pipeline.ledger.records import NewRun
from pipeline.read import find
from pipeline.run.plan import Plan, plan_of
from pipeline.run.stage import Stager
from pipeline.settings import Config
from pipeline.write.brakes.run_control import Drained, RunControl
from pipeline.write.delivery import timestamp


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
    """Return what running the job would do now. Nothing is sent, and nothing is written that stays."""
    job = config.jobs[name]
    account = config.accounts[job.account]
    patterns, base = inputs_of(config, job, inputs, folder)
    day = options.day or yesterday(job, clock.now())
    found = find(patterns, base=base, date=day, ready=None if inputs else job.ready)
    now = clock.now()
    new = NewRun(
        run_id=new_run_id(now, chance),
        job=name,
        export=job.export,
        api=job.api,
        account=job.account,
        limit_per_s=job.rate,
        started_at=timestamp(now),
    )
    with (
        tempfile.TemporaryDirectory(prefix="backfill-plan-") as spill_file,
        DryRun(config.ledger_path, new, merchant_of(account), Path(spill_file), traces=traces_of(config)) as rehearsal,
    ):
        control = RunControl(clock)
        stager = Stager(
            rehearsal,
            rules_of(job, account, now, rehearsal.salt),
            job.csv,
            control,
            sheet=job.sheet,
            int96=job.int96,
            max_invalid=RowLimits.of(options.kept, job).max_invalid,
            limit=options.limit,
        )
        # Of a run that would send nothing, too, it is known what its rows are.
        with suppress(Drained):
            stager.stage(found.files)
        return plan_of(rehearsal.prospect, job.rate, control.reason, ignored=found.ignored, show_ids=show_ids)
