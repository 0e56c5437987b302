"""What a platform makes of a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.simulator.identities import PlatformKey


class Api(StrEnum):
    """One API that the simulator serves."""

    CUMULATION = "alipay.cumulation"
    STATE = "alipay.state"
    POINTS = "wechatpay.points"
    ALIPAY_CERTIFICATE = "alipay.certificate"
    WECHATPAY_CERTIFICATES = "wechatpay.certificates"


class Decision(StrEnum):
    """What was done with a request."""

    APPLIED = "applied"
    REPEATED = "repeated"
    CONFLICT = "conflict"
    THROTTLED = "throttled"
    REFUSED = "refused"
    UNTOUCHED = "untouched"
    SERVED = "served"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of itself, before anything is checked."""

    api: Api
    merchant: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """How the answer is to be made: whose key signs it, whether the key is named, and in which form it is sent."""

    key: PlatformKey
    names_key: bool = True
    encrypted: bool = False
    charset: str = "utf-8"
    sha1: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """A request whose signature verified: the plain body, the object in it, and the nonce where there is one."""

    claim: Claim
    terms: Terms
    nonce: str = ""
    body: bytes = field(default=b"", repr=False)
    content: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Yes, with what the answer carries."""

    content: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """No, and why. For the gateway `code` is the sub code."""

    code: str
    message: str = ""
    status: int = 400
    headers: tuple[tuple[str, str], ...] = ()


Ruling = Accepted | Refusal
