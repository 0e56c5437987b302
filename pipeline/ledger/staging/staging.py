"""`Staging`: collects the chunks of a run until all inputs are read, then finds what only all rows together show."""

import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from pipeline.language import t
from pipeline.ledger.records import RunRecord
from pipeline.ledger.rules.admission import Conflict, OtherSenders, Skip, admit
from pipeline.ledger.rules.known_deliveries import KnownDeliveries, known_deliveries_among
from pipeline.ledger.rules.tasks import COUNTED_OTHERWISE, sent_otherwise
from pipeline.ledger.staging.duplicates.find import NO_NOTES, DuplicateFinder, Duplicates, Notes, notes_of
from pipeline.ledger.staging.recognition import Recognition
from pipeline.ledger.staging.refunds import Retarget, follow_payments
from pipeline.ledger.staging.staged_chunk import RowDecision, StagedChunk, staged_chunk
from pipeline.ledger.staging.states import NotedState, StagedStates, noted_states
from pipeline.ledger.staging.unchanged_balances import Unchanged, find_unchanged
from pipeline.ledger.store.lease import IsGone
from pipeline.ledger.store.port import Connection
from pipeline.ledger.store.spill_file import SpillFile
from pipeline.model import Api, Export
from pipeline.tables.mapped_chunk import USERS, MappedChunk

# Bytes of waiting chunks that are kept in memory.
_MEMORY_BYTES = 8 << 20
# Rows that stay open: their cells are kept for the person who fixes them.
_OPEN = (RowDecision.DUE, RowDecision.INVALID)


@dataclass(frozen=True, slots=True)
class Findings:
    """What only all rows of a run together show; and `others`, if others send balances too."""

    duplicates: Duplicates
    unchanged: Unchanged | None = None
    states: StagedStates | None = None
    others: OtherSenders | None = None

    def apply(self, connection: Connection, run: RunRecord, chunk: StagedChunk) -> None:
        """Write into a chunk what was found about its rows, where it still holds."""
        self.duplicates.apply(chunk)
        if self.unchanged is not None:
            self.unchanged.apply(connection, run, chunk)
        if self.states is not None:
            self.states.apply(chunk)


@dataclass(frozen=True, slots=True)
class Prepared:
    """
    A chunk that waits until all inputs are read, and what is noted of its rows.

    `invalid` counts its invalid rows; `states` are its rows if they are states.
    """

    chunk: StagedChunk
    notes: Notes
    states: Sequence[NotedState] = field(repr=False)
    invalid: int


class ChunkStager:
    """
    Decides on the rows of one chunk after another, as far as other rows of the run do not matter.

    It keeps the cells of open rows if `keeps_cells`. `retarget` puts another payment into a refund whose payment was
    given another key. `unfixed` are fixed rows that earlier rows of the run were found to be, by position.
    """

    def __init__(
        self,
        run: RunRecord,
        retarget: Retarget,
        *,
        keeps_cells: bool = True,
        unfixed: frozenset[int] = frozenset(),
    ) -> None:
        self._run = run
        self._unfixed_before = unfixed
        self._retarget = retarget
        self._keeps_cells = keeps_cells
        self._recognition: Recognition | None = None

    @property
    def unfixed(self) -> frozenset[int]:
        """The fixed rows that the rows so far were found to be, by the position of the first row of each."""
        found = frozenset() if self._recognition is None else frozenset(self._recognition.taken.unfixed)
        return found - self._unfixed_before

    def stage(self, connection: Connection, file_no: int, first_row_no: int, mapped: MappedChunk) -> Prepared:
        """Return rows as they wait, numbered from `first_row_no` in the run. `connection` is only read."""
        chunk = staged_chunk(file_no, first_row_no, mapped)
        if self._recognition is None:
            self._recognition = Recognition(connection, self._run, self._unfixed_before)
        fixed = self._recognition.judge(connection, chunk, mapped)
        follow_payments(connection, self._run, chunk, self._retarget)
        # Balances and states are decided on once all rows of a card or object are known: if a delivered one were left
        # out here, an older one would look like the newest.
        if self._run.api is Api.CUMULATION:
            _decide_delivered(connection, self._run, chunk)
        if self._keeps_cells:
            chunk.cells.update((at, mapped.cells(at)) for at in chunk.indexes_of(*_OPEN))
        is_state = self._run.api is Api.STATE
        notes = NO_NOTES if is_state else notes_of(self._run, chunk, fixed)
        states = noted_states(chunk, fixed) if is_state else ()
        # Only the parts of due rows wait.
        waiting = replace(chunk, parts=chunk.parts.without(*USERS).take(chunk.due_parts()))
        return Prepared(waiting, notes, states, len(chunk.faults))


class WaitingChunks(Protocol):
    """The chunks of a run that wait until all inputs are read."""

    def loads(self) -> Iterator[Callable[[], StagedChunk]]:
        """Yield, for each chunk, a function that returns it as it was staged, each time anew."""
        ...

    def close(self) -> None:
        """Delete the chunks."""
        ...


class SpilledChunks:
    """Waiting chunks in memory; many of them are in a spill file in `folder`, and need not outlive a crash."""

    def __init__(self, folder: Path) -> None:
        self._spill_file = SpillFile(folder, _MEMORY_BYTES)
        self._sizes: list[int] = []

    def add(self, chunk: StagedChunk) -> None:
        """Add a chunk."""
        data = pickle.dumps(chunk, protocol=pickle.HIGHEST_PROTOCOL)
        self._spill_file.add(data)
        self._sizes.append(len(data))

    def loads(self) -> Iterator[Callable[[], StagedChunk]]:
        """Yield, for each chunk, a function that returns it as it was staged, each time anew."""
        start = 0
        for size in self._sizes:
            yield partial(self._load, start, size)
            start += size

    def _load(self, start: int, size: int) -> StagedChunk:
        data = self._spill_file.read_at(start, size)
        chunk: StagedChunk = pickle.loads(data)  # noqa: S301 - written by this very process, nobody else can
        return chunk

    def close(self) -> None:
        """Delete the chunks."""
        self._spill_file.close()


class Staging:
    """
    The chunks of one run, before they are decided on.

    They wait until all inputs are read: only then the first row of a key and the newest balance of a card are known.
    What is noted of their rows is kept in `folder`.
    """

    def __init__(self, run: RunRecord, folder: Path, waiting: WaitingChunks) -> None:
        self._run = run
        self._waiting = waiting
        self._rows = 0
        self._finder = DuplicateFinder(run, folder)
        self._states = StagedStates(run, folder) if run.api is Api.STATE else None

    def note(self, notes: Notes, states: Sequence[NotedState], rows: int, moved: int = 0) -> None:
        """Note a chunk of so many rows, which are numbered `moved` more in the run than in the notes."""
        if self._states is None:
            self._finder.add(notes.moved(moved) if moved else notes)
        else:
            self._states.add(states, moved)
        self._rows += rows

    def findings(
        self,
        connection: Connection,
        heartbeat: Callable[[], None],
        *,
        is_gone: IsGone,
        others: OtherSenders | None = None,
    ) -> Findings:
        """
        Return what only all rows together show; `connection` is only read.

        `heartbeat` is called now and then; `is_gone` says whether the owner of a lease is dead. `others` are other
        senders of balances.
        """
        duplicates = self._finder.find(self._rows, self)
        heartbeat()
        if self._states is not None:
            self._states.decide(connection, duplicates.rulings, heartbeat)
        if not self._run.api.sends_balances:
            return Findings(duplicates, states=self._states)
        unchanged = find_unchanged(
            connection, self._run, self._finder.balances, self._rows, heartbeat, is_gone=is_gone, others=others
        )
        return Findings(duplicates, unchanged, others=others)

    def __iter__(self) -> Iterator[StagedChunk]:
        return (load() for load in self.loads())

    def loads(self) -> Iterator[Callable[[], StagedChunk]]:
        """Yield, for each chunk, a function that returns it as it was staged, each time anew."""
        return self._waiting.loads()

    def close(self) -> None:
        """Delete the chunks."""
        self._waiting.close()
        self._finder.close()
        if self._states is not None:
            self._states.close()


class LocalStaging(Staging):
    """The chunks of a run that this process stages by itself."""

    def __init__(self, run: RunRecord, folder: Path, retarget: Retarget, *, keeps_cells: bool = True) -> None:
        self._stager = ChunkStager(run, retarget, keeps_cells=keeps_cells)
        self._spilled = SpilledChunks(folder)
        super().__init__(run, folder, self._spilled)

    def add(self, connection: Connection, file_no: int, first_row_no: int, mapped: MappedChunk) -> int:
        """
        Stage rows, numbered from `first_row_no` in the run; return how many of them are invalid.

        `connection` is only read.
        """
        prepared = self._stager.stage(connection, file_no, first_row_no, mapped)
        self._spilled.add(prepared.chunk)
        self.note(prepared.notes, prepared.states, len(mapped))
        return prepared.invalid


def _decide_delivered(connection: Connection, run: RunRecord, chunk: StagedChunk) -> None:
    """Decide on rows that were delivered, or whose key was used with other content."""
    known = known_deliveries_among(connection, run, chunk.parts.values("identity"))
    for at in _sent_in_other_form(connection, run, chunk):
        chunk.refuse(at, t(COUNTED_OTHERWISE))
    if known:
        _judge_known(chunk, known)


def _judge_known(chunk: StagedChunk, known: KnownDeliveries) -> None:
    """Decide on rows that the ledger knows. A row of several parts is skipped once all of them are delivered."""
    at, identities, digests = chunk.parts.values("at"), chunk.parts.values("identity"), chunk.parts.values("digest")
    delivered = known.delivered.get
    is_done = np.array([delivered(identity) == digest for identity, digest in zip(identities, digests, strict=True)])
    for n in np.flatnonzero(~is_done).tolist():
        if identities[n] in known and chunk.decisions[at[n]] == RowDecision.DUE:
            match admit(known.known(identities[n]), digests[n]):
                case Conflict(message) if not chunk.waits_for_a_fix(at[n]):
                    chunk.refuse(at[n], message)
                case Skip():
                    is_done[n] = True
    decisions = chunk.decisions_by_row()
    is_left = np.zeros(len(decisions), np.bool_)
    is_left[chunk.parts.numbers("at")[~is_done]] = True
    decisions[~is_left & (decisions == RowDecision.DUE)] = RowDecision.ALREADY_SUCCEEDED


def _sent_in_other_form(connection: Connection, run: RunRecord, chunk: StagedChunk) -> list[int]:
    """Return the indexes of rows whose task was sent in the other form of `times`."""
    if run.export is not Export.TASKS:
        return []
    count, keys = Counter(chunk.parts.values("at")), chunk.rows.values("request_key")
    forms = {at: (keys[at] or "", parts == 1) for at, parts in count.items()}
    conflicts = sent_otherwise(connection, run, forms.values())
    return [at for at, form in forms.items() if form in conflicts]
