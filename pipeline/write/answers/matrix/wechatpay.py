"""
Meanings of WeChat Pay's codes: the common codes of APIv3, since the points sync documents none of its own.

Names and meanings come from the platform's pages on HTTP statuses, basic rules and error codes.
"""

import re

from pipeline.model import Api
from pipeline.write.answers.matrix.condition import CONTENT_REFUSED, Codes, Condition

_POINTS = (Api.POINTS,)
_ABOUT_TIME = re.compile(r"time[ _-]?stamp|clock|时间", re.IGNORECASE)
_ABOUT_HEADERS = re.compile(r"(?i:user-?agent|content-type|http\s?header|请求头|头部)|\bAccept\b")
_SIGNING = "check mchid, serial_no and private_key_file of the account against the merchant API certificate"
_FIELDS = "fix the row: the message names what is wrong"
_CLOCK = "set this machine's clock, by NTP for example, then resume; WeChat Pay refuses a time more than 5 minutes off"

WECHATPAY_CODES = (
    Codes(Condition.SERVER_UNAVAILABLE, _POINTS, ("SERVICE_UNAVAILABLE",), ""),
    Codes(Condition.SYSTEM_ERROR, _POINTS, ("SYSTEM_ERROR", "SYSTEMERROR"), ""),
    Codes(
        Condition.KEY_USED,
        _POINTS,
        ("ALREADY_EXISTS",),
        "this out_request_no was used before; compare the card's balance with the row before sending anything again",
    ),
    Codes(CONTENT_REFUSED, _POINTS, ("PARAM_ERROR",), _FIELDS, settles_doubt=True),
    # One code with several reasons, which only the message distinguishes (basic rules).
    Codes(
        Condition.HEADER_MISSING,
        _POINTS,
        ("INVALID_REQUEST",),
        "the request lacks a header; a proxy may drop it, else report this with the trace id",
        only_if=_ABOUT_HEADERS,
    ),
    Codes(CONTENT_REFUSED, _POINTS, ("INVALID_REQUEST",), _FIELDS),
    Codes(
        CONTENT_REFUSED, _POINTS, ("OPENID_MISMATCH",), "fix openid: it has to be under the AppID of the card template"
    ),
    Codes(
        CONTENT_REFUSED,
        _POINTS,
        ("RESOURCE_NOT_EXISTS", "NOT_FOUND", "ORDER_NOT_EXIST"),
        "fix brand_id, card_id, openid or user_card_code: the platform does not know one of them",
    ),
    Codes(
        Condition.THROTTLED,
        _POINTS,
        (
            *("RATELIMIT_EXCEEDED", "FREQUENCY_LIMITED", "FREQUENCY_LIMIT_EXCEED", "RATE_LIMITED"),
            "FREQENCY_LIMIT",
        ),
        "",
    ),
    Codes(
        Condition.CLOCK_REFUSED,
        _POINTS,
        ("SIGN_ERROR",),
        _CLOCK,
        only_if=_ABOUT_TIME,
    ),
    Codes(Condition.SIGNATURE_REFUSED, _POINTS, ("SIGN_ERROR",), _SIGNING),
    Codes(
        Condition.APP_REFUSED,
        _POINTS,
        ("NO_AUTH", "NOAUTH"),
        "ask for the permission of the product in the platform's console, and check mchid and brand_id",
    ),
    Codes(
        Condition.APP_REFUSED,
        _POINTS,
        ("APPID_MCHID_NOT_MATCH", "MCH_NOT_EXISTS"),
        "check mchid of the account, and that it is bound to the AppID of the card template",
    ),
    Codes(
        Condition.UNKNOWN_CODE,
        _POINTS,
        ("REQUEST_BLOCKED", "RULE_LIMIT", "RULELIMIT"),
        "the platform's rules refuse it; ask its support with the trace id",
        halts_after=3,
    ),
)
