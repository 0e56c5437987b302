"""
Meanings of WeChat Pay's codes: the common codes of APIv3, and the inner error numbers of the family of card calls.

Names and meanings come from the platform's pages on HTTP statuses, basic rules and error codes. A number counts as a
code where it decides more than the code that it comes with.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pipeline.model import Api
from pipeline.write.answers.matrix.condition import CONTENT_REFUSED, Codes, Condition

_POINTS, _BRAND = (Api.POINTS, Api.BRAND_POINTS), (Api.BRAND_POINTS,)
_ABOUT_TIME = re.compile(r"time[ _-]?stamp|clock|时间", re.IGNORECASE)
_ABOUT_HEADERS = re.compile(r"(?i:user-?agent|content-type|http\s?header|请求头|头部)|\bAccept\b")
_SIGNING = "check mchid, serial_no and private_key_file of the account against the merchant API certificate"
_ABOUT_KEY_NAME = re.compile(r"wechatpay[ _-]?serial", re.IGNORECASE)
_FIELDS = "fix the row: the message names what is wrong"
_CLOCK = "set this machine's clock, by NTP for example, then resume; WeChat Pay refuses a time more than 5 minutes off"

# docs/platform/wechatpay-v3-points.md, Inner error numbers.
INNER_NUMBERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "268435461": "a parameter is not allowed",
        "268435462": "a parameter is too long",
        "268435463": "a parameter is too short",
        "268435464": "a parameter is out of range",
        "268575528": "the card waits for activation",
        "268575529": "the user has such a card already",
        "268575533": "there is no card to activate",
        "268575635": "the openid is wrong",
        "268575819": "too many requests",
        "268575822": "a parameter is wrong",
        "268576040": "a time is wrong",
        "268578532": "the openid is wrong",
        "268578608": "there is no such object",
        "268578704": "the AppID is not linked to the merchant",
        "270924289": "too many requests",
        "270924358": "a field that the platform's document lacks",
    }
)

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
    Codes(
        Condition.REQUEST_MALFORMED,
        _POINTS,
        ("270924358",),
        "the program sends a field that this API does not know; report this with the trace id",
    ),
    # One code with several reasons, which only the message distinguishes (basic rules).
    Codes(
        Condition.APP_REFUSED,
        _BRAND,
        ("INVALID_REQUEST",),
        "check public_key_id of the account: it must be the id of this brand's own WeChat Pay public key",
        only_if=_ABOUT_KEY_NAME,
    ),
    Codes(
        Condition.REQUEST_MALFORMED,
        _POINTS,
        ("INVALID_REQUEST",),
        "check public_key_id of the account against the merchant platform (API security), then resume",
        only_if=_ABOUT_KEY_NAME,
    ),
    Codes(
        Condition.REQUEST_MALFORMED,
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
            *("FREQENCY_LIMIT", "268575819", "270924289"),
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
    Codes(
        Condition.SIGNATURE_REFUSED,
        _BRAND,
        ("SIGN_ERROR",),
        "check brand_id, serial_no and private_key_file of the account against the brand API certificate; that of a "
        "merchant (mchid) is refused",
    ),
    Codes(Condition.SIGNATURE_REFUSED, _POINTS, ("SIGN_ERROR",), _SIGNING),
    Codes(
        Condition.APP_REFUSED,
        _POINTS,
        ("NO_AUTH", "NOAUTH", "REQUEST_BLOCKED"),
        "ask for the permission of the product in the platform's console, and check brand_id and mchid",
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
        ("RULE_LIMIT", "RULELIMIT"),
        "the platform's rules refuse it; ask its support with the trace id",
        halts_after=3,
    ),
)
