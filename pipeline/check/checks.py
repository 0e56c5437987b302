"""All checks of a config, or of one job of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import cast

from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.parts.run_options import RunOptions
from pipeline.assemble.parts.system import System
from pipeline.check.accounts import check_account
from pipeline.check.clock_offset import check_clock
from pipeline.check.finding import Finding, Level
from pipeline.check.inputs import check_inputs
from pipeline.check.ledger_file import check_ledger
from pipeline.check.online import CallSigner, api_to_ask, check_online
from pipeline.check.quotas import check_quotas
from pipeline.check.report_folder import check_reports
from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.run.input_columns import InputColumns
from pipeline.settings import Config, Job, load, warnings


@dataclass(frozen=True, slots=True)
class Check:
    """The findings, and the columns of each job's inputs, by job."""

    findings: tuple[Finding, ...]
    columns: Mapping[str, InputColumns]


def check(
    path: Path,
    environ: Mapping[str, str],
    system: System,
    *,
    only_job: str | None = None,
    day: date | None = None,
    show_ids: bool = False,
    online: bool = False,
) -> Check:
    """
    Check a config and all that its jobs need, or one job. Nothing is sent but one unsigned request to each host.

    With `online`, one signed request is sent for each account, which changes nothing at the platform.
    `day` fills `{date}` in inputs, None for yesterday. Wrong keys do not hinder the other checks. Raises SettingsError
    if the config cannot be read.
    """
    now = system.clock.now()
    findings = list[Finding]()
    try:
        config = open_config(path, environ, system.clock, only_job)
    except SettingsError as exc:
        findings += (Finding(Level.ERROR, "config", fault) for fault in exc.faults)
        config = load(path, environ=environ, at=now, only_job=only_job, with_keys=False)
    else:
        findings.append(Finding(Level.OK, "config", _described(config)))
    findings += (Finding(Level.WARNING, "config", text) for text in warnings(config, at=now))
    columns = dict[str, InputColumns]()
    for job in _jobs(config, only_job):
        account, options = config.accounts.get(job.account), RunOptions(day=day)
        of_job, found = check_inputs(config, job, account, options, system, show_ids=show_ids)
        findings += of_job
        columns |= {job.name: found} if found else {}
    findings += _accounts(config, system, only_job, online=online)
    findings += check_quotas(config)
    findings += check_ledger(config, system.clock)
    findings += check_reports(config)
    return Check(tuple(findings), columns)


def _described(config: Config) -> str:
    return t(
        "{path}: jobs {jobs}; accounts {accounts}",
        path=config.path,
        jobs=", ".join(config.jobs),
        accounts=", ".join(config.accounts),
    )


def _jobs(config: Config, only_job: str | None) -> list[Job]:
    return [job for job in config.jobs.values() if only_job in (None, job.name)]


def _accounts(config: Config, system: System, only_job: str | None, *, online: bool) -> Iterator[Finding]:
    """Check each account with the transport of its first job."""
    users = {job.account: job for job in reversed(_jobs(config, only_job))}
    for name, account in config.accounts.items():
        yield check_account(account)
        job = users.get(name)
        if job is None:
            continue
        asking = replace(job, api=api_to_ask(account, job))
        transport = system.transport_of(account, asking)
        yield check_clock(account, transport, system.clock)
        if online:
            # Each of these signers signs any call of its API.
            signer = cast("CallSigner", system.signer_of(account, asking.api))
            yield check_online(account, asking, signer, transport, system.clock, system.chance)
