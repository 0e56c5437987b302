"""Jobs that share a quota."""

from collections import defaultdict
from collections.abc import Iterator

from pipeline.assemble.parts.platform import merchant_of
from pipeline.check.finding import Finding, Level
from pipeline.language import t
from pipeline.settings import Config, Job


def check_quotas(config: Config) -> Iterator[Finding]:
    """Yield the jobs that share the quota of an API and merchant, and those that could exceed it together."""
    users: dict[tuple[str, str], list[Job]] = defaultdict(list)
    for job in config.jobs.values():
        if job.account in config.accounts:
            users[job.api, merchant_of(config.accounts[job.account])].append(job)
    for (api, merchant), jobs in users.items():
        if len(jobs) < 2:
            continue
        names, rates = ", ".join(job.name for job in jobs), sorted({f"{job.limit_per_s:g}" for job in jobs})
        what = t("quota of {api}", api=api)
        if len(rates) > 1:
            text = t(
                "jobs {names} share the quota of {merchant}, but have the rates {rates}; write one rate",
                names=names,
                merchant=merchant,
                rates=", ".join(rates),
            )
            yield Finding(Level.ERROR, what, text)
        else:
            yield Finding(
                Level.OK,
                what,
                t(
                    "jobs {names} share {rates} requests per second of {merchant}",
                    names=names,
                    rates=rates[0],
                    merchant=merchant,
                ),
            )
