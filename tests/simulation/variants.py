"""What must hold of rows that somebody fixed: each counts once."""

import re
from collections import defaultdict

from tests.simulation.evidence import Broken
from tests.simulation.history import Evidence
from tests.simulation.options import family_of

# What a fixed row's key has more than the export's, where it got another one, and the number of a task's completion.
_OTHER_KEY = re.compile(r"f\d+")
_PART = re.compile(r"-\d+$")


def check_fixes(evidence: Evidence) -> None:
    """Raise Broken where a row counts in two variants: as it was, and as somebody fixed it."""
    variants: dict[str, set[str]] = defaultdict(set)
    for identity in evidence.journal.applied:
        key = _PART.sub("", family_of(identity))
        variants[_OTHER_KEY.sub("", key)].add(key)
    for key, several in variants.items():
        if len(several) > 1:
            raise Broken(f"row {key} counts in several variants: {', '.join(sorted(several))}")
