"""
Staging alone: the rows of an input are read, mapped, compared and written into the ledger, and nothing is sent.

    python -m benchmarks.staging JOB INPUT PROCESSES [ADDRESS]      (in the folder of a config)

With the address of a Ray cluster each node has a worker, and this process stages slices too.

Prints the seconds of staging, without the start of Python, and the CPU seconds of this process and of the others that
it starts.
"""

import random
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from pipeline.assemble.parts.cluster_workers import workers_of_cluster
from pipeline.assemble.parts.ledgers import open_the_ledger
from pipeline.assemble.parts.new_run import RunInputs, new_run, opener_of, rules_of, yesterday
from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.parts.platform import merchant_of
from pipeline.assemble.slicing import LocalWorkers, slice_driver
from pipeline.clock import SystemClock
from pipeline.read import CHUNK_ROWS, DEFAULT_CUT_SIZES
from pipeline.run.ports import SliceWorkers
from pipeline.run.stage import Stager
from pipeline.settings import Config
from pipeline.write.brakes.run_control import RunControl


@contextmanager
def _workers(config: Config, processes: int, address: str) -> Iterator[SliceWorkers]:
    if not address:
        yield LocalWorkers(config, processes - 1)
    else:
        with workers_of_cluster(config.path, address, None, ("-m", "pipeline")) as workers:
            yield workers


def stage(folder: Path, job_name: str, source: str, processes: int, address: str = "") -> tuple[float, float, float]:
    """Stage one input as a new run; return seconds, CPU seconds of this process, and those of the others."""
    clock = SystemClock()
    config = open_config(folder / "backfill.toml", {}, clock, job_name)
    job, began = config.jobs[job_name], clock.now()
    account, inputs = config.accounts[job.account], RunInputs([source], config.folder, yesterday(job, began))
    with closing(open_the_ledger(config, clock)) as ledger, _workers(config, processes, address) as workers:
        run = ledger.begin(
            new_run(job, began, random.SystemRandom(), {**inputs.as_options(), "limit": None}), merchant_of(account)
        )
        try:
            rules = rules_of(job, account, began, run.salt)
            driver = slice_driver(
                config, partial(open_the_ledger, config, clock), run, rules,
                clock=clock, workers=workers, chunk_rows=CHUNK_ROWS, sizes=DEFAULT_CUT_SIZES,
            )  # fmt: skip
            stager = Stager(
                ledger=run,
                rules=rules,
                open_input=opener_of(job, rules),
                control=RunControl(clock),
                slices=driver if processes > 1 else None,
            )
            started, worked = clock.steady(), time.process_time()
            stager.stage(inputs.find().files)
            others = resource.getrusage(resource.RUSAGE_CHILDREN)
            return clock.steady() - started, time.process_time() - worked, others.ru_utime + others.ru_stime
        finally:
            run.leave()


if __name__ == "__main__":
    _job, _source, _processes, *_address = sys.argv[1:]
    sys.stdout.write("{} {} {}\n".format(*stage(Path.cwd(), _job, _source, int(_processes), *_address)))
