"""The same duplicates are found whether a partition comes in one table or in several."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ledger.staging.duplicates.deduplicate import (
    contradicting_lanes,
    rule_on_cards,
    rule_on_contents,
    rule_on_forms,
    rule_on_keys,
    rule_on_openids,
    rule_on_parts,
    rule_on_times,
)
from pipeline.ledger.staging.duplicates.find import AGREEMENT, BALANCE, PART, TASK
from pipeline.ledger.staging.duplicates.partitions import EntryTable
from pipeline.ledger.staging.duplicates.rulings import Rulings

Rule = Callable[[list[list[EntryTable]], Rulings], object]

# Few hashes, so that they collide; some share their first half.
hashes = st.sampled_from([(1, 1), (1, 2), (7, 1)])
parts = st.tuples(hashes, hashes)
tasks = st.tuples(hashes, st.booleans())
times = st.sampled_from([b"", b"2025-11-20", b"2025-11-21"])
# 0 is the user of a balance that was delivered instead of a row.
openids = st.sampled_from([0, 1, 2])
balances = st.tuples(hashes, hashes, times, openids, st.booleans())
users = st.tuples(hashes, hashes)


def part_entries(drawn: Sequence[tuple[tuple[int, int], tuple[int, int]]]) -> EntryTable:
    """Return a part for each row."""
    return np.array([(*each, n, 0, 1) for n, each in enumerate(drawn, 1)], PART)


def entries_of_several_parts(drawn: Sequence[tuple[tuple[int, int], tuple[int, int]]]) -> EntryTable:
    """Return two parts for each row; the last row may have one."""
    of_row = [(n // 2 + 1, n % 2, 2 - (n == len(drawn) - 1 and n % 2 == 0)) for n in range(len(drawn))]
    # The parts of one row have different keys.
    keys = [
        ((first, 2 * second + part), digest)
        for ((first, second), digest), (_, part, _) in zip(drawn, of_row, strict=True)
    ]
    return np.array([(*each, *place) for each, place in zip(keys, of_row, strict=True)], PART)


def task_entries(drawn: Sequence[tuple[tuple[int, int], bool]]) -> EntryTable:
    return np.array([(key, n, is_one) for n, (key, is_one) in enumerate(drawn, 1)], TASK)


def balance_entries(drawn: Sequence[tuple[tuple[int, int], tuple[int, int], bytes, int, bool]]) -> EntryTable:
    return np.array([(*each[:3], n, 0, *each[3:]) for n, each in enumerate(drawn, 1)], BALANCE)


def agreement_entries(drawn: Sequence[tuple[tuple[int, int], tuple[int, int]]]) -> EntryTable:
    return np.array([(agreement[:1], lane[:1]) for agreement, lane in drawn], AGREEMENT)


def lanes_of_several_users(tables: list[list[EntryTable]], _rulings: Rulings) -> set[int]:
    return {lane for lanes in contradicting_lanes(tables) for lane in lanes.tolist()}


@pytest.mark.parametrize(
    ("drawn", "made", "rule"),
    [
        pytest.param(parts, part_entries, rule_on_keys, id="keys"),
        pytest.param(parts, part_entries, rule_on_contents, id="contents"),
        pytest.param(tasks, task_entries, rule_on_forms, id="forms-of-tasks"),
        pytest.param(balances, balance_entries, rule_on_cards, id="cards"),
        pytest.param(balances, balance_entries, rule_on_times, id="times-of-cards"),
        pytest.param(balances, balance_entries, rule_on_openids, id="users-of-cards"),
        pytest.param(users, agreement_entries, lanes_of_several_users, id="users-of-agreements"),
        pytest.param(
            parts,
            entries_of_several_parts,
            lambda tables, rulings: rule_on_parts(tables, rulings, 100).tolist(),
            id="parts-of-tasks",
        ),
    ],
)
@given(data=st.data())
def test_a_partition_in_several_tables_is_ruled_on_as_one(
    drawn: st.SearchStrategy[object], made: Callable[[list[object]], EntryTable], rule: Rule, data: st.DataObject
) -> None:
    """Where a partition comes in several tables, the same rows are left out for the same reasons."""
    entries = made(data.draw(st.lists(drawn, min_size=1, max_size=12)))
    size = data.draw(st.integers(1, len(entries)))
    whole, in_pieces = Rulings(len(entries)), Rulings(len(entries))

    at_once = rule([[entries]], whole)
    piece_by_piece = rule([[entries[start : start + size] for start in range(0, len(entries), size)]], in_pieces)

    assert in_pieces.of_row.tolist() == whole.of_row.tolist()
    assert piece_by_piece == at_once
