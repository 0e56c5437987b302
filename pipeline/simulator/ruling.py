"""Values between receiving and answering a request: claim, admission, terms, ruling, decision."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.simulator.identities import PlatformKey


class Api(StrEnum):
    """One API that the simulator serves."""

    CUMULATION = "alipay.cumulation"
    STATE = "alipay.state"
    POINTS = "wechatpay.points"
    BRAND_POINTS = "wechatpay.brand_points"
    CUMULATE_QUERY = "alipay.cumulate_query"
    AGREEMENT_QUERY = "alipay.agreement_query"
    ALIPAY_CERTIFICATE = "alipay.certificate"
    WECHATPAY_CERTIFICATES = "wechatpay.certificates"
    USER_CARDS = "wechatpay.user_cards"


class Decision(StrEnum):
    """The simulator's decision on a request, as the journal has it."""

    APPLIED = "applied"
    REPEATED = "repeated"
    CONFLICT = "conflict"
    THROTTLED = "throttled"
    REFUSED = "refused"
    UNTOUCHED = "untouched"
    SERVED = "served"


@dataclass(frozen=True, slots=True)
class Claim:
    """API, merchant and key that a request claims, before any check."""

    api: Api
    merchant: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms of the answer: the signing key, whether the answer names it, encryption, charset and hash."""

    key: PlatformKey
    names_key: bool = True
    encrypted: bool = False
    charset: str = "utf-8"
    sha1: bool = False


@dataclass(frozen=True, slots=True)
class AdmittedRequest:
    """A request with a verified signature: the decrypted body, its JSON object, and the nonce if it has one."""

    claim: Claim
    terms: Terms
    nonce: str = ""
    body: bytes = field(default=b"", repr=False)
    content: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Success, with the content of the answer."""

    content: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    Refusal, with its reason.

    For the gateway, `code` is the sub code. `number` is WeChat Pay's inner error number, which ends the Request-ID.
    """

    code: str
    message: str = ""
    status: int = 400
    headers: tuple[tuple[str, str], ...] = ()
    number: int = 0


Ruling = Accepted | Refusal
