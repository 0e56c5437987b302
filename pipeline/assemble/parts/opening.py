"""A checked config."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.assemble.parts.platform import brand_of, check_transport
from pipeline.clock import Clock
from pipeline.errors import SettingsError
from pipeline.map import MappingRules, check_rules
from pipeline.settings import Account, Config, Job, load


def open_config(path: Path, environ: Mapping[str, str], clock: Clock, only_job: str | None = None) -> Config:
    """Return the config with the keys of one job's account, or of all. Raises SettingsError with every fault."""
    config = load(path, environ=environ, at=clock.now(), only_job=only_job)
    faults = [
        f"{config.path} [jobs.{job.name}] {fault}"
        for job in config.jobs.values()
        if only_job in (None, job.name)
        for fault in [*check_rules(mapping_rules(job, config.accounts[job.account])), *check_transport(job)]
    ]
    if faults:
        raise SettingsError(faults)
    return config


def mapping_rules(job: Job, account: Account | None) -> MappingRules:
    """Return the mapping rules of the settings of a job and its account, if its keys could be read."""
    return MappingRules(
        export=job.export,
        api=job.api,
        columns=job.columns,
        units=job.units,
        constants=job.constants,
        timezone=job.timezone,
        formats=job.formats,
        null_values=frozenset(word.strip() for word in job.csv.null_values),
        sends_suspicious_ids=job.sends_suspicious_ids,
        values=job.values,
        defaults=job.defaults,
        filter=job.filter,
        brand_id=None if account is None else brand_of(account),
    )
