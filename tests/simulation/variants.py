"""The promise about fixed rows: each counts once, in one variant."""

import json
import re
from collections import defaultdict

from tests.simulation.evidence import Broken, Line
from tests.simulation.history import Evidence
from tests.simulation.losses import may_be_lost
from tests.simulation.options import family_of
from tests.simulation.platform import Entry

# Suffixes of a key: that of a fix, and the number of a task's completion.
_OTHER_KEY = re.compile(r"f\d+")
_PART = re.compile(r"-\d+$")
# The columns that a fix may change, apart from the key.
_FIXED_COLUMNS = ("user_id", "biz_time", "trade_no")


def check_fixes(evidence: Evidence) -> None:
    """
    Raise Broken if a row counts in two variants: unfixed and fixed.

    A lost ledger does not know of a fix. The row may then be fixed again under another key.
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


def says(entry: Entry, row: Line) -> bool:
    """
    Return whether a request says what a row of orders or tasks says in the columns that a fix may change.

    Constants of the config do not count: with other ones it is still the same variant.
    """
    fields = json.loads(entry.body)
    said = fields | fields.get("amount_type_data", {}).get("trade_info", {})
    return all(said[column] == row[column] for column in _FIXED_COLUMNS if column in row)
