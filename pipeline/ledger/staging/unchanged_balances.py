"""
Balances that the platform surely has already, found for all rows of a run at once.

In most nights nearly all balances are unchanged. Cards are looked up in the order in which the ledger keeps them: in
the order of the export each would be read from another page. The module `balances` judges all other balances.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain

import numpy as np
import numpy.typing as npt

from pipeline.ledger.records import RunRecord
from pipeline.ledger.records import position as position_of
from pipeline.ledger.rules.admission import OtherSenders
from pipeline.ledger.rules.cards import open_cards_among, sure_balances
from pipeline.ledger.staging.duplicates.partitions import EntryTable, digests, numbers_of
from pipeline.ledger.staging.staged_chunk import RowDecision, StagedChunk
from pipeline.ledger.store.lease import IsGone, fences_of_others, is_account_in_use
from pipeline.ledger.store.port import Connection

# Cards in one query.
_CARDS_AT_ONCE = 5_000
# The columns of `sure_balances`.
_SURE_BALANCE = np.dtype([("card", "S16"), ("points", "i8"), ("version", "S32"), ("position", "i8")])


class Sure(IntEnum):
    """What is sure of a row: nothing; its balance is unchanged; or unchanged, and the export is of a later time."""

    NOTHING = 0
    UNCHANGED = 1
    UNCHANGED_LATER = 2


@dataclass(frozen=True, slots=True)
class Unchanged:
    """
    A `Sure` for each row of the run; row 1 is at index 0.

    Only a run that takes another job could change a card. `fences` are those of the other jobs: while they stay the
    same, no run has taken one, and the result holds.
    """

    sure: npt.NDArray[np.uint8]
    fences: tuple[tuple[str, int], ...]

    def apply(self, connection: Connection, run: RunRecord, chunk: StagedChunk) -> None:
        """Skip the unchanged rows of a chunk, as far as they are still due."""
        sure = self.sure[chunk.first_row_no - 1 : chunk.first_row_no - 1 + len(chunk.decisions)]
        decisions = chunk.decisions_by_row()
        found = (sure != Sure.NOTHING) & (decisions == RowDecision.DUE)
        if found.any() and fences_of_others(connection, run.job) == self.fences:
            decisions[found] = RowDecision.UNCHANGED
            later = np.flatnonzero((found & (sure == Sure.UNCHANGED_LATER))[chunk.parts.numbers("at")])
            chunk.confirmed.update(dict.fromkeys(later.tolist(), True))


def find_unchanged(
    connection: Connection,
    run: RunRecord,
    balances: Iterable[Iterable[EntryTable]],
    rows: int,
    heartbeat: Callable[[], None],
    *,
    is_gone: IsGone,
    others: OtherSenders | None = None,
) -> Unchanged:
    """
    Find the unchanged balances of a run; none while another job may send balances of the account.

    `balances` are the entries of all rows in parts by card, `rows` is the number of rows. `heartbeat` is called now
    and then; `is_gone` says whether the owner of a lease is dead. `others` are other senders of balances.
    """
    found = Unchanged(np.zeros(rows, np.uint8), fences_of_others(connection, run.job))
    if is_account_in_use(connection, run, is_gone):
        return found
    for entries in chain.from_iterable(balances):
        # A key of the export may have been used with other content: `balances` looks it up.
        derived = np.flatnonzero(entries["is_derived"])
        card = entries["card"][derived]
        derived = derived[np.lexsort((card[:, 1], card[:, 0]))]
        for start in range(0, len(derived), _CARDS_AT_ONCE):
            _judge(connection, run, entries[derived[start : start + _CARDS_AT_ONCE]], found.sure, others)
        heartbeat()
    return found


def _judge(
    connection: Connection,
    run: RunRecord,
    entries: EntryTable,
    sure: npt.NDArray[np.uint8],
    others: OtherSenders | None,
) -> None:
    card, version, row_no = entries["card"], entries["version"], entries["row_no"]
    cards = digests(card)
    known = np.array(sure_balances(connection, run, cards, others), _SURE_BALANCE)
    if not len(known):
        return
    known_cards = numbers_of(known["card"])
    # Half of a card's digest finds its line; the whole digest is compared below.
    at = np.minimum(np.searchsorted(known_cards[:, 0], card[:, 0]), len(known) - 1)
    newest = known["version"][at]
    have_versions = (version != b"") & (newest != b"") & (version != newest)
    # The same rules as `is_overtaken` and `is_unchanged`, for many balances at once.
    position = position_of(run.run_no, 0) + row_no
    is_newest = np.where(have_versions, version > newest, position > known["position"][at])
    is_equal = (known_cards[at] == card).all(axis=1) & (known["points"][at] == entries["points"])
    is_open = np.isin(card[:, 0], numbers_of(open_cards_among(connection, cards))[:, 0])
    is_unchanged = is_equal & is_newest & ~is_open
    sure[row_no[is_unchanged] - 1] = np.where(version > newest, Sure.UNCHANGED_LATER, Sure.UNCHANGED)[is_unchanged]
