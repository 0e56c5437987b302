"""Lookups in the retry matrix: the rule of each condition, and the condition of each platform code."""

from fnmatch import fnmatchcase
from itertools import chain

from pipeline.model import Api
from pipeline.write.answers.matrix.alipay import ALIPAY_CODES
from pipeline.write.answers.matrix.answers import ANSWER_RULES
from pipeline.write.answers.matrix.codes import CODE_RULES
from pipeline.write.answers.matrix.condition import Codes
from pipeline.write.answers.matrix.statuses import STATUS_RULES
from pipeline.write.answers.matrix.wechatpay import WECHATPAY_CODES

RULES = {rule.condition: rule for rule in ANSWER_RULES + STATUS_RULES + CODE_RULES}
BY_LOSS = {loss: rule for rule in RULES.values() for loss in rule.losses}
BY_TRUST = {trust: rule for rule in RULES.values() for trust in rule.trusts}
BY_STATUS = {status: rule for rule in RULES.values() for status in rule.statuses}


def find_codes(api: Api, code: str, message: str = "") -> Codes | None:
    """
    Return the entry of a platform code; None if the code is unknown.

    An exact name precedes a pattern. An entry restricted to some messages precedes one for all messages.
    """
    normalized = _normalize(code)
    exact = _EXACT[api].get(normalized, ())
    patterned = (codes for pattern, codes in _PATTERNS[api] if fnmatchcase(normalized, pattern))
    fitting = (codes for codes in chain(exact, patterned) if not codes.only_if or codes.only_if.search(message))
    return next(fitting, None)


def _normalize(code: str) -> str:
    """Remove differences of spelling: case, the class before the dot, `-` or `_`."""
    normalized = code.strip().casefold().replace("_", "-")
    for prefix in ("isv.", "isp.", "aop."):
        normalized = normalized.removeprefix(prefix)
    return normalized


def _names(api: Api) -> list[tuple[str, Codes]]:
    known = ALIPAY_CODES + WECHATPAY_CODES
    return [(_normalize(name), codes) for codes in known if api in codes.apis for name in codes.names]


def _exact(api: Api) -> dict[str, tuple[Codes, ...]]:
    exact: dict[str, tuple[Codes, ...]] = {}
    for name, codes in _names(api):
        exact[name] = (*exact.get(name, ()), codes)
    return exact


_EXACT = {api: _exact(api) for api in Api}
_PATTERNS = {api: tuple((name, codes) for name, codes in _names(api) if "*" in name) for api in Api}
