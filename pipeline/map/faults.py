"""Faults of a row, described without the row's values."""

from dataclasses import dataclass

MISSING = "field_missing"
TOO_LONG = "field_too_long"
INVALID = "field_invalid"
NOT_DECODABLE = "not_decodable"
RAGGED = "row_ragged"
ROUNDED = "id_rounded"
OUT_OF_RANGE = "time_out_of_range"

FieldPath = tuple[str | int, ...]


class Unreadable(ValueError):
    """
    A text is not valid for its field.

    `words` say which rule it breaks, without the text itself; `rule` is the rule's short name.
    """

    def __init__(self, words: str, rule: str, code: str = INVALID) -> None:
        self.words = words
        self.rule = rule
        self.code = code
        super().__init__(words)


@dataclass(frozen=True, slots=True)
class Breach:
    """
    One broken rule: its code, the path to the faulty value, our words for it, and its short name.

    The validator's own message is not used, because it shows the value. `path` is empty for a rule between fields.
    """

    code: str
    path: FieldPath
    words: str
    rule: str
