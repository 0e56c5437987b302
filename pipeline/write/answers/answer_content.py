"""The content of an answer: code, message, trace id and waiting time, for each platform's format."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import orjson

from pipeline.language import t
from pipeline.model import Api, Reply
from pipeline.write.answers.masking import mask_values, printable, safe_text
from pipeline.write.answers.matrix.wechatpay import INNER_NUMBERS

_LONGEST_WAIT_SECONDS = 3600.0
_SECONDS = re.compile(r"[0-9]+")

_CODES = {
    Api.CUMULATION: ("code",),
    Api.STATE: ("sub_code", "code"),
    Api.POINTS: ("code",),
    Api.BRAND_POINTS: ("code",),
}
# docs/platform/alipay-gateway-state-sync.md, Answer: the gateway's own header comes first.
_TRACE_HEADERS = {
    Api.CUMULATION: ("alipay-trace-id", "trace_id"),
    Api.STATE: ("trace_id", "alipay-trace-id"),
    Api.POINTS: ("request-id",),
    Api.BRAND_POINTS: ("request-id",),
}
# The inner error number at the end of a Request-ID. An id in the form of a UUID has more hyphens, and no number.
_INNER_NUMBER = re.compile(r"[^-]+-([1-9][0-9]{0,10})")
# In the help link of an error: in `sub_msg` at the gateway, in `links` in v3.
_TRACE_IN_LINK = re.compile(rb"traceId=([\w.-]+)")

# Alipay's phrases for "use another out_biz_no" (更换幂等号), and for its contrary.
_NUMBER = r"(?:幂等|out_biz_no|业务单?号|流水号|单号|idempoten\w*)"
_CHANGE = r"(?:更换|变更|替换|修改|换|使用新|change|replace|another|different|(?:use a )?new)"
_NEW_NUMBER = re.compile(rf"{_CHANGE}.{{0,24}}?{_NUMBER}|{_NUMBER}.{{0,12}}?(?:更换|变更|替换|换)", re.IGNORECASE)
_NEGATED = re.compile(r"勿|不要|不可|不能|不得|无需|do not|don't|must not|never|cannot", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AnswerContent:
    """
    The content of an answer.

    - `codes`: the platform's codes, the most specific first. For comparison only.
    - `code`: the first code, safe to show. `message` is safe to show as well.
    - `fields`: the JSON object itself.
    - `asks_for_new_key`: the platform asks for another request key.
    """

    codes: tuple[str, ...] = field(default=(), repr=False)
    code: str = ""
    message: str = ""
    fields: Mapping[str, object] = field(default_factory=dict, repr=False)
    asks_for_new_key: bool = False


def parse_answer(api: Api, content: bytes | None, private: Iterable[str] = ()) -> AnswerContent | None:
    """Return the content of an answer; None if it is no JSON object. `private` values are masked in the message."""
    fields = _json_object(content)
    if fields is None:
        return None
    texts = (_text(fields.get(name)) for name in ("msg", "sub_msg", "message", "fail_reason"))
    message = "; ".join(filter(None, (*texts, _detail(fields.get("detail")))))
    codes = tuple(filter(None, (_text(fields.get(name)).strip() for name in _CODES[api])))
    return AnswerContent(
        codes=codes,
        code=(safe_text(codes[0], private, limit=64) or "unprintable") if codes else "",
        message=safe_text(message, private),
        fields=fields,
        asks_for_new_key=api is Api.CUMULATION and _asks_for_new_key(message),
    )


def with_inner_number(api: Api, content: AnswerContent | None, reply: Reply) -> AnswerContent | None:
    """
    Return the content of a refusal with the inner error number of its `Request-ID`, if it has one.

    The number comes first in `codes`, and stands with its meaning in `message`. `code` stays the platform's code.
    """
    # A server fault stays one, since its outcome is unknown whatever the number says.
    if content is None or not content.codes or not 400 <= reply.status < 500:
        return content
    named = reply.headers.get("request-id", "") if "request-id" in _TRACE_HEADERS[api] else ""
    found = _INNER_NUMBER.fullmatch(named.strip())
    if found is None:
        return content
    shown = t("inner error number {number}", number=found[1])
    if meaning := INNER_NUMBERS.get(found[1]):
        shown += f" ({t(meaning)})"
    message = "; ".join(filter(None, (content.message, shown)))
    return replace(content, codes=(found[1], *content.codes), message=message)


def trace_id(api: Api, reply: Reply, private: Iterable[str] = (), *, content: bytes | None = None) -> str | None:
    """
    Return the platform's id of the request, which its support needs.

    It is in a header (alipay-trace-id; trace_id at the gateway; Request-ID), else in the help link of the content.
    `private` values are masked in it, in case a server repeats them there.
    """
    named = (_safe_id(private, reply.headers.get(name, "")) for name in _TRACE_HEADERS[api])
    return next(filter(None, named), None) or (
        None if api.platform == "wechatpay" else _trace_in_link(private, content or b"")
    )


def _trace_in_link(private: Iterable[str], content: bytes) -> str | None:
    link = _TRACE_IN_LINK.search(content)
    return None if link is None else _safe_id(private, link[1].decode("ascii", "replace"))


def _safe_id(private: Iterable[str], value: str) -> str | None:
    return printable(mask_values(private, value)).strip()[:128] or None


def wait_seconds(reply: Reply, *, at: datetime) -> float | None:
    """Return the seconds to wait that Retry-After asks for (a number or a date), at most an hour; None without it."""
    value = reply.headers.get("retry-after", "").strip()
    until = None if _SECONDS.fullmatch(value) else _date(value)
    if until is not None:
        return min(max((until - at) / timedelta(seconds=1), 0.0), _LONGEST_WAIT_SECONDS)
    return min(float(value), _LONGEST_WAIT_SECONDS) if _SECONDS.fullmatch(value) else None


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _json_object(content: bytes | None) -> dict[str, object] | None:
    try:
        value = orjson.loads(content or b"")
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _text(value: object) -> str:
    """Return the value as text; an empty text for null, booleans, lists and objects."""
    if value is None or isinstance(value, bool | dict | list):
        return ""
    return str(value)


def _detail(detail: object) -> str:
    """
    Return the field that WeChat Pay names in `detail`, with the issue. Omit its `value`, which may be a user's id.
    """
    if not isinstance(detail, dict):
        return ""
    return " ".join(filter(None, (_text(detail.get(name)) for name in ("field", "issue"))))


def _asks_for_new_key(message: str) -> bool:
    found = _NEW_NUMBER.search(message)
    return found is not None and not _NEGATED.search(message[max(0, found.start() - 12) : found.end()])
