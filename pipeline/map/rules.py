"""What a job says of how its rows become payloads, and whether that can be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from zoneinfo import ZoneInfo

from pipeline.model import Api, Export

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
    """

    export: Export
    api: Api
    columns: Mapping[str, str]
    units: Mapping[str, str]
    constants: Mapping[str, str] = field(repr=False)
    timezone: ZoneInfo
    charset: str = "utf-8"
    salt: str = ""


def nearest(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean "..."?` with the nearest of the names, or nothing."""
    lowered = {known.lower(): known for known in names}
    close = get_close_matches(name.lower(), lowered, n=1, cutoff=0.7)
    return f'; did you mean "{lowered[close[0]]}"?' if close else ""
