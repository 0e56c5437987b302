"""`plan` of the library."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date as Date  # noqa: N812 - the parameter has the option's name
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.assemble.dry_slicing import local_stagers
from pipeline.assemble.parts.new_run import inputs_of, yesterday
from pipeline.assemble.plan import plan as make_plan
from pipeline.assemble.saved_plans import check_no_credentials, save_plan, saved_plan
from pipeline.assemble.saved_tables import save_table
from pipeline.language import t
from pipeline.library.arguments import Inputs, check, checked_inputs, run_options
from pipeline.library.results import PlanResult
from pipeline.library.session import Session
from pipeline.limits.window import most_per_second
from pipeline.run.plan import night_of

if TYPE_CHECKING:
    import pyarrow as pa

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
    diff: bool = False,
    save: str | os.PathLike[str] | None = None,
    processes: int | None = None,
    environ: Mapping[str, str] | None = None,
) -> PlanResult:
    """
    Return what `run` would send, without sending: counts, faults, sample payloads, and the end at the quota.

    The parameters are those of `run`. With `show_ids` the samples are exactly as they would be sent. With `diff` the
    plan has the differences from the job's last completed run. `save` is a file to write for `run(plan=...)`; it takes
    inputs that are files. Raises TypeError or ValueError for a wrong argument; SettingsError, SourceError or
    LedgerError where the command would exit with 2.
    """
    check(job=job, config=config, date=date, until=until, limit=limit, max_invalid=max_invalid, show_ids=show_ids,
          diff=diff, save=save, processes=processes, environ=environ)  # fmt: skip
    options = run_options(date=date, until=until, limit=limit, max_invalid=max_invalid, processes=processes)
    paths, table = checked_inputs(inputs)
    if save is not None:
        _refuse_to_save(paths, table)
    session = Session.open(config, environ, job)
    system, settings = session.system, session.config.jobs[job]
    options = replace(options, day=options.day or yesterday(settings, system.clock.now()))
    with tempfile.TemporaryDirectory(prefix="backfill-plan-") as scratch:
        if table is not None:
            paths = [save_table(table, Path(scratch), _TABLE).name]
            system = replace(system, folder=Path(scratch))
        made = make_plan(
            session.config, job, paths, options, system, show_ids=show_ids, compares=diff, saves=save is not None,
            stagers=partial(local_stagers, environ=environ),
        )  # fmt: skip
    output = None if save is None else Path(save).absolute()
    if output is not None:
        source = inputs_of(session.config, settings, paths, options, system)
        save_plan(output, session.config, made, saved_plan(session.config, job, made, source, options))
    now = system.clock.now().astimezone(settings.timezone)
    night = night_of(made.to_send, most_per_second(settings.limit_per_s), now, until)
    return PlanResult.of(job, made, night, saved=output)


def _refuse_to_save(paths: Sequence[str], table: "pa.Table | None") -> None:
    """Raise ValueError for a table, which no later call could read, and SettingsError for credentials in paths."""
    if table is not None:
        raise ValueError(t("save can't be used with a table; write it to a file first"))
    check_no_credentials(paths)
