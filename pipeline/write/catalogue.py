"""The retry matrix as one: its 49 conditions, and which of them a code belongs to."""

from fnmatch import fnmatchcase
from itertools import chain

from pipeline.model import Api
from pipeline.write.matrix.alipay import ALIPAY_CODES
from pipeline.write.matrix.answers import ANSWER_CONDITIONS
from pipeline.write.matrix.codes import CODE_CONDITIONS
from pipeline.write.matrix.condition import Codes
from pipeline.write.matrix.statuses import STATUS_CONDITIONS
from pipeline.write.matrix.wechatpay import WECHATPAY_CODES

_ALL = sorted(ANSWER_CONDITIONS + STATUS_CONDITIONS + CODE_CONDITIONS, key=lambda condition: condition.number)
CONDITIONS = {condition.number: condition for condition in _ALL}
BY_LOSS = {loss: condition for condition in CONDITIONS.values() for loss in condition.losses}
BY_TRUST = {trust: condition for condition in CONDITIONS.values() for trust in condition.trusts}
BY_STATUS = {status: condition for condition in CONDITIONS.values() for status in condition.statuses}


def find_codes(api: Api, code: str, message: str = "") -> Codes | None:
    """
    Return what is known of a code at an API, None for an unknown one.

    An exact name comes before a pattern, and one that looks at the message before one that does not.
    """
    plain = _plain(code)
    exact = _EXACT[api].get(plain, ())
    patterned = (codes for pattern, codes in _PATTERNS[api] if fnmatchcase(plain, pattern))
    fitting = (codes for codes in chain(exact, patterned) if not codes.only_if or codes.only_if.search(message))
    return next(fitting, None)


def _plain(code: str) -> str:
    """Drop what a platform spells now so, now otherwise: case, the class before the dot, - or _."""
    plain = code.strip().casefold().replace("_", "-")
    for prefix in ("isv.", "isp.", "aop."):
        plain = plain.removeprefix(prefix)
    return plain


def _names(api: Api) -> list[tuple[str, Codes]]:
    known = ALIPAY_CODES + WECHATPAY_CODES
    return [(_plain(name), codes) for codes in known if api in codes.apis for name in codes.names]


def _exact(api: Api) -> dict[str, tuple[Codes, ...]]:
    exact: dict[str, tuple[Codes, ...]] = {}
    for name, codes in _names(api):
        exact[name] = (*exact.get(name, ()), codes)
    return exact


_EXACT = {api: _exact(api) for api in Api}
_PATTERNS = {api: tuple((name, codes) for name, codes in _names(api) if "*" in name) for api in Api}
