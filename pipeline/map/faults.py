"""What is wrong with a row, said without showing what it holds."""

from dataclasses import dataclass

MISSING = "field_missing"
TOO_LONG = "field_too_long"
INVALID = "field_invalid"
NOT_DECODABLE = "not_decodable"
RAGGED = "row_ragged"

Path = tuple[str | int, ...]


class Unreadable(ValueError):
    """A text is not what its field holds; `rule` says what it is not, and never what it is."""

    def __init__(self, rule: str) -> None:
        self.rule = rule
        super().__init__(rule)


@dataclass(frozen=True, slots=True)
class Breach:
    """
    One broken rule: where, and in words of ours, since those of a validator hold the value.

    `path` leads to the value at fault; it is empty where a rule between fields is broken.
    """

    code: str
    path: Path
    rule: str
