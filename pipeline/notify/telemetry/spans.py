"""The phases of a run with their times, as the spans of its trace."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Span:
    """A phase of a run, from its begin to its end."""

    name: str
    begin: datetime
    end: datetime


def spans_of(entered: Sequence[tuple[str, datetime]], end: datetime) -> list[Span]:
    """Return the spans of the phases that a run entered, each until the next one; the last one until `end`."""
    return [Span(name, begin, until) for (name, begin), (_, until) in pairwise([*entered, ("", end)])]
