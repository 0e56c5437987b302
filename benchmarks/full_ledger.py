"""
A full ledger: every row of an export staged and delivered.

    python -m benchmarks.full_ledger JOB INPUT [--left N]      (in the folder of a config without a ledger)
    python -m benchmarks.full_ledger JOB INPUT --pruned-after N [--others M]      (in the folder of a config with one)

With --left the last N rows stay unsent. With --pruned-after only the table of deliveries gets the rows after the first
N, as if their run had been pruned: that is all that the next run compares its rows with. A line takes a tenth of the
space. All of these have the same measures, so totals are wrong. With --others there are M deliveries in all:
the rest, whose rows are in no input, is made by SQL, which is quicker than mapping rows.

Rows are staged as in any run. The deliveries are then written for many rows at once, without waiting for the disk, so
that a ledger of millions of rows takes minutes. The result equals that of `benchmarks.instant_platform`, which delivers
row by row; tests/benchmarks/test_bench_full_ledger.py compares the two.
"""

import argparse
import random
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from itertools import count, repeat
from pathlib import Path

import numpy as np

from pipeline.assemble.parts.new_run import RunInputs, new_run, opener_of, rules_of, yesterday
from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.parts.platform import merchant_of
from pipeline.clock import Clock, SystemClock
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import DeliveryState, RunState
from pipeline.ledger.rules.measures import COLUMNS, MEASURES
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.store.database import connect
from pipeline.ledger.store.lease import this_process
from pipeline.ledger.store.loss_detection import generations
from pipeline.ledger.store.port import insert_many
from pipeline.map import bind_chunks
from pipeline.model import Status
from pipeline.run.exit_code import exit_code_of
from pipeline.run.stage import Stager
from pipeline.settings import Config, Job
from pipeline.write.brakes.run_control import RunControl
from pipeline.write.delivery import timestamp

# Rows of one transaction. Keys are spread over the ledger's trees, so that many rows share the write of a page.
_BATCH_ROWS = 20_000
# Small caches, because 3 connections share the memory; rare checkpoints, because pages are soon written again.
_SETTINGS = ("PRAGMA synchronous = OFF", "PRAGMA cache_size = -16384", "PRAGMA wal_autocheckpoint = 20000")

_THESE = "FROM dues AS d WHERE due_no BETWEEN :first AND :last"
# The ledger's state of dues that the platform confirmed at the first attempt, at 1,000 per second.
_DELIVER = (
    f"INSERT INTO deliveries (account_no, api, identity, digest, state, due_no, intended_at, {COLUMNS})"
    f" SELECT :account_no, :api, identity, digest, :state, due_no, CAST(:began AS INTEGER), {MEASURES} {_THESE}",
    "INSERT INTO cards (account_no, card, confirmed_points, unsettled, newest_identity, newest_version,"
    " newest_position, sent_at) SELECT :account_no, card, points, 0, identity, version, position,"
    f" CAST(:began AS INTEGER) {_THESE} AND +card IS NOT NULL",
    "UPDATE accounts SET confirmed_report = (SELECT body FROM dues WHERE due_no = :last)"
    " WHERE account_no = :account_no AND :api = 'alipay.cumulation'",
    f"UPDATE rows SET cells = NULL WHERE run_no = :run_no AND row_no IN (SELECT row_no {_THESE})",
    "UPDATE dues SET status = :status, code = 'SUCCESS', message = '', http_status = 200, attempts = 1, body = NULL,"
    " latency_ms = 20 + due_no % 80, trace_id = lower(hex(randomblob(16))),"
    " first_sent_at = strftime('%Y-%m-%dT%H:%M:%fZ', :began + due_no * 0.001, 'unixepoch'),"
    " finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', :began + due_no * 0.001 + 0.02 + due_no % 80 * 0.001, 'unixepoch')"
    " WHERE due_no BETWEEN :first AND :last",
)
# A delivery whose run was pruned. Numbers of its dues are above those of runs that are kept.
_PRUNED = insert_many("deliveries", f"account_no, api, identity, digest, state, due_no, intended_at, {COLUMNS}")
_FIRST_PRUNED = 1_000_000
_TYPICAL_MEASURES = ("20250000000000000000", 20251120, 1, 0, 7800, None)
# The same of rows that are in no input, with keys as `benchmarks.exports` has them.
_OTHERS = f"""
INSERT INTO deliveries (account_no, api, identity, digest, state, due_no, intended_at, {COLUMNS})
WITH RECURSIVE numbers (n) AS (SELECT ? UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
SELECT ?, ?, printf('D20251120%09d', n), randomblob(16), ?, {_FIRST_PRUNED} + n, ?, ?, ?, ?, ?, ?, ? FROM numbers
"""


def make(folder: Path, job: str, source: str, left: int = 0) -> int:
    """
    Deliver one input in the ledger of a folder's config; return the exit code of the run.

    The last `left` dues stay unsent.
    """
    clock = SystemClock()
    config = open_config(folder / "backfill.toml", {}, clock, job)
    with closing(Ledger(config.ledger_path, clock, this_process(), connect=_unsynced)) as ledger:
        # Its file belongs to the past: a ledger without it counts as one that was restored.
        ledger.quotas()
        return _run(config, ledger, clock, config.jobs[job], source, left)


def add_pruned(folder: Path, job_name: str, source: str, after: int, others: int = 0) -> None:
    """
    Write the deliveries of an input, but for its first rows, into a ledger that has a run of the job.

    If `others` is greater than the number of rows, deliveries of other rows follow, up to that number in all.
    """
    clock = SystemClock()
    config = open_config(folder / "backfill.toml", {}, clock, job_name)
    job = config.jobs[job_name]
    with closing(_unsynced(config.ledger_path)) as connection:
        (account_no,) = connection.execute("SELECT account_no FROM runs WHERE job = ?", (job_name,)).fetchone()
        rules = rules_of(job, config.accounts[job.account], clock.now(), generations.current(connection).salt)
        (file,) = RunInputs([source], config.folder, yesterday(job, clock.now())).find().files
        with opener_of(job, rules)(file) as chunks:
            map_chunk, numbers, rows = bind_chunks(rules, chunks.columns), count(_FIRST_PRUNED), 0
            began = int(clock.now().timestamp())
            for chunk in chunks:
                rows += len(chunk)
                found = map_chunk(chunk).payloads
                parts = found.take(np.flatnonzero(found.numbers("at") >= after))
                after = max(0, after - len(chunk))
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    _PRUNED,
                    zip(
                        repeat(account_no), repeat(job.api), parts.values("identity"), parts.values("digest"),
                        repeat(DeliveryState.SUCCEEDED), numbers, repeat(began),
                        *map(repeat, _TYPICAL_MEASURES), strict=False,
                    ),
                )  # fmt: skip
                connection.execute("COMMIT")
        if rows < others:
            each = (account_no, job.api, DeliveryState.SUCCEEDED, began, *_TYPICAL_MEASURES)
            connection.execute(_OTHERS, (rows, others - 1, *each))


def _unsynced(path: Path, *, durable: bool = True) -> sqlite3.Connection:
    connection = connect(path, durable=durable)
    for setting in _SETTINGS:
        connection.execute(setting)
    return connection


def _run(config: Config, ledger: Ledger, clock: Clock, job: Job, source: str, left: int) -> int:
    account, began, control = config.accounts[job.account], clock.now(), RunControl(clock)
    inputs = RunInputs([source], config.folder, yesterday(job, began))
    new = new_run(job, began, random.SystemRandom(), {**inputs.as_options(), "limit": None})
    run = ledger.begin(new, merchant_of(account))
    try:
        started = clock.steady()
        rules = rules_of(job, account, began, run.salt)
        stager = Stager(ledger=run, rules=rules, open_input=opener_of(job, rules), control=control)
        stager.stage(inputs.find().files)
        with closing(_unsynced(ledger.path)) as connection:
            _deliver(connection, run, clock.now(), run.heartbeat, left)
        seconds = clock.steady() - started
        state = RunState.INTERRUPTED if left else RunState.COMPLETED
        run.conclude(
            state=state,
            reason=None,
            finished_at=timestamp(clock.now()),
            open_as=control.open_as,
            progress={"throttled": 0, "elapsed_s": seconds, "sending_s": seconds},
        )
        exit_code = exit_code_of(state, control.counts)
        run.finish(exit_code)
    finally:
        run.leave()
    return exit_code


def _deliver(
    connection: sqlite3.Connection, run_ledger: RunLedger, began: datetime, tick: Callable[[], None], left: int
) -> None:
    run = run_ledger.run
    values = {
        "account_no": run.account_no, "api": run.api, "run_no": run.run_no, "state": DeliveryState.SUCCEEDED,
        "status": Status.SUCCEEDED, "began": began.timestamp(),
    }  # fmt: skip
    # Dues of one run have consecutive numbers.
    query = "SELECT coalesce(min(due_no), 1), coalesce(max(due_no), 0) FROM dues WHERE run_no = ?"
    first, end = connection.execute(query, (run.run_no,)).fetchone()
    last = end - left
    for start in range(first, last + 1, _BATCH_ROWS):
        connection.execute("BEGIN IMMEDIATE")
        for statement in _DELIVER:
            connection.execute(statement, {**values, "first": start, "last": min(start + _BATCH_ROWS - 1, last)})
        connection.execute("COMMIT")
        tick()


def main() -> int:
    """Fill the ledger of the working directory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("job")
    parser.add_argument("source")
    parser.add_argument("--left", type=int, default=0)
    parser.add_argument("--pruned-after", type=int)
    parser.add_argument("--others", type=int, default=0)
    args = parser.parse_args()
    if args.pruned_after is None:
        return make(Path.cwd(), args.job, args.source, args.left)
    add_pruned(Path.cwd(), args.job, args.source, args.pruned_after, args.others)
    return 0


if __name__ == "__main__":
    sys.exit(main())
