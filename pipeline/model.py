"""The values that all rooms share. docs/glossary.md explains the words."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.language import t

UNIT_SEPARATOR = "\x1f"
"""Separator of the parts of a name. The schemas allow it in no field."""

# In characters.
_LONGEST_MESSAGE = 500
_ROW_LIMIT = re.compile(r"([0-9]{1,12})|([0-9]{1,3}(?:\.[0-9]{1,6})?)%")

NULL_WORDS = ("\\N", "NULL", "null", "(NULL)", "None", "nan", "NaN", "NaT", "<NA>", "#N/A")
"""Default null values: the words of databases, Python and spreadsheets for "no value"."""
INEXACT = "≈"
"""The first character of a number that lost digits before it was read, as readers write it: `≈2.02354E+19`."""


class Api(StrEnum):
    """One API of a platform."""

    CUMULATION = "alipay.cumulation"
    STATE = "alipay.state"
    POINTS = "wechatpay.points"
    BRAND_POINTS = "wechatpay.brand_points"

    @property
    def platform(self) -> str:
        """The platform's name in the config: `alipay` or `wechatpay`."""
        return self.value.partition(".")[0]

    @property
    def sends_balances(self) -> bool:
        """Whether it sets balances of cards: only a card's newest one counts, and an equal one changes nothing."""
        return self in (Api.POINTS, Api.BRAND_POINTS)


class Export(StrEnum):
    """Kind of an export."""

    ORDERS = "orders"
    TASKS = "tasks"
    POINTS = "points"
    STATES = "states"


class LaneOrder(StrEnum):
    """Which lanes are sent first. A deadline cuts off the last ones."""

    SOURCE = "source"
    NEWEST = "newest"


class Status(StrEnum):
    """Status of an outcome."""

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
    A pause of sending: reason, begin, and end if known; times are steady seconds.

    If the pause lasts until `gives_up_at`, the run stops.
    Without `holds_up`, sending goes on, and the reason is only reported.
    """

    reason: str
    since: float
    until: float | None = None
    gives_up_at: float | None = None
    holds_up: bool = True


@dataclass(frozen=True, slots=True)
class RowLimit:
    """A limit of rows: a number, or a percentage of all rows."""

    number: float
    in_percent: bool = False

    @classmethod
    def parse(cls, text: str) -> "RowLimit":
        """Return the limit of a text such as `100` or `5%`. Raises ValueError with the end of a sentence about it."""
        found = _ROW_LIMIT.fullmatch(text)
        if not found:
            raise ValueError(t("is neither a number such as 100 nor a share such as 5%"))
        number, in_percent = float(found[1] or found[2]), found[2] is not None
        if in_percent and number > 100:
            raise ValueError(t("is more than all rows; name a share of 100% at most"))
        return cls(number, in_percent)

    def __str__(self) -> str:
        return f"{self.number:.12g}{'%' * self.in_percent}"

    def of(self, rows: int) -> float:
        """Return the limit for a run of `rows` rows."""
        return self.number * rows / 100 if self.in_percent else self.number


DEFAULT_MAX_INVALID = RowLimit(20, in_percent=True)
"""Default limit of invalid rows: with more of them, nothing is sent."""


@dataclass(frozen=True, slots=True)
class Fault:
    """
    Why a row can't be sent as it is. `message` names field, column, rule and value, as far as they may be shown.

    Faults of one kind share `code`, `field`, `column` and `rule`, which have no values of the row. `field` and
    `column` are None if the fault is not about one field. `value` is the wrong value, as far as it may be shown.
    """

    code: str
    message: str
    field: str | None = None
    column: str | None = None
    rule: str | None = None
    value: str | None = None

    def __reduce__(self) -> tuple[type["Fault"], tuple[str | None, ...]]:
        """Pickle as a call, because spill files pickle faults and the default of dataclasses takes 3 times as long."""
        return Fault, (self.code, self.message, self.field, self.column, self.rule, self.value)


@dataclass(frozen=True, slots=True)
class Row:
    """One record of an export: its number, from 1, and its cells as text, in the order of the columns."""

    number: int
    cells: tuple[str | None, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class BadRow:
    """An unreadable record; `cells` are the cells that could be read."""

    number: int
    fault: Fault
    cells: tuple[str | None, ...] = field(default=(), repr=False)


class Int96(StrEnum):
    """Meaning of an INT96 time in Parquet: UTC, or local time in the job's zone."""

    UTC = "utc"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """
    The format of CSV inputs.

    - `encoding`: `auto` (UTF-8, byte order mark, GB18030) or a codec's name
    - `delimiter`: `auto`, or 1 to 10 characters
    - `null_values`: texts that mean "no value", like an empty cell; they apply to all file types
    - `escape`: makes a following quote, delimiter, line end or `escape` an ordinary character
    - `comment`: lines that begin with it are ignored
    - `skip_lines`: number of lines above the header
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

    `card` is a digest that names the card. `version` orders the balances of one card by time of change (UTC, ISO 8601,
    sorts as text); None if the export has no time.
    """

    card: bytes
    points: int
    version: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectState:
    """
    The object of a state: business order and principal id.

    `version` orders the states of one object by time of change, as for a Balance.
    """

    object: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Payload:
    """
    The content of one API call.

    - `identity`: identifies the delivery. It is the request key; for a state, the object until the row is staged,
      because an object has many states and the ledger numbers them
    - `body`: the JSON in UTF-8, sent byte for byte
    - `lane`: names the lane
    - `refund_of`: request key of the payment that must succeed first
    - `key_is_derived`: the key was made from the row
    - `agreement`: the agreement of a report, marked if an open_id names its user; `openid`: the user of a card; neither
      may have two users in one run
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
    A row that can't be sent, with all its faults.

    `request_key` is set if readable, so that a refund of this payment can be blocked.
    """

    faults: tuple[Fault, ...]
    request_key: str | None = None

    @property
    def code(self) -> str:
        """The code of the first fault, used for the outcome."""
        return self.faults[0].code

    @property
    def message(self) -> str:
        """The messages of all faults, cut to the longest message."""
        text = "; ".join(fault.message for fault in self.faults)
        return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 4] + " ..."


@dataclass(frozen=True, slots=True)
class Filtered:
    """A row that the job's filter excludes; `request_key` is set if the row has one."""

    request_key: str | None = None


Mapped = tuple[Payload, ...] | Invalid | Filtered
"""A mapped row."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """An HTTP request ready to be sent: `target` is path and query; `body` has the signed bytes."""

    method: str
    # Not in the repr, because the gateway's query contains a token.
    target: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """
    Timing of an exchange, as far as the system measured it.

    - `left_at`: steady time when the last byte of the request had left; None if unknown or if a packet was sent again
    - `shortest`: shortest round trip on the connection, in seconds; 0 if unknown
    - `handshake`: seconds from the connection's first packet to its acknowledgement; given once for each connection,
      and only if the connection ends at the platform, else 0
    """

    left_at: float | None = None
    shortest: float = 0.0
    handshake: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """
    An HTTP answer: header names in lower case, body as received.

    `is_fresh`: the connection carried no earlier request, so that the answer can't belong to another one.
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
    No answer, and its cause. Only NOT_CONNECTED and TLS_REFUSED prove that nothing was sent.

    `detail` is our own text with hosts and ports; it has no personal data.
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
    """
    An answer after the check of its signature: `content` is the decrypted JSON text, if there is one.

    `serial` names the key of an answer that no known key could verify. `note` says what a person should do about the
    platform's keys; it is empty if nothing.
    """

    trust: Trust
    content: bytes | None = field(default=None, repr=False)
    serial: str | None = None
    note: str = ""


# A copy of a hash that has read nothing takes half of the time of a new one.
_NOTHING_READ = hashlib.blake2b(digest_size=16)


def digest(*parts: str | bytes) -> bytes:
    """Return a 16-byte digest of the parts, so that ids can be compared without being stored."""
    state = _NOTHING_READ.copy()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(4, "big") + data)
    return state.digest()
