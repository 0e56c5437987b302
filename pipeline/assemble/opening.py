"""A checked config."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.assemble.platform import check_transport
from pipeline.clock import Clock
from pipeline.errors import SettingsError
from pipeline.map import MappingRules, check_rules
from pipeline.settings import Config, Job, load


def open_config(path: Path, environ: Mapping[str, str], clock: Clock, only_job: str | None = None) -> Config:
    """Return the config with the keys of one job's account, or of all. Raises SettingsError with every fault."""
    config = load(path, environ=environ, at=clock.now(), only_job=only_job)
    faults = [
        f"{config.path} [jobs.{job.name}] {fault}"
        for job in config.jobs.values()
        if only_job in (None, job.name)
        for fault in [*check_rules(mapping_rules(job)), *check_transport(job)]
    ]
    if faults:
        raise SettingsError(faults)
    return config


def mapping_rules(job: Job) -> MappingRules:
    """Return the mapping rules of the job's settings."""
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
    )
