"""
Templates: the payload of rows that are alike, with a gap for each plain text.

`learner` makes a template by mapping a row of markers and cutting the result at the markers. So this code does not
depend on how a body is composed.
"""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

import pyarrow as pa

from pipeline.map.by_columns.digests import digests_of_parts, written
from pipeline.map.values.plain_texts import Mask
from pipeline.model import Fault
from pipeline.tables.text_columns import Column, joined, pc, repeated

DERIVED_NUMBER = "#"
"""The name of the gap for a request number made from the row. No field has this name."""

# Constant texts and names of gaps alternate. The first and last are constants, which may be empty.
Pieces = tuple[str, ...]
Texts = Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Invalid rows with the same faults in all of them."""

    faults: tuple[Fault, ...]
    request_key: Pieces | None

    def filled_with(self) -> Set[str]:
        """Return the names of the gaps in the request key."""
        return set(gaps_of(self.request_key or ()))


@dataclass(frozen=True, slots=True)
class Template:
    """Rows of one payload each. `made_of` are the parts that a derived request number is hashed from, if any."""

    body: Pieces = field(repr=False)
    request_key: Pieces
    identity: Pieces
    lane: tuple[Pieces, ...] = field(repr=False)
    refund_of: Pieces | None
    points: Pieces | None
    version: Pieces | None
    made_of: tuple[Pieces, ...] = field(repr=False)
    key_is_derived: bool
    agreement: Pieces | None = field(default=None, repr=False)
    openid: Pieces | None = field(default=None, repr=False)

    def filled_with(self) -> Set[str]:
        """Return the names of all gaps."""
        maybe = (self.refund_of, self.points, self.version, self.agreement, self.openid)
        every = (self.body, self.request_key, self.identity, *self.lane, *self.made_of, *filter(None, maybe))
        return {name for pieces in every for name in gaps_of(pieces)}

    def render(self, texts: Texts, count: int) -> dict[str, Column]:
        """Return the payload columns of `count` alike rows with these texts in the gaps."""
        if self.made_of:
            made = digests_of_parts(_parts(self.made_of, texts), count)
            texts = {**texts, DERIVED_NUMBER: written(made)}
        keys = filled(self.request_key, texts, count)
        bodies = filled(self.body, texts, count).cast(pa.binary())
        lanes = digests_of_parts(_parts(self.lane, texts), count)
        columns = {
            "request_key": keys,
            "identity": keys if self.identity == self.request_key else filled(self.identity, texts, count),
            "key_is_derived": pa.repeat(self.key_is_derived, count),
            "body": bodies,
            "lane": lanes,
        }
        if not self.key_is_derived:
            columns["digest"] = digests_of_parts([bodies], count)
        if self.points:
            columns["card"] = lanes
            columns["points"] = filled(self.points, texts, count).cast(pa.int64())
        return columns | self._texts_alone(texts, count)

    def _texts_alone(self, texts: Texts, count: int) -> dict[str, Column]:
        """Return the columns that are a text of each row, of those that there are."""
        several = {
            "refund_of": self.refund_of,
            "version": self.version,
            "agreement": self.agreement,
            "openid": self.openid,
        }
        return {name: filled(pieces, texts, count) for name, pieces in several.items() if pieces}

    def refunds_of_themselves(self, texts: Texts, count: int) -> Mask | None:
        """Return the mask of rows that refund themselves, which is a fault; None if there is none."""
        if self.refund_of is None:
            return None
        same = pc.equal(filled(self.refund_of, texts, count), filled(self.request_key, texts, count))
        found: Mask = same.to_numpy(zero_copy_only=False)
        return found if found.any() else None


def filled(pieces: Pieces, texts: Texts, count: int) -> Column:
    """Return the text of each row, with the row's own texts in the gaps."""
    if len(pieces) == 1:
        return repeated(pieces[0], count)
    if is_one_gap(pieces):
        return texts[pieces[1]]
    return joined(*(texts[piece] if at % 2 else piece for at, piece in enumerate(pieces) if piece))


def cut(text: str, markers: Mapping[str, str]) -> Pieces:
    """Cut a text at the markers, and replace each marker by the name of its gap."""
    if not markers:
        return (text,)
    found = re.split(f"({'|'.join(map(re.escape, markers))})", text)
    return tuple(markers[piece] if at % 2 else piece for at, piece in enumerate(found))


def gaps_of(pieces: Pieces) -> Sequence[str]:
    """Return the names of the gaps, in order."""
    return pieces[1::2]


def is_one_gap(pieces: Pieces) -> bool:
    """Return whether a text is one gap and nothing else."""
    return len(pieces) == 3 and not (pieces[0] or pieces[2])


def _parts(several: Sequence[Pieces], texts: Texts) -> list[Column | str]:
    return [texts[pieces[1]] if is_one_gap(pieces) else pieces[0] for pieces in several]
