"""A new run: its id, inputs, day and mapping rules, and how its inputs are opened."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.assemble.parts.opening import mapping_rules
from pipeline.assemble.parts.run_options import RunOptions
from pipeline.assemble.parts.system import System
from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.ledger.records import NewRun, RunRecord
from pipeline.ledger.rules.admission import OtherSenders
from pipeline.map import MappingRules, UsedColumns
from pipeline.model import Api
from pipeline.read import CHUNK_ROWS, FoundInputs, Source, find, open_source
from pipeline.settings import Account, AlipayAccount, Config, Job
from pipeline.write.delivery import timestamp


def new_run(
    job: Job, now: datetime, chance: random.Random, options: Mapping[str, Any], parent: str | None = None
) -> NewRun:
    """Return a run of the job that begins now, with a new id."""
    return NewRun(
        run_id=new_run_id(now, chance),
        job=job.name,
        export=job.export,
        api=job.api,
        account=job.account,
        limit_per_s=job.limit_per_s,
        started_at=timestamp(now),
        parent=parent,
        options=options,
    )


def new_run_id(now: datetime, chance: random.Random) -> str:
    """Return an id that sorts by time: a ULID."""
    from ulid import ULID  # noqa: PLC0415 - imports pydantic if installed, which is slow: not for `--help`

    return str(ULID(int(now.timestamp() * 1000).to_bytes(6, "big") + chance.randbytes(10)))


@dataclass(frozen=True, slots=True)
class RunInputs:
    """The inputs of a run: patterns relative to `base`, the day that fills `{date}`, the file that says it is ready."""

    patterns: Sequence[str]
    base: Path
    day: date
    ready: str | None = None

    def find(self) -> FoundInputs:
        """Return the files. Raises SourceError if one can't be found or is not ready."""
        return find(self.patterns, base=self.base, date=self.day, ready=self.ready)

    def as_options(self) -> Mapping[str, Any]:
        """Return the options that the run records, so that `resume` finds the same files."""
        return {"inputs": list(self.patterns), "base": str(self.base), "date": self.day.isoformat()}

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "RunInputs":
        """Return the inputs of an earlier run."""
        return cls(options["inputs"], Path(options["base"]), date.fromisoformat(options["date"]))


def inputs_of(config: Config, job: Job, named: Sequence[str], options: RunOptions, system: System) -> RunInputs:
    """Return the inputs of the command line, or the job's own."""
    day = options.day or yesterday(job, system.clock.now())
    if named:
        return RunInputs(named, system.folder, day)
    if not job.inputs:
        raise SettingsError(
            [
                t(
                    "{path} [jobs.{job}] input: missing; set it there or on the command line",
                    path=config.path,
                    job=job.name,
                )
            ]
        )
    return RunInputs(job.inputs, config.folder, day, job.ready)


def job_of(config: Config, run: RunRecord) -> Job:
    """Return the job of an earlier run. Raises SettingsError if the config lacks it, or sends it elsewhere now."""
    job = config.jobs.get(run.job)
    if job is None:
        raise SettingsError(
            [
                t(
                    "{path} has no job {job!r} of run {run_id}; restore it",
                    path=config.path,
                    job=run.job,
                    run_id=run.run_id,
                )
            ]
        )
    if (job.api, job.account) != (run.api, run.account):
        fault = t(
            "{path} [jobs.{job}] sends to {api} with account {account}, but run {run_id} to {old_api} with account "
            "{old_account}; restore these to continue the run",
            path=config.path, job=run.job, api=job.api, account=job.account, run_id=run.run_id, old_api=run.api,
            old_account=run.account,
        )  # fmt: skip
        raise SettingsError([fault])
    return job


def yesterday(job: Job, now: datetime) -> date:
    """Return the default day of a run: yesterday in the job's time zone."""
    return now.astimezone(job.timezone).date() - timedelta(days=1)


def rules_of(job: Job, account: Account, now: datetime, salt: str) -> MappingRules:
    """Return the mapping rules of a job at time `now`; `salt` is that of the ledger's generation."""
    charset = account.charset if isinstance(account, AlipayAccount) and job.api is Api.STATE else "utf-8"
    return replace(mapping_rules(job, account), charset=charset, now=now, salt=salt)


def others_of(job: Job, now: datetime) -> OtherSenders | None:
    """Return the other senders of the job's balances, for decisions at time `now`; None: there are none."""
    return None if job.trusted_for is None else OtherSenders.at(now, job.trusted_for)


def opener_of(job: Job, rules: MappingRules, chunk_rows: int = CHUNK_ROWS) -> Callable[..., Source]:
    """Return the function that opens an input of the job, a `SourceFile`; its `cut` is the part that is read."""
    uses = UsedColumns(rules)
    return partial(open_source, csv=job.csv, sheet=job.sheet, int96=job.int96, uses=uses, chunk_rows=chunk_rows)
