"""What a job says of how its rows become payloads, and whether that can be."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from zoneinfo import ZoneInfo

from pipeline.model import NULL_WORDS, Api, Export

UNITS = ("yuan", "fen")


@dataclass(frozen=True, slots=True)
class MappingRules:
    """
    How the rows of one job become payloads.

    `columns` names the export's column for a field, where it does not bear the field's own name; `units` says in
    what an amount is written; `constants` are texts, as if a column held them in every row, and win over a column
    that merely bears the field's name. Times without an offset are in `timezone`. `charset` is what the request
    will be encoded in: a text that it can't carry is a fault. `salt` goes into each request number that is made from
    a row of points: the same row gives another number under another one.

    `formats` are the forms of a field's times beside the built-in ones; `null_values` the words for `no value`. Ids
    that look rounded are refused unless `sends_suspicious_ids`. `now` is the moment of mapping, None where it does
    not matter.

    `values` are the meanings of words, by field and word; `defaults` the texts of fields whose cells are empty;
    `filter` the texts that a wanted row has, by column.
    """

    export: Export
    api: Api
    columns: Mapping[str, str]
    units: Mapping[str, str]
    constants: Mapping[str, str] = field(repr=False)
    timezone: ZoneInfo
    charset: str = "utf-8"
    formats: Mapping[str, Sequence[str]] = field(default_factory=dict)
    null_values: frozenset[str] = frozenset(NULL_WORDS)
    sends_suspicious_ids: bool = False
    now: datetime | None = None
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    defaults: Mapping[str, str] = field(default_factory=dict, repr=False)
    filter: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    salt: str = ""


def nearest(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean "..."?` with the nearest of the names, or nothing."""
    lowered = {known.lower(): known for known in names}
    close = get_close_matches(name.lower(), lowered, n=1, cutoff=0.7)
    return f'; did you mean "{lowered[close[0]]}"?' if close else ""
