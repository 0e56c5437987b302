"""The values that the whole house speaks of. Words are those of docs/glossary.md."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

_LONGEST_MESSAGE = 500


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
class Fault:
    """Why a row can't be sent as it is. `message` names field, rule and masked value."""

    code: str
    message: str


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


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """
    How CSV inputs are written.

    `encoding` is `auto` (UTF-8, a byte order mark, GB18030) or a codec's name; `null_values` are the cells that
    mean "no value", beside the empty one.
    """

    encoding: str = "auto"
    delimiter: str = ","
    quote: str = '"'
    null_values: tuple[str, ...] = ()


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
class Payload:
    """
    What one API call carries.

    `identity` is what makes the delivery one and the same: the request key, for states with the state code.
    `body` is the JSON in UTF-8, and stays byte for byte; `lane` names its lane. `refund_of` is the request key of
    the payment that has to succeed first. `key_is_derived` says that the key was made from the row.
    """

    api: Api
    request_key: str
    identity: str
    body: bytes = field(repr=False)
    lane: bytes
    refund_of: str | None = None
    balance: Balance | None = None
    key_is_derived: bool = False


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


Mapped = tuple[Payload, ...] | Invalid
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
class Trip:
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
    trip: Trip = field(default=Trip(), compare=False, repr=False)
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
