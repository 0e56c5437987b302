"""`plan`: the first act, with nothing written."""

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.assemble.platform import holder_of
from pipeline.assemble.wishes import Wishes
from pipeline.assemble.workshop import inputs_of, new_run_id, rules_of, yesterday
from pipeline.clock import Clock
from pipeline.ledger.records import NewRun
from pipeline.ledger.rehearsal import Rehearsal
from pipeline.read import find_inputs
from pipeline.run.plan import Plan, plan_of
from pipeline.run.stage import Stager
from pipeline.settings import Config
from pipeline.write.course import Course
from pipeline.write.delivery import timestamp


def plan(
    config: Config,
    name: str,
    inputs: Sequence[str],
    wishes: Wishes,
    *,
    clock: Clock,
    chance: random.Random,
    folder: Path,
) -> Plan:
    """Return what running the job would do now. Nothing is sent, and nothing is written that stays."""
    job = config.jobs[name]
    account = config.accounts[job.account]
    patterns, base = inputs_of(config, job, inputs, folder)
    files = find_inputs(patterns, base=base, date=wishes.day or yesterday(job, clock.now()))
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
        tempfile.TemporaryDirectory(prefix="backfill-plan-") as aside,
        Rehearsal(config.ledger_path, new, holder_of(account), Path(aside)) as rehearsal,
    ):
        Stager(rehearsal, rules_of(job, account), job.csv, Course(clock), limit=wishes.limit).stage(files)
        return plan_of(rehearsal.prospect, job.rate)
