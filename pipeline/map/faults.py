"""What is wrong with a row, said without showing what it holds."""

from dataclasses import dataclass

from pipeline.model import Fault

MISSING = "field_missing"
TOO_LONG = "field_too_long"
INVALID = "field_invalid"
NOT_DECODABLE = "not_decodable"
RAGGED = "row_ragged"

Path = tuple[str | int, ...]

_LONGEST_MESSAGE = 1000


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


@dataclass(frozen=True, slots=True)
class Invalid:
    """
    A row that can't be sent, with all that is wrong with it.

    `request_key` is there where it could be told, so that a refund of this payment can be blocked.
    """

    faults: tuple[Fault, ...]
    request_key: str | None = None

    @property
    def code(self) -> str:
        """The code of the first fault, which the outcome bears."""
        return self.faults[0].code

    @property
    def message(self) -> str:
        """What all faults say, cut where it gets long."""
        text = "; ".join(fault.message for fault in self.faults)
        return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 4] + " ..."
