"""The retry matrix as one: the rule of each condition, and the condition that a code belongs to."""

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
