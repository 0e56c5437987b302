"""What must hold of rows that somebody fixed: each counts once."""

import re
from collections import defaultdict

from tests.simulation.evidence import Broken
from tests.simulation.history import Evidence
from tests.simulation.losses import may_be_lost
from tests.simulation.options import family_of

# What a fixed row's key has more than the export's, where it got another one, and the number of a task's completion.
_OTHER_KEY = re.compile(r"f\d+")
_PART = re.compile(r"-\d+$")


def check_fixes(evidence: Evidence) -> None:
    """
    Raise Broken where a row counts in two variants: as it was, and as somebody fixed it.

    A ledger that was lost does not know of a fix; somebody may then fix the row once more, under another key.
    """
    variants: dict[str, set[str]] = defaultdict(set)
    end = float("inf")
    lost = {entry.identity for entry in evidence.journal.entries if may_be_lost(evidence, entry, end)}
    for identity in evidence.journal.applied.keys() - lost:
        key = _PART.sub("", family_of(identity))
        variants[_OTHER_KEY.sub("", key)].add(key)
    for key, several in variants.items():
        if len(several) > 1:
            raise Broken(f"row {key} counts in several variants: {', '.join(sorted(several))}")
