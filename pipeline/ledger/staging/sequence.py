"""
Which states of one object a run sends, by its own rows and what the ledger knows of the object. No effects.

A run that tells again what was told before, and maybe more, tells the same states: where the first rows of an object
are the last states of its history, these rows stand for them. All rows behind them are new.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from pipeline.ledger.records import DeliveryState
from pipeline.ledger.rules.objects import KnownState, NewestState
from pipeline.ledger.staging.duplicates.rulings import Ruling

_PRIME = (1 << 127) - 1
_BASE = 0x1E3779B97F4A7C15F39CC0605CEDC835


class StagedState(NamedTuple):
    """A row's state: when it changed, or nothing, and its digest; and the last row behind it that says the same."""

    row_no: int
    version: str
    digest: bytes
    last_row_no: int = 0


class History(Protocol):
    """The states that an object had, or that some run has still to send."""

    def newest_first(self) -> Iterator[KnownState]:
        """Yield them from the last to the first."""
        ...

    def last(self, count: int, *, only_applied: bool) -> Iterator[KnownState]:
        """Yield so many, the last ones, from the first to the last; only those that may be applied, where asked for."""
        ...


class Correction(NamedTuple):
    """What a row's state is known by: the identity that it has in the ledger, if any, and when and where it is last."""

    row_no: int
    identity: str | None
    version: str
    last_row_no: int


Rule = Callable[[int, Ruling], None]


class Sequence:
    """
    The states that a run tells of one object, in the order in which they are to be sent.

    `told` can be gone through several times; `rule` takes what is found about a row.
    """

    def __init__(self, reported: Iterable[StagedState], history: History, held: NewestState | None, rule: Rule) -> None:
        self._reported = reported
        self._history = history
        self._held = held
        self._rule = rule

    def decide(self) -> Iterator[Correction]:
        """Rule on the rows that are not sent, and yield what else is to be known of any."""
        known, last_applied = self._known()
        for at, state in enumerate(self._steps()):
            earlier, identity = next(known, None), None
            if earlier is not None:
                self._rule_as_known(state, earlier, at - last_applied)
                identity = earlier.identity
            elif at == 0 and self._held is not None and self._is_held(state):
                self._rule(state.row_no, Ruling.UNCHANGED)
                identity = self._held.identity
            if identity is not None or state.last_row_no:
                yield Correction(state.row_no, identity, state.version, state.last_row_no or state.row_no)

    def _steps(self) -> Iterator[StagedState]:
        """Yield the rows that differ from the one before, but for those older than what the platform holds."""
        since = (self._held.confirmed_version if self._held else None) or ""
        last: StagedState | None = None
        for state in self._reported:
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
        """Return the states that the first rows stand for, and the place of the last of them that may be applied."""
        whole = self._overlap(self._history.newest_first())
        applied = self._overlap(earlier for earlier in self._history.newest_first() if earlier.may_be_applied)
        if applied > whole:
            # What was refused, or never sent, may be gone from the export.
            return self._history.last(applied, only_applied=True), applied - 1
        behind = next((n for n, earlier in enumerate(self._history.newest_first()) if earlier.may_be_applied), whole)
        return self._history.last(whole, only_applied=False), whole - 1 - behind

    def _overlap(self, newest_first: Iterable[KnownState]) -> int:
        reported = (_number(state.digest, state.version) for state in self._steps())
        return overlap(reported, (_number(earlier.digest, earlier.version) for earlier in newest_first))

    def _rule_as_known(self, state: StagedState, earlier: KnownState, after_applied: int) -> None:
        """Rule on a row that is a state of the past, so far behind the last one that may be applied."""
        if earlier.delivery is DeliveryState.SUCCEEDED:
            self._rule(state.row_no, Ruling.DELIVERED if after_applied < 0 else Ruling.UNCHANGED)
        elif after_applied < 0 and not earlier.may_be_applied:
            self._rule(state.row_no, Ruling.SUPERSEDED)

    def _is_held(self, state: StagedState) -> bool:
        held = self._held
        return held is not None and not held.unsettled and held.confirmed == state.digest


def _number(digest: bytes, version: str) -> int:
    return int.from_bytes(digest, "big") ^ hash(version)


def overlap(reported: Iterable[int], newest_first: Iterable[int]) -> int:
    """
    Return how many numbers at most are the first ones that are told and, in the same order, the last ones of the past.

    Both sides are hashed step by step, so that neither has to be held.
    """
    most = first = last = 0
    power = 1
    # The past first: where there is none, nothing is looked at.
    for count, (earlier, number) in enumerate(zip(newest_first, reported, strict=False), 1):
        first = (first * _BASE + number) % _PRIME
        last = (earlier * power + last) % _PRIME
        power = power * _BASE % _PRIME
        if first == last:
            most = count
    return most
