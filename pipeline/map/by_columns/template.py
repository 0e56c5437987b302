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
TextColumns = Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class InvalidRows:
    """Invalid rows with the same faults in all of them."""

    faults: tuple[Fault, ...]
    request_key: Pieces | None

    def filled_with(self) -> Set[str]:
        """Return the names of the gaps in the request key."""
        return set(gaps_of(self.request_key or ()))


@dataclass(frozen=True, slots=True)
class Template:
    """
    Rows of one payload each.

    - `texts`: body, request key and identity, and those that the payload has of `refund_of`, points, version,
      agreement and openid
    - `lane`: the parts that the lane is hashed from
    - `made_of`: the parts that the request key is hashed from; empty if it is not derived
    """

    texts: Mapping[str, Pieces] = field(repr=False)
    lane: tuple[Pieces, ...] = field(repr=False)
    made_of: tuple[Pieces, ...] = field(repr=False)

    def filled_with(self) -> Set[str]:
        """Return the names of all gaps."""
        return {name for pieces in (*self.texts.values(), *self.lane, *self.made_of) for name in gaps_of(pieces)}

    def render(self, texts: TextColumns, count: int) -> dict[str, Column]:
        """Return the payload columns of `count` alike rows with these texts in the gaps."""
        if self.made_of:
            made = digests_of_parts(_parts(self.made_of, texts), count)
            texts = {**texts, DERIVED_NUMBER: written(made)}
        unlike = {pieces: filled(pieces, texts, count) for pieces in set(self.texts.values())}
        columns = {name: unlike[pieces] for name, pieces in self.texts.items()}
        columns["body"] = columns["body"].cast(pa.binary())
        columns["lane"] = digests_of_parts(_parts(self.lane, texts), count)
        columns["key_is_derived"] = pa.repeat(bool(self.made_of), count)
        if not self.made_of:
            columns["digest"] = digests_of_parts([columns["body"]], count)
        if "points" in columns:
            columns["card"] = columns["lane"]
            columns["points"] = columns["points"].cast(pa.int64())
        return columns

    def refunds_of_themselves(self, texts: TextColumns, count: int) -> Mask | None:
        """Return the mask of rows that refund themselves, which is a fault; None if there is none."""
        if "refund_of" not in self.texts:
            return None
        same = pc.equal(*(filled(self.texts[name], texts, count) for name in ("refund_of", "request_key")))
        found: Mask = same.to_numpy(zero_copy_only=False)
        return found if found.any() else None


def filled(pieces: Pieces, texts: TextColumns, count: int) -> Column:
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


def _parts(several: Sequence[Pieces], texts: TextColumns) -> list[Column | str]:
    return [texts[pieces[1]] if is_one_gap(pieces) else pieces[0] for pieces in several]
