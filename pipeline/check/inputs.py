"""The inputs of a job: its files, and the columns that feed its fields."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from pipeline.assemble.parts.new_run import inputs_of, opener_of, rules_of
from pipeline.assemble.parts.opening import mapping_rules
from pipeline.assemble.parts.run_options import RunOptions
from pipeline.assemble.parts.system import System
from pipeline.check.finding import Finding, Level
from pipeline.errors import SettingsError, SourceError
from pipeline.language import t
from pipeline.map import check_columns
from pipeline.read import FoundInputs
from pipeline.run.input_columns import InputColumns, columns_of
from pipeline.settings import Account, Config, Job

_LISTED = 3


def check_inputs(
    config: Config, job: Job, account: Account | None, options: RunOptions, system: System, *, show_ids: bool
) -> tuple[list[Finding], InputColumns | None]:
    """Return the findings about the job's inputs, and the columns of the first one that can be read."""
    what = t("job {job}", job=job.name)
    try:
        found = inputs_of(config, job, (), options, system).find()
    except SettingsError as exc:
        return [Finding(Level.ERROR, what, fault) for fault in exc.faults], None
    except SourceError as exc:
        return [Finding(Level.ERROR, what, str(exc))], None
    now = system.clock.now()
    rules = rules_of(job, account, now, "") if account else replace(mapping_rules(job, None), now=now)
    open_input = opener_of(job, rules)
    findings, columns = list(_files(what, found)), None
    for file in found.files:
        try:
            with open_input(file) as opened:
                check_columns(rules, opened.columns, file.name)
                columns = columns or columns_of(
                    file.name, opened.columns, next(iter(opened), None), rules, show_ids=show_ids
                )
        except SourceError as exc:
            findings.append(Finding(Level.ERROR, what, str(exc)))
    return findings, columns


def _files(what: str, found: FoundInputs) -> Iterator[Finding]:
    names = [file.name for file in found.files]
    others = t(" and {count} more", count=len(names) - 1) if len(names) > 1 else ""
    yield Finding(Level.OK, what, t("inputs: {names}{others}", names=names[0], others=others))
    if found.ignored:
        ignored = ", ".join(islice(found.ignored, _LISTED))
        more = t(" and {count} more", count=len(found.ignored) - _LISTED) if len(found.ignored) > _LISTED else ""
        yield Finding(
            Level.WARNING, what, t("ignored files in the input folders: {ignored}{more}", ignored=ignored, more=more)
        )
