"""Memory does not grow with equal rows: a run of one key, one card or one task takes as little as any other."""

import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pipeline.ledger.staging.duplicates.deduplicate import rule_on_cards, rule_on_forms, rule_on_keys, rule_on_parts
from pipeline.ledger.staging.duplicates.find import BALANCE, PART, TASK
from pipeline.ledger.staging.duplicates.partitions import Partitions, Table
from pipeline.ledger.staging.duplicates.rulings import Ruling, Rulings

ROWS = 600_000
CHUNK = 8192
# A byte for each row, and some tables of four megabytes. All lines are 34 MB and more, and would be held several times.
MOST_BYTES = 40 << 20

Rule = Callable[[Partitions, Rulings], object]


def numbered(kind: np.dtype[np.void]) -> Callable[[int, int], Table]:
    """Return the function that makes equal lines of that kind, but for their rows' numbers."""

    def made(first: int, count: int) -> Table:
        lines = np.zeros(count, kind)
        lines["row_no"] = np.arange(first, first + count)
        if kind is PART:
            lines["parts"] = 1
        return lines

    return made


@pytest.mark.parametrize(
    ("kind", "by", "rule", "ruling"),
    [
        pytest.param(PART, "identity", rule_on_keys, Ruling.DUPLICATE, id="one-key"),
        pytest.param(PART, "identity", lambda told, rulings: rule_on_parts(told, rulings, ROWS), Ruling.DUPLICATE,
                     id="one-key-of-tasks"),
        pytest.param(TASK, "key", rule_on_forms, Ruling.NOTHING, id="one-task"),
        pytest.param(BALANCE, "card", rule_on_cards, Ruling.DUPLICATE, id="one-card"),
    ],
)  # fmt: skip
def test_equal_rows_take_no_more_memory(
    tmp_path: Path, kind: np.dtype[np.void], by: str, rule: Rule, ruling: Ruling
) -> None:
    """Rows that all hash alike are found with the memory of a few tables, and all but one of them are left out."""
    make = numbered(kind)
    with closing(Partitions(kind, by, tmp_path)) as parted:
        for first in range(1, ROWS + 1, CHUNK):
            parted.add(make(first, min(CHUNK, ROWS + 1 - first)))
        rulings = Rulings(ROWS)
        tracemalloc.start()
        try:
            rule(parted, rulings)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert np.count_nonzero(rulings.of_row == ruling) >= ROWS - 1
    assert peak < MOST_BYTES
