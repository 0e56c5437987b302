"""From the command line and the environment to a config without a fault."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.assemble.transports import check_transport
from pipeline.clock import Clock
from pipeline.errors import SettingsError
from pipeline.map import MappingRules, check_rules
from pipeline.settings import Config, Job, load


def open_config(path: Path, environ: Mapping[str, str], clock: Clock, only_job: str | None = None) -> Config:
    """Return the config with the keys of one job's account, or of all; raise SettingsError with every fault."""
    config = load(path, environ=environ, at=clock.now(), only_job=only_job)
    faults = [
        f"{config.path} [jobs.{job.name}] {fault}"
        for job in config.jobs.values()
        if only_job in (None, job.name)
        for fault in [*check_rules(_rules(job)), *check_transport(job)]
    ]
    if faults:
        raise SettingsError(faults)
    return config


def _rules(job: Job) -> MappingRules:
    return MappingRules(
        export=job.export,
        api=job.api,
        columns=job.columns,
        units=job.units,
        constants=job.constants,
        timezone=job.timezone,
    )
