"""One finding of `check`."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is: fine, to be looked at, or to be fixed before a run."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding about `what`, such as `job orders`; the message says where it is and what to do."""

    level: Level
    what: str
    message: str


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 2 if something must be fixed, 3 if there are warnings, else 0."""
    levels = {finding.level for finding in findings}
    if Level.ERROR in levels:
        return 2
    return 3 if Level.WARNING in levels else 0
