"""`plan` of the library."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import date as Date  # noqa: N812 - the parameter has the option's name
from datetime import datetime
from pathlib import Path

from pipeline.assemble.plan import plan as make_plan
from pipeline.assemble.saved_tables import save_table
from pipeline.library.arguments import Inputs, check, checked_inputs, run_options
from pipeline.library.results import PlanResult
from pipeline.library.session import Session
from pipeline.limits.window import most_per_second
from pipeline.run.plan import night_of

# The table's id in the names of its rows.
_TABLE = "plan"


def plan(
    config: str | os.PathLike[str] | None,
    job: str,
    inputs: "Inputs | None" = None,
    *,
    date: Date | None = None,
    until: datetime | None = None,
    limit: int | None = None,
    max_invalid: int | str | None = None,
    show_ids: bool = False,
    environ: Mapping[str, str] | None = None,
) -> PlanResult:
    """
    Return what `run` would send, without sending: counts, faults, sample payloads, and the end at the quota.

    The parameters are those of `run`. With `show_ids` the samples are exactly as they would be sent. Raises TypeError
    or ValueError for a wrong argument; SettingsError, SourceError or LedgerError where the command would exit with 2.
    """
    check(job=job, config=config, date=date, until=until, limit=limit, max_invalid=max_invalid, show_ids=show_ids,
          environ=environ)  # fmt: skip
    options = run_options(date=date, until=until, limit=limit, max_invalid=max_invalid)
    paths, table = checked_inputs(inputs)
    session = Session.open(config, environ, job)
    system, settings = session.system, session.config.jobs[job]
    with tempfile.TemporaryDirectory(prefix="backfill-plan-") as scratch:
        if table is not None:
            paths = [save_table(table, Path(scratch), _TABLE).name]
            system = replace(system, folder=Path(scratch))
        made = make_plan(session.config, job, paths, options, system, show_ids=show_ids)
    now = system.clock.now().astimezone(settings.timezone)
    return PlanResult.of(job, made, night_of(made.to_send, most_per_second(settings.limit_per_s), now, until))
