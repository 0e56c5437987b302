"""May this content be sent under this identity? Staging and delivering ask the same functions. No SQL, no effects."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from pipeline.language import later, t
from pipeline.ledger.records import DeliveryState
from pipeline.model import Balance


@dataclass(frozen=True, slots=True)
class KnownDelivery:
    """
    What the ledger knows of a delivery.

    `successor` is the last request key that it was given instead of its own, `successor_state` the state under that
    key: None where it was not sent.
    """

    state: DeliveryState
    digest: bytes
    successor: str | None = None
    successor_state: DeliveryState | None = None


@dataclass(frozen=True, slots=True)
class Go:
    """It may be sent. `doubt`: an earlier attempt may have been applied. `before`: the state of the delivery before."""

    doubt: bool
    before: DeliveryState | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """Nothing has to be sent; `code` is the reason."""

    code: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """The identity was used with other content."""

    message: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """A row that it depends on did not succeed."""

    code: str
    message: str


Admission = Go | Skip | Conflict | Blocked


def admit(known: KnownDelivery | None, digest: bytes) -> Go | Skip | Conflict:
    """
    Decide whether content with this digest may be sent under an identity, by what the ledger knows of that.

    A refused delivery was surely not applied: its row may come back fixed, under the same key. Any other attempt fixes
    the content for good, since the platform may have seen it.
    """
    if known is None:
        return Go(doubt=False)
    if known.state is DeliveryState.REJECTED:
        return _admit_refused(known, digest)
    if known.digest != digest:
        return Conflict(t(_CONFLICTS[known.state]))
    if known.state is DeliveryState.SUCCEEDED:
        return Skip("already_succeeded")
    return Go(doubt=known.state is not DeliveryState.UNSENT, before=known.state)


def _admit_refused(known: KnownDelivery, digest: bytes) -> Go | Skip | Conflict:
    """Admit a refused key again, unless the row was given another key: both would count."""
    if known.successor is None:
        return Go(doubt=False, before=known.state)
    if known.successor_state is DeliveryState.SUCCEEDED and known.digest == digest:
        return Skip("already_succeeded")
    return Conflict(
        t(
            "the platform asked for another request key, and the row was given {successor}; rerun the run "
            "that did so, or give this row a key of its own",
            successor=known.successor,
        )
    )


_IN_DOUBT = later(
    "the request key was sent with other content and it is not known whether that was applied; rerun "
    "the run that left it unknown, then run this row again"
)
_CONFLICTS = {
    DeliveryState.SUCCEEDED: (
        later("the request key was delivered with other content; if this row is to count as well, give it another key")
    ),
    DeliveryState.UNKNOWN: _IN_DOUBT,
    DeliveryState.SENDING: _IN_DOUBT,
    DeliveryState.UNSENT: (
        later(
            "the request key was attempted with other content; rerun the run that left it unsent, or give "
            "this row another key"
        )
    ),
}


@dataclass(frozen=True, slots=True)
class Card:
    """
    What the ledger knows of a card: the balance last confirmed, and the balance last sent (`newest_*`).

    `unsettled`: a balance that was sent after the last confirmation may have been applied. `sent_at` is the first
    intent of the newest balance, in seconds since 1970; None where it is not known.
    """

    confirmed_points: int | None
    unsettled: bool
    newest_identity: str
    newest_version: str | None
    newest_position: int
    sent_at: int | None = None


@dataclass(frozen=True, slots=True)
class OtherSenders:
    """
    Other programs send balances of the same cards.

    A confirmed balance surely is what the platform has only if it was sent from `since` to `now`, in seconds since
    1970. It counts from its first intent: the platform may answer a repeat from memory, and keep what others sent.
    """

    since: int
    now: int

    @classmethod
    def at(cls, now: datetime, unchanged_for: timedelta) -> Self:
        """Return the others at a time; a balance sent less than `unchanged_for` ago is trusted."""
        # Whole seconds: the intents in the ledger have no fractions.
        return cls(int((now - unchanged_for).timestamp()) + 1, int(now.timestamp()))

    def leave(self, sent_at: int | None) -> bool:
        """Return whether what was sent then surely is what the platform has. A time that is not known is not."""
        return sent_at is not None and self.since <= sent_at <= self.now


def is_overtaken(balance: Balance, position: int, identity: str, card: Card | None) -> bool:
    """Return whether a newer balance of this card was sent: by time of change if both have one, else by position."""
    if card is None or card.newest_identity == identity:
        return False
    if balance.version is not None and card.newest_version is not None and balance.version != card.newest_version:
        return balance.version < card.newest_version
    return position < card.newest_position


def is_unchanged(balance: Balance, card: Card | None, others: OtherSenders | None = None) -> bool:
    """Return whether the platform surely has this balance already."""
    if card is None or (others is not None and not others.leave(card.sent_at)):
        return False
    return not card.unsettled and card.confirmed_points == balance.points
