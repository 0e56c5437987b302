"""Taking in what was read and mapped: what the ledger knows of each row already, and what waits to be decided."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.ledger.records import RunRecord
from pipeline.ledger.rules.admission import Conflict, Skip, admit
from pipeline.ledger.rules.known_deliveries import KnownDeliveries, known_deliveries_among
from pipeline.ledger.rules.tasks import COUNTED_OTHERWISE, sent_otherwise
from pipeline.ledger.staging.duplicates.find import DuplicateFinder, Duplicates
from pipeline.ledger.staging.recognised import Recognition
from pipeline.ledger.staging.refunds import Retarget, follow_payments
from pipeline.ledger.staging.staged_chunk import Fate, StagedChunk, staged_chunk
from pipeline.ledger.staging.states import StagedStates
from pipeline.ledger.staging.unchanged import Unchanged, find_unchanged
from pipeline.ledger.staging.waiting_chunks import ChunkSpill
from pipeline.ledger.store.lease import IsGone
from pipeline.model import Api, Export
from pipeline.tables.mapped_chunk import MappedChunk

# Whoever mends such a row, or looks why it is open, has to see it.
_OPEN = (Fate.DUE, Fate.INVALID)


@dataclass(frozen=True, slots=True)
class Findings:
    """What can be said of rows only once all of them are read."""

    duplicates: Duplicates
    unchanged: Unchanged | None = None
    states: StagedStates | None = None

    def apply(self, connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk) -> None:
        """Write into a leaf what was found about its rows, as far as that still holds."""
        self.duplicates.apply(chunk)
        if self.unchanged is not None:
            self.unchanged.apply(connection, run, chunk)
        if self.states is not None:
            self.states.apply(chunk)


class Staging:
    """
    The rows of one run on their way into the ledger.

    They wait aside until all inputs are read: which row is the first of its key, or the newest of its card, is known
    only then. `folder` is where they wait when they are many, with their cells only where these are to be kept;
    `retarget` puts another payment into a refund, where that was given another key.
    """

    def __init__(self, run: RunRecord, folder: Path, retarget: Retarget, *, keeps_cells: bool = True) -> None:
        self._run = run
        self._retarget = retarget
        self._keeps_cells = keeps_cells
        self._chunk_spill = ChunkSpill(folder)
        self._rows = 0
        self._finder = DuplicateFinder(run, folder)
        self._states = StagedStates(run, folder) if run.api is Api.STATE else None
        self._recognition: Recognition | None = None

    def add(self, connection: sqlite3.Connection, file_no: int, first_row_no: int, mapped: MappedChunk) -> int:
        """
        Take in rows, numbered from `first_row_no` in the run; return how many of them are invalid.

        `connection` is only read.
        """
        chunk = staged_chunk(file_no, first_row_no, mapped)
        if self._recognition is None:
            self._recognition = Recognition(connection, self._run)
        fixed = self._recognition.recognise(connection, chunk, mapped)
        follow_payments(connection, self._run, chunk, self._retarget)
        # A balance is decided on when the newest of its card is known, and a state when all of its object are: were one
        # left out here as delivered, an older one would seem the newest.
        if self._run.api is Api.CUMULATION:
            _leave_out_delivered(connection, self._run, chunk)
        if self._keeps_cells:
            chunk.cells.update((at, mapped.cells(at)) for at in chunk.places_of(*_OPEN))
        if self._states is None:
            self._finder.note(chunk)
            self._finder.note_fixed(chunk, fixed)
        else:
            self._states.note(chunk, fixed)
        self._chunk_spill.add(chunk.decided())
        self._rows = first_row_no - 1 + len(chunk.fates)
        return len(chunk.faults)

    def findings(self, connection: sqlite3.Connection, keep_up: Callable[[], None], *, is_gone: IsGone) -> Findings:
        """
        Return what can be said of the rows at once; `connection` is only read.

        `keep_up` is called now and then, `is_gone` tells whether the holder of a job is dead.
        """
        duplicates = self._finder.find(self._rows, self._chunk_spill)
        keep_up()
        if self._states is not None:
            self._states.decide(connection, duplicates.rulings, keep_up)
        if self._run.api is not Api.POINTS:
            return Findings(duplicates, states=self._states)
        unchanged = find_unchanged(connection, self._run, self._finder.balances, self._rows, keep_up, is_gone=is_gone)
        return Findings(duplicates, unchanged)

    def __iter__(self) -> Iterator[StagedChunk]:
        return iter(self._chunk_spill)

    def close(self) -> None:
        """Forget the rows."""
        self._chunk_spill.close()
        self._finder.close()
        if self._states is not None:
            self._states.close()


def _leave_out_delivered(connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk) -> None:
    earlier = known_deliveries_among(connection, run, chunk.parts.values("identity"))
    for at in _sent_otherwise(connection, run, chunk):
        chunk.refuse(at, COUNTED_OTHERWISE)
    if earlier:
        _judge_known(chunk, earlier)


def _judge_known(chunk: StagedChunk, earlier: KnownDeliveries) -> None:
    """Decide on rows of which the ledger knows; a row of several parts is left out once all of them are delivered."""
    at, identities, digests = chunk.parts.values("at"), chunk.parts.values("identity"), chunk.parts.values("digest")
    delivered = earlier.delivered.get
    is_done = np.array([delivered(identity) == digest for identity, digest in zip(identities, digests, strict=True)])
    for n in np.flatnonzero(~is_done).tolist():
        if identities[n] in earlier and chunk.fates[at[n]] == Fate.DUE:
            match admit(earlier.known(identities[n]), digests[n]):
                case Conflict(message) if not chunk.waits_for_a_fix(at[n]):
                    chunk.refuse(at[n], message)
                case Skip():
                    is_done[n] = True
    fates = chunk.fates_by_row()
    is_left = np.zeros(len(fates), np.bool_)
    is_left[chunk.parts.numbers("at")[~is_done]] = True
    fates[~is_left & (fates == Fate.DUE)] = Fate.ALREADY_SUCCEEDED


def _sent_otherwise(connection: sqlite3.Connection, run: RunRecord, chunk: StagedChunk) -> list[int]:
    """Return the places of rows whose task went out in the other form of `times`."""
    if run.export is not Export.TASKS:
        return []
    count, keys = Counter(chunk.parts.values("at")), chunk.rows.values("request_key")
    forms = {at: (keys[at] or "", parts == 1) for at, parts in count.items()}
    conflicts = sent_otherwise(connection, run, forms.values())
    return [at for at, form in forms.items() if form in conflicts]
