"""Plans in files: what `plan --save` writes, and what of it `run --plan` compares before it begins."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import fields, replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from pipeline.assemble.parts.new_run import RunInputs
from pipeline.assemble.parts.platform import merchant_of
from pipeline.assemble.parts.run_options import RunOptions
from pipeline.assemble.reports.protected_files import ProtectedFiles, folder_beside
from pipeline.clock import SystemClock
from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.lease import this_process
from pipeline.model import RowLimit
from pipeline.read.find.remote import URI, shown_uri
from pipeline.run.plan import Plan
from pipeline.run.saved_plan import PlannedRequests, SavedPlan
from pipeline.settings import AlipayAccount, Config


def check_no_credentials(inputs: Sequence[str]) -> None:
    """Raise SettingsError if an input of the command line may hold credentials: a file must not have them."""
    faults = [
        t("--save: input {input} may hold credentials; put it into the config", input=shown_uri(pattern))
        for pattern in inputs
        if URI.match(pattern) and shown_uri(pattern) != pattern
    ]
    if faults:
        raise SettingsError(faults)


def saved_plan(config: Config, name: str, made: Plan, inputs: RunInputs, options: RunOptions) -> SavedPlan:
    """Return the plan as a file keeps it. Inputs of the job itself are left to the config."""
    is_own = inputs.patterns == config.jobs[name].inputs and inputs.base == config.folder
    return SavedPlan(
        job=name,
        date=inputs.day.isoformat(),
        inputs=None if is_own else tuple(inputs.patterns),
        base=None if is_own else str(inputs.base),
        limit=options.limit,
        max_invalid=None if options.max_invalid is None else str(options.max_invalid),
        settings=settings_of(config, name),
        requests=PlannedRequests(
            tuple((each.name, each.sha256) for each in made.inputs), made.to_send, made.requests_sha256
        ),
        shown={"rows": made.rows, "counts": made.counts, "codes": made.codes, "exit_code": made.exit_code},
    )


def save_plan(output: Path, config: Config, made: Plan, saved: SavedPlan) -> None:
    """Write a plan to a file; it appears whole or not at all. Raises SettingsError if that is not allowed."""
    if output.is_dir():
        raise SettingsError([t("--save {path}: that is a folder; name a file", path=output)])
    ledger = Ledger(config.ledger, SystemClock(), this_process(), only_reads=True)
    with closing(ledger):
        inputs = [source.location for source in made.inputs]
        ProtectedFiles(config, ledger, inputs).check([output], f"--save {output}", is_file=True)
    with folder_beside(output, "--save") as folder:
        pending = folder / output.name
        pending.write_bytes(saved.as_json())
        pending.replace(output)


def read_plan(path: Path, job: str | None = None) -> SavedPlan:
    """Return the plan of a file. Raises SettingsError if it can't be read, is no plan, or is one of another job."""
    try:
        plan = SavedPlan.parse(path.read_bytes())
    except OSError as exc:
        raise _refusal(path, exc.strerror or str(exc)) from exc
    except ValueError as exc:
        raise _refusal(path, t("not a plan that this version of backfill saved")) from exc
    if job not in (None, plan.job):
        raise SettingsError(
            [t("--plan {path} is a plan of job {job}, not of {other}; leave JOB out",
               path=path, job=plan.job, other=job)]
        )  # fmt: skip
    return plan


def _refusal(path: Path, fault: str) -> SettingsError:
    return SettingsError(
        [t("--plan {path}: {fault}; make one with `backfill plan JOB --save FILE`", path=path, fault=fault)]
    )


def check_settings(plan: SavedPlan, config: Config) -> None:
    """Raise SettingsError if the config says something else about the job than when the plan was saved."""
    changed = plan.changed_settings(settings_of(config, plan.job))
    if changed:
        raise SettingsError(
            [
                t(
                    "{config} [jobs.{job}] changed since the plan was saved: {names}; nothing was sent; look at the "
                    "plan again with `backfill plan --save`",
                    config=config.path,
                    job=plan.job,
                    names=", ".join(changed),
                )
            ]
        )


def inputs_of_plan(plan: SavedPlan, config: Config) -> RunInputs:
    """Return the inputs of a saved plan."""
    job, day = config.jobs[plan.job], date.fromisoformat(plan.date)
    if plan.inputs is None or plan.base is None:
        return RunInputs(job.inputs, config.folder, day, job.ready)
    return RunInputs(plan.inputs, Path(plan.base), day)


def options_of(plan: SavedPlan, options: RunOptions) -> RunOptions:
    """Return the options of a run of a plan: its limits are the plan's."""
    max_invalid = None if plan.max_invalid is None else RowLimit.parse(plan.max_invalid)
    return replace(options, limit=plan.limit, max_invalid=options.max_invalid or max_invalid)


def settings_of(config: Config, name: str) -> Mapping[str, str]:
    """
    Return a digest of each setting of a job, and of the merchant and address that it sends to.

    Digests, because inputs may hold credentials and constants may hold ids.
    """
    job = config.jobs[name]
    account = config.accounts[job.account]
    settings = {each.name: getattr(job, each.name) for each in fields(job)}
    settings["merchant"] = merchant_of(account)
    settings["base_url"] = [account.base_url, account.gateway_url if isinstance(account, AlipayAccount) else None]
    return {key: _digest(value) for key, value in settings.items()}


def _digest(value: object) -> str:
    return sha256(orjson.dumps(value, default=_plain, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _plain(value: Any) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)
