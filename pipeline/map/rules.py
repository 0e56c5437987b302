"""The mapping rules of a job."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from zoneinfo import ZoneInfo

from pipeline.language import t
from pipeline.model import NULL_WORDS, Api, Export

UNITS = ("yuan", "fen")


@dataclass(frozen=True, slots=True)
class MappingRules:
    """
    How the rows of one job become payloads.

    - `columns`: the export's column of a field, if it does not have the field's own name.
    - `units`: the unit of an amount, `yuan` or `fen`.
    - `constants`: texts of every row. A constant replaces a column that only has the field's name.
    - `timezone`: the zone of times without an offset.
    - `charset`: the encoding of the request. A text that it can't encode is a fault.
    - `formats`: forms of a field's times, beside the built-in ones.
    - `null_values`: texts that mean no value.
    - `sends_suspicious_ids`: send ids that look rounded instead of refusing them.
    - `now`: the moment of mapping, which limits times; None for no limit.
    - `values`: meanings of words, by field and word.
    - `defaults`: texts of fields with empty cells.
    - `filter`: the texts of wanted rows, by column.
    - `salt`: part of each derived request number, so that a new salt gives new numbers.
    - `brand_id`: the brand of a brand's own account. Rows without a brand are of this one; a row of another is a fault.
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
    brand_id: str | None = None


def nearest(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean "..."?` with the nearest of the names, or nothing."""
    lowered = {known.lower(): known for known in names}
    close = get_close_matches(name.lower(), lowered, n=1, cutoff=0.7)
    return t('; did you mean "{meant}"?', meant=lowered[close[0]]) if close else ""
