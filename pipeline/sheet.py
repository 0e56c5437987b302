"""What the rows of a chunk became: what mapping gives and the ledger takes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.model import Api, BadRow, Balance, Invalid, Mapped, Payload


@dataclass(frozen=True, slots=True)
class Sheet:
    """
    What the rows of a chunk became, columns side by side: the entries at one place are about the same row.

    A row of exactly one payload has its parts in the columns; its digest is that of its body, and a balance is parted
    in card, points and version. All other rows have None there, and `others` says by place what they are: several
    payloads, what is wrong, or the record that could not be read. `cells` gives the cells of the row at a place.
    """

    api: Api
    numbers: range
    request_keys: Sequence[str | None] = field(repr=False)
    identities: Sequence[str | None] = field(repr=False)
    bodies: Sequence[bytes | None] = field(repr=False)
    digests: Sequence[bytes | None] = field(repr=False)
    lanes: Sequence[bytes | None] = field(repr=False)
    refunds_of: Sequence[str | None] = field(repr=False)
    cards: Sequence[bytes | None] = field(repr=False)
    points: Sequence[int | None] = field(repr=False)
    versions: Sequence[str | None] = field(repr=False)
    keys_are_derived: Sequence[bool | None] = field(repr=False)
    others: Mapping[int, Mapped | BadRow] = field(repr=False)
    cells: Callable[[int], tuple[str | None, ...]] = field(repr=False)

    def __len__(self) -> int:
        return len(self.numbers)

    def count_invalid(self) -> int:
        """Return how many rows can't be sent."""
        return sum(isinstance(other, Invalid | BadRow) for other in self.others.values())

    def at(self, place: int) -> Mapped | BadRow:
        """Return what one row became."""
        other = self.others.get(place)
        if other is not None:
            return other
        key, identity = self.request_keys[place], self.identities[place]
        body, lane = self.bodies[place], self.lanes[place]
        if key is None or identity is None or body is None or lane is None:
            raise ValueError("a sheet says of each row what it became")
        is_derived = bool(self.keys_are_derived[place])
        return (Payload(self.api, key, identity, body, lane, self.refunds_of[place], self._balance(place), is_derived),)

    def _balance(self, place: int) -> Balance | None:
        card, points = self.cards[place], self.points[place]
        return None if card is None or points is None else Balance(card, points, self.versions[place])
