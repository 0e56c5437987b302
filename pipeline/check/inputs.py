"""The inputs of a job: its files, and the columns that feed its fields."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from itertools import islice
from pathlib import Path

from pipeline.assemble.new_run import inputs_of, rules_of, yesterday
from pipeline.assemble.opening import mapping_rules
from pipeline.check.finding import Finding, Level
from pipeline.errors import SettingsError, SourceError
from pipeline.map import MappingRules, UsedColumns, check_columns
from pipeline.read import FoundInputs, Source, SourceFile, find, open_source
from pipeline.run.input_columns import InputColumns, columns_of
from pipeline.settings import Account, Config, Job

_LISTED = 3


def check_inputs(
    config: Config, job: Job, account: Account | None, day: date | None, now: datetime, folder: Path, *, show_ids: bool
) -> tuple[list[Finding], InputColumns | None]:
    """Return the findings about the job's inputs, and the columns of the first one that can be read."""
    what = f"job {job.name}"
    try:
        source = inputs_of(config, job, (), day or yesterday(job, now), folder)
        found = find(source.patterns, base=source.base, date=source.day, ready=job.ready)
    except SettingsError as exc:
        return [Finding(Level.ERROR, what, fault) for fault in exc.faults], None
    except SourceError as exc:
        return [Finding(Level.ERROR, what, str(exc))], None
    rules = rules_of(job, account, now, "") if account else replace(mapping_rules(job, None), now=now)
    findings, columns = list(_files(what, found)), None
    for file in found.files:
        try:
            with _open(file, job, rules) as opened:
                check_columns(rules, opened.columns, file.name)
                columns = columns or columns_of(file.name, opened, rules, show_ids=show_ids)
        except SourceError as exc:
            findings.append(Finding(Level.ERROR, what, str(exc)))
    return findings, columns


def _files(what: str, found: FoundInputs) -> Iterator[Finding]:
    names = [file.name for file in found.files]
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    yield Finding(Level.OK, what, f"inputs: {names[0]}{others}")
    if found.ignored:
        ignored = ", ".join(islice(found.ignored, _LISTED))
        more = f" and {len(found.ignored) - _LISTED} more" if len(found.ignored) > _LISTED else ""
        yield Finding(Level.WARNING, what, f"ignored files in the input folders: {ignored}{more}")


def _open(file: SourceFile, job: Job, rules: MappingRules) -> Source:
    return open_source(file, job.csv, sheet=job.sheet, int96=job.int96, uses=UsedColumns(rules))
