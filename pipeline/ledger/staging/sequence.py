"""
Which states of one object a run sends, from the run's rows and the object's history. No effects.

An export that repeats states, and maybe adds some, has the same states: if its first rows are the last states of the
history, the rows stand for those. All later rows are new. The first row may have another time of change than its state:
where it says again what the platform has, it is not sent, and the history keeps the earlier time.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from pipeline.ledger.records import DeliveryState
from pipeline.ledger.rules.objects import KnownState, NewestState
from pipeline.ledger.staging.duplicates.rulings import Ruling

# A prime, and a base below it, of the hash in `overlap`.
_PRIME = (1 << 127) - 1
_BASE = 0x1E3779B97F4A7C15F39CC0605CEDC835


class StagedState(NamedTuple):
    """A row's state: its time of change or "", its digest, and the last following row that says the same, or 0."""

    row_no: int
    version: str
    digest: bytes
    last_row_no: int = 0


class Correction(NamedTuple):
    """The identity that the ledger has for a row's state, if any; its time of change, and the last row that says so."""

    row_no: int
    identity: str | None
    version: str
    last_row_no: int


class Sequence:
    """
    The states that a run has of one object, in the order in which they are sent.

    `rows` reads the run's rows, `newest_first` the object's history backwards: the states that it had, or that a run is
    still to send. `newest` is the newest state that the ledger knows of the object; `rule` takes what is found about a
    row.
    """

    def __init__(
        self,
        rows: Callable[[], Iterable[StagedState]],
        newest_first: Callable[[], Iterator[KnownState]],
        newest: NewestState | None,
        rule: Callable[[int, Ruling], None],
    ) -> None:
        self._rows = rows
        self._newest_first = newest_first
        self._newest = newest
        self._rule = rule

    def decide(self) -> Iterator[Correction]:
        """Rule on the rows that are not sent; yield corrections of rows whose state has an identity or repeats."""
        known, last_applied = self._known()
        for at, state in enumerate(self._changes()):
            past, identity = next(known, None), None
            if past is not None:
                self._rule_as_known(state, past, at - last_applied)
                identity = past.identity
            elif at == 0 and self._newest is not None and self._newest.is_confirmed(state.digest):
                self._rule(state.row_no, Ruling.UNCHANGED)
                identity = self._newest.identity
            if identity is not None or state.last_row_no:
                yield Correction(state.row_no, identity, state.version, state.last_row_no or state.row_no)

    def _changes(self) -> Iterator[StagedState]:
        """Yield the rows that differ from the row before, without those older than the last confirmed state."""
        since = (self._newest.confirmed_version if self._newest else None) or ""
        last: StagedState | None = None
        for state in self._rows():
            if state.version and state.version < since:
                self._rule(state.row_no, Ruling.SUPERSEDED)
            elif last is not None and last.digest == state.digest:
                self._rule(state.row_no, Ruling.DUPLICATE)
                last = last._replace(version=state.version, last_row_no=state.row_no)
            else:
                if last is not None:
                    yield last
                last = state
        if last is not None:
            yield last

    def _known(self) -> tuple[Iterator[KnownState], int]:
        """Return the states that the first rows stand for, and the index of the last of them that may be applied."""
        whole = self._overlap(self._newest_first())
        applied = self._overlap(self._applied())
        if applied > whole:
            # Refused states, or states that were never sent, may be missing in the export.
            return _in_order(self._applied(), applied), applied - 1
        behind = next((n for n, past in enumerate(self._newest_first()) if past.may_be_applied), whole)
        return _in_order(self._newest_first(), whole), whole - 1 - behind

    def _applied(self) -> Iterator[KnownState]:
        return (past for past in self._newest_first() if past.may_be_applied)

    def _overlap(self, newest_first: Iterable[KnownState]) -> int:
        first = next(self._changes(), None)
        if first is None:
            return 0
        # Rows without a time of change repeat states that have one. Either all rows of an object have one, or none.
        history = (
            (_number(past.digest, past.version if first.version else ""), _is_said_again(past, first))
            for past in newest_first
        )
        return overlap((_number(state.digest, state.version) for state in self._changes()), history)

    def _rule_as_known(self, state: StagedState, past: KnownState, after_applied: int) -> None:
        """Rule on a row that is a past state; `after_applied`: its distance to the last one that may be applied."""
        if past.delivery is DeliveryState.SUCCEEDED:
            self._rule(state.row_no, Ruling.DELIVERED if after_applied < 0 else Ruling.UNCHANGED)
        elif after_applied < 0 and not past.may_be_applied:
            self._rule(state.row_no, Ruling.SUPERSEDED)


def _in_order(newest_first: Iterator[KnownState], count: int) -> Iterator[KnownState]:
    """Return the last `count` states of a history that is read backwards, in order."""
    return reversed(list(islice(newest_first, count)))


def _is_said_again(past: KnownState, row: StagedState) -> bool:
    """Return whether a row says a confirmed state again, with a later time of change."""
    return past.delivery is DeliveryState.SUCCEEDED and past.digest == row.digest and past.version < row.version


def _number(digest: bytes, version: str) -> int:
    return int.from_bytes(digest, "big") ^ hash(version)


def overlap(rows: Iterable[int], newest_first: Iterable[tuple[int, bool]]) -> int:
    """
    Return the largest count for which the first numbers of `rows` are the last numbers of the past, in order.

    `newest_first` is the past backwards: each number, and whether the first row may stand for it with another number,
    if a row after it is of the past too.

    Both sides are hashed step by step, so that neither has to be in memory.
    """
    most = first = later = last = 0
    power = 1
    # The past comes first in `zip`: where there is none, no row is read.
    for count, ((past, is_said_again), number) in enumerate(zip(newest_first, rows, strict=False), 1):
        if count == 1:
            first = number
        else:
            later = (later * _BASE + number) % _PRIME
        # These are the rows after the first one, and as many states at the end of the past.
        if later == last and (past == first or (is_said_again and count > 1)):
            most = count
        last = (past * power + last) % _PRIME
        power = power * _BASE % _PRIME
    return most
