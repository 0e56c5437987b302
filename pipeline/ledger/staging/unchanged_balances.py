"""
Balances that surely say what the platform holds already, found for all rows of a run at once.

Nearly all balances of a night are. Their cards are looked up in the order in which the ledger keeps them: one by one,
in the order of the export, each would be read from another place. What is not sure is left for `balances` to judge.
"""

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain

import numpy as np
import numpy.typing as npt

from pipeline.ledger.records import RunRecord
from pipeline.ledger.records import position as position_of
from pipeline.ledger.rules.known_deliveries import balances_held, open_cards_among
from pipeline.ledger.staging.duplicates.partitions import Table, digests, numbers_of
from pipeline.ledger.staging.staged_chunk import RowDecision, StagedChunk
from pipeline.ledger.store.lease import IsGone, fences_of_others, is_account_in_use

_AT_ONCE = 5_000
# As `balances_held` tells them; a version as in `repeats`.
_HELD = np.dtype([("card", "S16"), ("points", "i8"), ("version", "S32"), ("position", "i8")])


class Sure(IntEnum):
    """What is sure of a row: nothing, or that its balance is unchanged, and maybe told of a later time than before."""

    NOTHING = 0
    UNCHANGED = 1
    UNCHANGED_LATER = 2


@dataclass(frozen=True, slots=True)
class Unchanged:
    """
    What is sure of each row of the run, the first one at 0, as a `Sure`.

    Whoever changes a card holds a job: so it is true as long as no other job was taken, which `fences` tell.
    """

    sure: npt.NDArray[np.uint8]
    fences: tuple[tuple[str, int], ...]

    def apply(self, connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk) -> None:
        """Leave out the rows of a leaf that are unchanged, where nothing else is decided about them."""
        sure = self.sure[chunk.first_row_no - 1 : chunk.first_row_no - 1 + len(chunk.decisions)]
        decisions = chunk.decisions_by_row()
        found = (sure != Sure.NOTHING) & (decisions == RowDecision.DUE)
        if found.any() and fences_of_others(connection, run.job) == self.fences:
            decisions[found] = RowDecision.UNCHANGED
            later = np.flatnonzero((found & (sure == Sure.UNCHANGED_LATER))[chunk.parts.numbers("at")])
            chunk.confirmed.update(dict.fromkeys(later.tolist(), True))


def find_unchanged(
    connection: sqlite3.Connection,
    run: RunRecord,
    balances: Iterable[Iterable[Table]],
    rows: int,
    heartbeat: Callable[[], None],
    *,
    is_gone: IsGone,
) -> Unchanged:
    """
    Judge the balances of a run, parted by their cards; none while another job may send balances of the account.

    `is_gone` tells whether the holder of a job is dead, `heartbeat` is called now and then.
    """
    found = Unchanged(np.zeros(rows, np.uint8), fences_of_others(connection, run.job))
    if is_account_in_use(connection, run, is_gone):
        return found
    for entries in chain.from_iterable(balances):
        # A key of the row's own may have been used for something else.
        derived = np.flatnonzero(entries["is_derived"])
        derived = derived[np.argsort(entries["card"][derived, 0])]
        for start in range(0, len(derived), _AT_ONCE):
            _judge(connection, run, entries[derived[start : start + _AT_ONCE]], found.sure)
        heartbeat()
    return found


def _judge(connection: sqlite3.Connection, run: RunRecord, entries: Table, sure: npt.NDArray[np.uint8]) -> None:
    card, version, row_no = entries["card"], entries["version"], entries["row_no"]
    cards = digests(card)
    held = np.array(balances_held(connection, run, cards), _HELD)
    if not len(held):
        return
    of_cards = numbers_of(held["card"])
    # Two cards that begin alike are not both found, and not both left out.
    at = np.minimum(np.searchsorted(of_cards[:, 0], card[:, 0]), len(held) - 1)
    newest = held["version"][at]
    is_reported = (version != b"") & (newest != b"") & (version != newest)
    # As `is_overtaken` and `is_unchanged` say of one balance.
    position = position_of(run.run_no, 0) + row_no
    is_newest = np.where(is_reported, version > newest, position > held["position"][at])
    is_held = (of_cards[at] == card).all(axis=1) & (held["points"][at] == entries["points"])
    is_open = np.isin(card[:, 0], numbers_of(open_cards_among(connection, cards))[:, 0])
    is_unchanged = is_held & is_newest & ~is_open
    sure[row_no[is_unchanged] - 1] = np.where(version > newest, Sure.UNCHANGED_LATER, Sure.UNCHANGED)[is_unchanged]
