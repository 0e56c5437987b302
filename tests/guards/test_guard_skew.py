"""Memory does not grow with equal rows: a run of one key, card, agreement, object or task needs no more."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.ledger.history import runs
from pipeline.ledger.records import NewRun
from pipeline.ledger.staging.duplicates.deduplicate import (
    contradicting_lanes,
    rule_on_cards,
    rule_on_forms,
    rule_on_keys,
    rule_on_openids,
    rule_on_parts,
    rule_on_times,
)
from pipeline.ledger.staging.duplicates.find import AGREEMENT, BALANCE, PART, TASK
from pipeline.ledger.staging.duplicates.partitions import EntryTable, Partitions
from pipeline.ledger.staging.duplicates.rulings import Ruling, Rulings
from pipeline.ledger.staging.staged_chunk import staged_chunk
from pipeline.ledger.staging.states import StagedStates, noted_states
from pipeline.ledger.store.database import open_for_reading
from pipeline.model import Api, Export
from tests.ledger_runs.staged_rows import mapped_of, state

ROWS = 600_000
CHUNK = 8192
# A byte for each row, and some tables of 4 MB. All lines are 34 MB and more, and would be held several times.
MOST_BYTES = 40 << 20

Rule = Callable[[Partitions, Rulings], object]

NEW = NewRun(
    run_id="RUN",
    job="states",
    export=Export.STATES,
    api=Api.STATE,
    account="zhima",
    limit_per_s=5.0,
    started_at="2025-11-21T00:00:00.000Z",
)


def numbered(kind: np.dtype[np.void]) -> Callable[[int, int], EntryTable]:
    """Return a function that makes equal lines of this type with different row numbers."""

    def made(first: int, count: int) -> EntryTable:
        lines = np.zeros(count, kind)
        lines["row_no"] = np.arange(first, first + count)
        if kind is PART:
            lines["parts"] = 1
        if kind is BALANCE:
            lines["openid"] = 1
        return lines

    return made


@contextmanager
def peak_of() -> Iterator[Callable[[], int]]:
    """Yield a function that returns the peak memory of Python objects and arrays, in bytes."""
    peak = 0
    tracemalloc.start()
    try:
        yield lambda: peak
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("kind", "by", "rule", "ruling"),
    [
        pytest.param(PART, "identity", rule_on_keys, Ruling.DUPLICATE, id="one-key"),
        pytest.param(PART, "identity", lambda parts, rulings: rule_on_parts(parts, rulings, ROWS), Ruling.DUPLICATE,
                     id="one-key-of-tasks"),
        pytest.param(TASK, "key", rule_on_forms, Ruling.NOTHING, id="one-task"),
        pytest.param(BALANCE, "card", rule_on_cards, Ruling.DUPLICATE, id="one-card"),
    ],
)  # fmt: skip
def test_equal_rows_take_no_more_memory(
    tmp_path: Path, kind: np.dtype[np.void], by: str, rule: Rule, ruling: Ruling
) -> None:
    """Rows with equal hashes are found with the memory of a few tables. All but one are skipped."""
    make = numbered(kind)
    with closing(Partitions(kind, by, tmp_path)) as parted:
        for first in range(1, ROWS + 1, CHUNK):
            parted.add(make(first, min(CHUNK, ROWS + 1 - first)))
        rulings = Rulings(ROWS)
        with peak_of() as peak:
            rule(parted, rulings)

    assert np.count_nonzero(rulings.of_row == ruling) >= ROWS - 1
    assert peak() < MOST_BYTES


def test_two_users_of_one_card_take_no_more_memory(tmp_path: Path) -> None:
    """If every other row of a card names another user, some at other times, all rows are invalid."""
    make = numbered(BALANCE)
    with closing(Partitions(BALANCE, "card", tmp_path)) as parted:
        for first in range(1, ROWS + 1, CHUNK):
            lines = make(first, min(CHUNK, ROWS + 1 - first))
            lines["openid"][::2] = 2
            lines["version"][::3] = b"2025-11-20T01:00:00.000000Z"
            parted.add(lines)
        rulings = Rulings(ROWS)
        with peak_of() as peak:
            rule_on_times(parted, rulings)
            rule_on_openids(parted, rulings)

    assert np.count_nonzero(rulings.of_row == Ruling.TWO_USERS) == ROWS
    assert peak() < MOST_BYTES


def test_many_users_of_one_agreement_take_no_more_memory(tmp_path: Path) -> None:
    """The lanes of an agreement are found in batches if each row names another user."""
    found = 0
    with closing(Partitions(AGREEMENT, "agreement", tmp_path)) as parted:
        for first in range(1, ROWS + 1, CHUNK):
            lines = np.zeros(min(CHUNK, ROWS + 1 - first), AGREEMENT)
            lines["lane"][:, 0] = np.arange(first, first + len(lines))
            parted.add(lines)
        with peak_of() as peak:
            for lanes in contradicting_lanes(parted, at_once=100_000):
                found += len(lanes)

    assert found == ROWS
    assert peak() < MOST_BYTES


def test_states_of_one_object_take_no_more_memory(tmp_path: Path) -> None:
    """If all rows are states of one object, they are decided without being held."""
    rows, chunk = 100_000, 5_000
    staged_rows = staged_chunk(1, 1, mapped_of([state("A", "01"[n % 2]) for n in range(chunk)], Api.STATE))
    with closing(open_for_reading(tmp_path / "none.db")) as connection:
        runs.bind_account(connection, "zhima", "an app", 1)
        now = runs.begin(connection, NEW, 1)
        with closing(StagedStates(now, tmp_path)) as staged:
            for first in range(1, rows + 1, chunk):
                staged.add(noted_states(replace(staged_rows, first_row_no=first), {}))
            rulings = Rulings(rows)
            with peak_of() as peak:
                staged.decide(connection, rulings, lambda: None)

    assert not rulings.of_row.any()
    assert peak() < 4 << 20
