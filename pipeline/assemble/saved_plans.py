"""Plans in files: what `plan --save` writes, and what of it `run --plan` compares before it begins."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from pipeline.assemble.new_run import RunInputs
from pipeline.assemble.platform import merchant_of
from pipeline.assemble.run_options import RunOptions
from pipeline.errors import SettingsError
from pipeline.language import t
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
        settings=_settings_of(config, name),
        requests=PlannedRequests(
            tuple((each.name, each.sha256) for each in made.inputs), made.to_send, made.requests_sha256
        ),
        shown={"rows": made.rows, "counts": made.counts, "codes": made.codes, "exit_code": made.exit_code},
    )


def read_plan(path: Path) -> SavedPlan:
    """Return the plan of a file. Raises SettingsError if it can't be read or is no plan."""
    try:
        return SavedPlan.parse(path.read_bytes())
    except OSError as exc:
        fault = exc.strerror or str(exc)
    except ValueError:
        fault = t("not a plan that this version of backfill saved")
    raise SettingsError([t("--plan {path}: {fault}; make one with `backfill plan JOB --save FILE`",
                           path=path, fault=fault)])  # fmt: skip


def check_settings(plan: SavedPlan, config: Config) -> None:
    """Raise SettingsError if the config says something else about the job than when the plan was saved."""
    changed = plan.changed_settings(_settings_of(config, plan.job))
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


def _settings_of(config: Config, name: str) -> Mapping[str, str]:
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
