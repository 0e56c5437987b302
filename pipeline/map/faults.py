"""What is wrong with a row, said without showing what it holds."""

from dataclasses import dataclass

MISSING = "field_missing"
TOO_LONG = "field_too_long"
INVALID = "field_invalid"
NOT_DECODABLE = "not_decodable"
RAGGED = "row_ragged"
ROUNDED = "id_rounded"
OUT_OF_RANGE = "time_out_of_range"

Path = tuple[str | int, ...]


class Unreadable(ValueError):
    """
    A text is not what its field holds.

    `words` say what it is not, and never what it is; `rule` is the short name of the rule that it breaks.
    """

    def __init__(self, words: str, rule: str, code: str = INVALID) -> None:
        self.words = words
        self.rule = rule
        self.code = code
        super().__init__(words)


@dataclass(frozen=True, slots=True)
class Breach:
    """
    One broken rule: where, in words of ours, since those of a validator hold the value, and by its short name.

    `path` leads to the value at fault; it is empty where a rule between fields is broken.
    """

    code: str
    path: Path
    words: str
    rule: str
