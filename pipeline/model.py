"""The values that the whole house speaks of. Words are those of docs/glossary.md."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

UNIT_SEPARATOR = "\x1f"
"""Stands between the parts of a name; the schemas let no field hold it."""

_LONGEST_MESSAGE = 500
_ROW_LIMIT = re.compile(r"([0-9]{1,12})|([0-9]{1,3}(?:\.[0-9]{1,6})?)%")

NULL_WORDS = ("\\N", "NULL", "null", "(NULL)", "None", "nan", "NaN", "NaT", "<NA>", "#N/A")
"""The words for "no value" where a job does not list its own: of databases, Python and spreadsheets."""


class Api(StrEnum):
    """One API of a platform."""

    CUMULATION = "alipay.cumulation"
    STATE = "alipay.state"
    POINTS = "wechatpay.points"


class Export(StrEnum):
    """What an export holds."""

    ORDERS = "orders"
    TASKS = "tasks"
    POINTS = "points"
    STATES = "states"


class LaneOrder(StrEnum):
    """Which lanes go first; what the end of the night cuts off is then what matters least."""

    SOURCE = "source"
    NEWEST = "newest"


class Status(StrEnum):
    """What became of a row."""

    SUCCEEDED = "succeeded"
    SKIPPED = "skipped"
    INVALID = "invalid"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    BLOCKED = "blocked"
    UNSENT = "unsent"


@dataclass(frozen=True, slots=True)
class Wait:
    """
    What sending waits for, since when, and until when if that is known; times are steady seconds.

    Without `holds_up` sending goes on, and somebody should know of it all the same.
    """

    reason: str
    since: float
    until: float | None = None
    holds_up: bool = True


@dataclass(frozen=True, slots=True)
class RowLimit:
    """How many rows may end in some way: a number, or a share in percent."""

    number: float
    in_percent: bool = False

    @classmethod
    def parse(cls, text: str) -> "RowLimit":
        """Return what `100` or `5%` says; raise ValueError, with the rest of a sentence about the text, otherwise."""
        found = _ROW_LIMIT.fullmatch(text)
        if not found:
            raise ValueError("is neither a number such as 100 nor a share such as 5%")
        number, in_percent = float(found[1] or found[2]), found[2] is not None
        if in_percent and number > 100:
            raise ValueError("is more than all rows; name a share of 100% at most")
        return cls(number, in_percent)

    def __str__(self) -> str:
        return f"{self.number:.12g}{'%' * self.in_percent}"

    def of(self, rows: int) -> float:
        """Return the number of rows, for a run of so many."""
        return self.number * rows / 100 if self.in_percent else self.number


DEFAULT_MAX_INVALID = RowLimit(20, in_percent=True)
"""How many rows of a run may be invalid, where nobody says it: with more of them nothing is sent."""


@dataclass(frozen=True, slots=True)
class Fault:
    """
    Why a row can't be sent as it is. `message` names field, column, rule and value, as far as they may be shown.

    Faults of one kind share `code`, `field`, `column` and `rule`, which hold nothing that the row says. `field` and
    `column` are None where the fault is not about one field. `value` is what may be shown of the value at fault.
    """

    code: str
    message: str
    field: str | None = None
    column: str | None = None
    rule: str | None = None
    value: str | None = None

    def __reduce__(self) -> tuple[type["Fault"], tuple[str | None, ...]]:
        """Pickle as a call, because rows wait pickled, and a dataclass with slots would take three times as long."""
        return Fault, (self.code, self.message, self.field, self.column, self.rule, self.value)


@dataclass(frozen=True, slots=True)
class Row:
    """One record of an export: its number, from 1, and its cells as text, in the order of the file's columns."""

    number: int
    cells: tuple[str | None, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A record that can't be read as one; `cells` holds what could be made of it."""

    number: int
    fault: Fault
    cells: tuple[str | None, ...] = field(default=(), repr=False)


class Int96(StrEnum):
    """What an INT96 time in Parquet is: a moment in UTC, or what clocks show in the job's zone."""

    UTC = "utc"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """
    How CSV inputs are written.

    `encoding` is `auto` (UTF-8, a byte order mark, GB18030) or a codec's name. `null_values` are the words for "no
    value", beside the empty cell; they apply to all file types. `delimiter` is `auto` or 1 to 10 characters. `escape`
    takes the meaning from a quote, a delimiter, a line end or another `escape` behind it. Lines that begin with
    `comment` are no rows. `skip_lines` are the lines above the header.
    """

    encoding: str = "auto"
    delimiter: str = "auto"
    quote: str = '"'
    null_values: tuple[str, ...] = NULL_WORDS
    escape: str = ""
    comment: str = ""
    skip_lines: int = 0


@dataclass(frozen=True, slots=True)
class Balance:
    """
    The point balance of one card.

    `card` names the card without its code being readable; `version` orders balances of one card by when they
    changed (UTC, ISO 8601, sorts as text), None where the export does not say.
    """

    card: bytes
    points: int
    version: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectState:
    """
    Which object a state is of: a business order and the merchant's id of what it is about.

    `version` orders the states of one object by when they changed, as that of a Balance does.
    """

    object: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Payload:
    """
    What one API call carries.

    `identity` is what makes the delivery one and the same: the request key. For a state it is the object until the
    row is staged: an object has many states, and the ledger counts them. `body` is the JSON in UTF-8, and stays byte
    for byte; `lane` names its lane. `refund_of` is the request key of the payment that has to succeed first.
    `key_is_derived` says that the key was made from the row. `agreement` is the agreement of a report, marked where
    an open_id names its user; `openid` is the user of a card. Neither may have two users in one run.
    """

    api: Api
    request_key: str
    identity: str
    body: bytes = field(repr=False)
    lane: bytes
    refund_of: str | None = None
    balance: Balance | None = None
    key_is_derived: bool = False
    state: ObjectState | None = None
    agreement: str | None = field(default=None, repr=False)
    openid: str | None = field(default=None, repr=False)


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


@dataclass(frozen=True, slots=True)
class Filtered:
    """A row that the job does not want; `request_key` is there if the row says one."""

    request_key: str | None = None


Mapped = tuple[Payload, ...] | Invalid | Filtered
"""What a row was mapped to."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """An HTTP request ready to be sent: `target` is path and query; `body` is what was signed."""

    method: str
    # The gateway's query carries a token.
    target: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """
    How a request travelled, as far as the system measured it.

    `left_at` is the steady time by which its last byte had left, once and for all; None where that can't be told, or
    where something had to be sent again. `shortest` is the shortest round trip on its connection, in seconds.
    `handshake` is how long the connection's first packet and its acknowledgement took: it is told once for each
    connection, and only where that ends at the platform. Both are 0 where the system does not say.
    """

    left_at: float | None = None
    shortest: float = 0.0
    handshake: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """
    An HTTP answer: header names in lower case, body as received; `trip` is no part of what it says.

    `is_fresh`: the connection carried no other request before, so the answer can't be that to another one.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    round_trip: RoundTrip = field(default=RoundTrip(), compare=False, repr=False)
    is_fresh: bool = field(default=True, compare=False, repr=False)


class Loss(StrEnum):
    """Why there is no answer."""

    NOT_CONNECTED = "not_connected"
    TLS_REFUSED = "tls_refused"
    TIMEOUT = "timeout"
    CONNECTION_LOST = "connection_lost"
    CUT_SHORT = "cut_short"


@dataclass(frozen=True, slots=True)
class Lost:
    """
    No answer, and what is known of why. Only NOT_CONNECTED and TLS_REFUSED prove that nothing was sent.

    `detail` is in words of our own, with hosts and ports: it names nobody.
    """

    cause: Loss
    detail: str = ""


class Trust(StrEnum):
    """How far an answer can be believed."""

    VERIFIED = "verified"
    UNSIGNED_ERROR = "unsigned_error"
    BAD_SIGNATURE = "bad_signature"
    MISSING_SIGNATURE = "missing_signature"
    UNKNOWN_SERIAL = "unknown_serial"
    STALE = "stale"
    PROBE = "probe"
    UNREADABLE = "unreadable"
    NOT_DECRYPTABLE = "not_decryptable"


@dataclass(frozen=True, slots=True)
class Opened:
    """An answer after its signature was checked: `content` is the plain JSON text, where there is one."""

    trust: Trust
    content: bytes | None = field(default=None, repr=False)
    serial: str | None = None


def digest(*parts: str | bytes) -> bytes:
    """Return 16 bytes that stand for the parts, so that ids can be compared without being kept."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(4, "big") + data)
    return state.digest()
