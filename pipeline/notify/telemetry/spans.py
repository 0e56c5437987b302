"""The phases of a run with their times, as the spans of its trace."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from pipeline.ledger.records import Phase

_NAMES: Final = {Phase.STAGING: "staging", Phase.DELIVERING: "delivering", Phase.CONCLUDED: "concluding"}


@dataclass(frozen=True, slots=True)
class Span:
    """A phase of a run, from its begin to its end."""

    name: str
    begin: datetime
    end: datetime


def spans_of(entered: Sequence[tuple[Phase, datetime]], end: datetime) -> list[Span]:
    """Return the spans of the phases that a run entered, each until the next one; the last one until `end`."""
    begins = [*((_NAMES[phase], at) for phase, at in entered), ("", end)]
    return [Span(name, begin, until) for (name, begin), (_, until) in pairwise(begins)]
