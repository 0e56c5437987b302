"""`plan`: stage without sending, into a temporary folder."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.assemble.dry_slicing import DrySliceDriver, local_stagers
from pipeline.assemble.parts.ledgers import traces_of
from pipeline.assemble.parts.new_run import inputs_of, new_run, opener_of, others_of, rules_of
from pipeline.assemble.parts.platform import merchant_of
from pipeline.assemble.parts.run_options import RowLimits, RunOptions
from pipeline.assemble.parts.system import System
from pipeline.assemble.slicing import cutter
from pipeline.engines.processes import ProcessGroup
from pipeline.ledger.dry_run import DryRun
from pipeline.limits.window import most_per_second
from pipeline.model import Api
from pipeline.read import CHUNK_ROWS, DEFAULT_CUT_SIZES, Chunk, CutSizes
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
    saves: bool = False,
    chunk_rows: int = CHUNK_ROWS,
    cut_sizes: CutSizes = DEFAULT_CUT_SIZES,
    stagers: Callable[[Config, Sequence[int]], ProcessGroup] = local_stagers,
) -> Plan:
    """
    Return the plan of a run of the job now. Nothing is sent; temporary files are removed.

    With `compares` it has the differences from the job's last completed run; with `saves` it can be saved. Inputs are
    read in chunks of `chunk_rows` rows; where several processes read them, `cut_sizes` says how large slices are, and
    `stagers` starts them.
    """
    job, now = config.jobs[name], system.clock.now()
    account = config.accounts[job.account]
    source = inputs_of(config, job, inputs, options, system)
    found = source.find()
    new, merchant, traces = (
        new_run(job, now, system.chance, source.as_options()),
        merchant_of(account),
        traces_of(config),
    )
    processes = options.processes or job.processes
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
            columns.append(columns_of(name, chunk.columns, chunk, rules, show_ids=show_ids))

        slices = None
        if processes > 1:
            cuts = cutter(config, job, rules, chunk_rows=chunk_rows, sizes=cut_sizes)
            slices = DrySliceDriver(config, dry_run, Path(scratch), processes, cuts, stagers)
        stager = Stager(
            ledger=dry_run,
            rules=rules,
            open_input=opener_of(job, rules, chunk_rows),
            control=control,
            max_invalid=RowLimits.of(options.kept, job).max_invalid,
            limit=options.limit,
            others=others_of(job, now),
            look=look,
            slices=slices,
            hashes_bodies=saves,
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
