"""The folder of the reports."""

import os
from collections.abc import Iterator

from pipeline.assemble.parts.ledgers import reports_folder
from pipeline.check.finding import Finding, Level
from pipeline.language import t
from pipeline.settings import Config


def check_reports(config: Config) -> Iterator[Finding]:
    """Yield a warning if a run could not write its report beside the config. Nothing is written."""
    folder = reports_folder(config).absolute()
    nearest = next(each for each in (folder, *folder.parents) if each.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        yield Finding(Level.WARNING, "reports", t("{folder} can't be written; give runs --report DIR", folder=folder))
