"""Load a config file; report all of its faults in one error."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.ledger.store.port import Server
from pipeline.settings.accounts.alipay import check_alipay, open_alipay
from pipeline.settings.accounts.brand import check_brand, open_brand
from pipeline.settings.accounts.network import leads_here
from pipeline.settings.accounts.wechatpay import check_wechatpay, open_wechatpay
from pipeline.settings.document import read_document
from pipeline.settings.jobs.job import read_job
from pipeline.settings.key_material import LoadContext
from pipeline.settings.ledger import DEFAULT_PATH, read_ledger
from pipeline.settings.model import Account, AccountKind, Config, Job
from pipeline.settings.receivers.notify import read_receivers
from pipeline.settings.receivers.telemetry import read_telemetry
from pipeline.settings.structure import check_structure
from pipeline.settings.table import Table
from pipeline.settings.wording import did_you_mean, listed, quoted

_CHECK: Mapping[AccountKind, Callable[[Table], None]] = {
    AccountKind.ALIPAY: check_alipay,
    AccountKind.MERCHANT: check_wechatpay,
    AccountKind.BRAND: check_brand,
}
_OPEN: Mapping[AccountKind, Callable[[Table, LoadContext], Account | None]] = {
    AccountKind.ALIPAY: open_alipay,
    AccountKind.MERCHANT: open_wechatpay,
    AccountKind.BRAND: open_brand,
}


def load(
    path: Path,
    *,
    environ: Mapping[str, str],
    at: datetime,
    only_job: str | None = None,
    with_keys: bool = True,
) -> Config:
    """
    Return the config. The keys of accounts that its jobs use are read; with `only_job`, of that job's account only.

    Without `with_keys` no key is read, and `accounts` and `receivers` are empty; commands that send nothing need no
    more. Raises SettingsError with every fault of the file and of those keys at the moment `at`.
    """
    checked, faults = check_structure(read_document(path), str(path))
    config = Table(str(path), (), checked, faults)
    context = LoadContext(path.absolute().parent, environ, at)
    ledger = read_ledger(config.table("ledger"), context.folder)
    backup = config.table("ledger").text("backup")
    tables = {table.name: table for table in config.table("accounts").tables()}
    kinds = {name: _kind(table) for name, table in tables.items()}
    for name, kind in kinds.items():
        if kind is not None:
            _CHECK[kind](tables[name])
    jobs = _read_jobs(config.table("jobs"), kinds, is_in_file=not isinstance(ledger, Server))
    _check_rates(config.table("jobs"), jobs.values(), tables)
    if only_job is not None:
        _check_job(config.table("jobs"), only_job)
    users = [job for job in config.table("jobs").tables() if with_keys and only_job in (None, job.name)]
    used = {job.text("account") for job in users}
    opened = {
        name: _OPEN[kind](tables[name], context) for name, kind in kinds.items() if name in used and kind is not None
    }
    receivers = read_receivers(config.table("notify"), jobs, context) if with_keys else ()
    telemetry = read_telemetry(config.table("telemetry"), environ)
    if faults:
        raise SettingsError(faults)
    idle = tables.keys() - {job.account for job in jobs.values()}
    return Config(
        path=path,
        ledger_path=ledger if isinstance(ledger, Path) else context.folder / DEFAULT_PATH,
        ledger_server=ledger if isinstance(ledger, Server) else None,
        accounts=MappingProxyType({name: account for name, account in opened.items() if account is not None}),
        jobs=MappingProxyType(jobs),
        unused_accounts=tuple(sorted(idle)),
        key_files=tuple(
            context.folder / name
            for table in [*tables.values(), *config.table("notify").tables()]
            for name in _named_files(table)
        ),
        receivers=receivers,
        telemetry=telemetry,
        backup_path=None if backup is None else context.folder / backup,
    )


def _named_files(table: Table) -> list[str]:
    named = (value for key, value in table.values.items() if key.endswith("_file") and value is not None)
    return [name for value in named for name in ([value] if isinstance(value, str) else value)]


def _read_jobs(table: Table, kinds: Mapping[str, AccountKind | None], *, is_in_file: bool) -> dict[str, Job]:
    jobs = (read_job(job, kinds, is_in_file=is_in_file) for job in table.tables())
    return {job.name: job for job in jobs if job is not None}


def _check_rates(table: Table, jobs: Iterable[Job], accounts: Mapping[str, Table]) -> None:
    """Report two rates or shares of one quota: the platform counts the requests of all jobs of a merchant together."""
    first: dict[tuple[str, str | None, bool], Job] = {}
    for job in jobs:
        if (account := accounts.get(job.account)) is None:
            continue
        merchant = next(filter(None, map(account.text, ("app_id", "brand_id", "mchid"))), None)
        is_simulated = any(leads_here(url) for url in map(account.text, ("base_url", "gateway_url")) if url)
        other = first.setdefault((job.api, merchant, is_simulated), job)
        for key, own, others in (("rate", job.rate, other.rate), ("share", job.share, other.share)):
            if own != others:
                table.table(job.name).fault(
                    key,
                    t(
                        "{own:g}, but job {other} has {others:g} for the same quota ({api}, merchant {merchant}); "
                        "write one {key} in both jobs",
                        own=own,
                        other=quoted(other.name),
                        others=others,
                        api=job.api,
                        merchant=merchant,
                        key=key,
                    ),
                )


def _check_job(jobs: Table, name: str) -> None:
    if name not in jobs:
        hint = did_you_mean(name, jobs.values) or t(
            "; the config has {listed}", listed=listed([*map(quoted, jobs.values)], t("and"))
        )
        jobs.faults.append(
            t("{file} [jobs]: no job has the name {name}{hint}", file=jobs.file, name=quoted(name), hint=hint)
        )


def _kind(table: Table) -> AccountKind | None:
    """Return the kind of an account; None if its platform is at fault."""
    match table.text("platform"):
        case "alipay":
            return AccountKind.ALIPAY
        case "wechatpay":
            return AccountKind.BRAND if "brand_id" in table else AccountKind.MERCHANT
        case _:
            return None
