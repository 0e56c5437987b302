"""Each code of the platforms' documents, and the kind of verdict that it gets."""

from datetime import UTC, datetime

import orjson
import pytest

from pipeline.model import Api, Opened, Reply, Trust
from pipeline.write.answers.catalogue import find_codes
from pipeline.write.answers.judge import judge
from pipeline.write.answers.sent_request import SentRequest
from pipeline.write.answers.verdict import Halt, Open, Refused, Succeeded, TryAgain, Verdict

NOW = datetime(2025, 11, 20, 10, 0, tzinfo=UTC)

V3_CODES = {
    "unknown outcome": """SYSTEM_ERROR unknow-error unknown-sub-code invalid-response-data access-data-time-out""",
    "throttled": """app-call-limited method-call-limited app-auth-invoke-limit""",
    "once more, then refused": """EASY_MEMBER_CONSULT_FAIL""",
    "new key": """IDEMPOTENT_ERROR""",
    "refused": """
        REQUEST_ACCESS_ILLEGAL PAY_ORDER_NOT_EXIST ORDER_AMOUNT_ILLEGAL REFUND_TIME_ILLEGAL REFUND_ILLEGAL
        BUYER_INFO_ERROR SELLER_INFO_ERROR TRADE_NOT_EXIST
    """,
    "refused, settles doubt": """
        REQUEST_PARAM_ILLEGAL INVALID_PARAMETER INVALID_BIZ_ACTION INVALID_CUMULATE_MODE INVALID_CUMULATE_TYPE
        DISCOUNT_AMOUNT_ILLEGAL invalid-parameter illegal-json openid-error suspected-attack illegal-card-no
        invalid-charset invalid-encoding invalid-format
    """,
    "halt": """
        exceed-api-balance
        missing-signature invalid-signature invalid-signature-type invalid-signature-type-said-interface
        missing-signature-type missing-default-signature-type missing-signature-key missing-signature-config
        unsupported-expired-app-key-sign app-key-security-risk app-cert-expired app-cert-not-exist
        alipay-cert-not-exist missing-app-cert-sn missing-alipay-cert-sn missing-alipay-root-cert-sn
        invalid-alipay-root-cert-sn
        missing-timestamp invalid-timestamp illegal-timestamp
        missing-app-id invalid-app-id invalid-app-state not-online-app app-api-punished app-unbind-partner
        app-invalid-oid missing-app-uid invalid-partnerid inner-app-no-access invalid-inner-invoke-scene
        invalid-app-api-field-config
        insufficient-isv-permissions insufficient-user-permissions self-invoke-forbidden forbidden-api invalid-product
        sevice-not-been-subscribed-to no-product-reg-by-partner illegal-client-ip unsupport-operation
        invalid-subscribe-relations not-support-app-auth
        invalid-auth-token auth-token-time-out invalid-app-auth-token invalid-app-auth-token-no-api
        app-auth-token-time-out invalid-auth-relations invalid-app-auth-relations missing-app-access-token
        missing-session
        missing-encrypt-type missing-encrypt-key invalid-encrypt-type invalid-encrypt decryption-error
        decryption-error-unknown invalid-request-data
        missing-method invalid-method missing-version invalid-version unsupported-version invalid-digest
        invalid-digest-type missing-platform invalid-platform invalid-app-method
        invalid-content-type invalid-http-method method-forbidden-batch-invoke exist-blank-sub-request-id
        exist-repeated-sub-request-id upload-fail file-check-fail invalid-file-extension invalid-file-size
    """,
}
GATEWAY_CODES = {
    "unknown outcome": "20000 20000/isp.unknow-error 20000/aop.unknow-error 40004/SYSTEM_ERROR",
    "throttled": "40005 40005/isv.app-call-limited 40005/isv.method-call-limited",
    "once more": "40002/isv.invalid-encrypt 40002/isv.decryption-error-unknown",
    "refused": "40002 40004 40004/unsupported-sdk-version 40002/isv.not-in-any-document",
    "refused, settles doubt": """
        40002/isv.invalid-parameter 40002/isv.illegal-json 40002/isv.suspected-attack 40002/invalid-openid
        40004/ZMDATA.USER_ID_ERROR 40004/ZMDATA.OUT_BIZ_NO_NULL 40004/ZMDATA.OUT_PRINCIPAL_ID_ERROR
        40004/ZMDATA.BIZ_STATE_CODE_ERROR 40004/ZMDATA.CATEGORY_CODE_ERROR 40004/ZMDAT.SERVICE_ID_ERROR
        40004/ZMDATA.SERVICE_ID_ERROR 40004/ZMDATA.BIZ_DATA_ERROR 40004/ZMDATA.WHATEVER_COMES
    """,
    "halt": """
        20001 20001/aop.invalid-auth-token 20001/aop.auth-token-time-out 20001/aop.invalid-app-auth-token
        20001/aop.invalid-app-auth-token-no-api 20001/aop.app-auth-token-time-out 20001/aop.no-product-reg-by-partner
        40001 40001/isv.missing-method 40001/isv.missing-signature 40001/isv.missing-signature-type
        40001/isv.missing-signature-key 40001/isv.missing-app-id 40001/isv.missing-timestamp 40001/isv.missing-version
        40001/isv.decryption-error-missing-encrypt-type 40001/isv.missing-app-cert-sn
        40001/isv.missing-alipay-root-cert-sn
        40002/isv.invalid-signature 40002/isv.invalid-signature-type 40002/isv.missing-signature-config
        40002/isv.invalid-app-id 40002/isv.invalid-token 40002/isv.app-cert-expired 40002/app-cert-expired
        40002/not-online-app 40002/isv.invalid-encrypt-type 40002/isv.decryption-error-not-valid-encrypt-type
        40002/isv.decryption-error-not-valid-encrypt-key 40002/isv.forbidden-api 40002/isv.invalid-method
        40002/isv.invalid-alipay-root-cert-sn 40002/isv.app-cert-not-exist 40002/isv.alipay-cert-not-exist
        40001/isv.missing-encrypt-type 40002/isv.invalid-http-method
        40002/isv.invalid-format 40002/isv.invalid-charset 40002/isv.not-support-app-auth 40002/isv.invalid-timestamp
        40003 40003/invalid-auth-relations 40003/isv.missing-signature-config
        40006 40006/isv.insufficient-isv-permissions 40006/isv.insufficient-user-permissions
        40006/isv.self-invoke-forbidden 40006/isv.ip-forbidden
    """,
}
WECHATPAY_CODES = {
    "unknown outcome": "500/SYSTEM_ERROR 500/SYSTEMERROR 503/SERVICE_UNAVAILABLE 502/SERVICE_UNAVAILABLE 202/",
    "throttled": """
        429/RATELIMIT_EXCEEDED 429/FREQUENCY_LIMITED 429/FREQUENCY_LIMIT_EXCEED 429/RATE_LIMITED 429/FREQENCY_LIMIT
    """,
    "refused": """
        400/INVALID_REQUEST 400/OPENID_MISMATCH 403/RULE_LIMIT 403/RULELIMIT
        404/RESOURCE_NOT_EXISTS 404/NOT_FOUND 404/ORDER_NOT_EXIST 400/ALREADY_EXISTS
    """,
    "refused, settles doubt": "400/PARAM_ERROR",
    "halt": """
        400/APPID_MCHID_NOT_MATCH 400/MCH_NOT_EXISTS 401/SIGN_ERROR 403/NO_AUTH 403/NOAUTH 403/REQUEST_BLOCKED 405/ 501/
    """,
    "open": "204/",
}


def kind(verdict: Verdict) -> str:
    """Return the name of a verdict's kind, as in the tables above."""
    match verdict:
        case Succeeded():
            return "succeeded"
        case Refused(wants_new_key=True):
            return "new key"
        case Refused(settles_doubt=True):
            return "refused, settles doubt"
        case Refused():
            return "refused"
        case TryAgain(slow=True, may_have_acted=False):
            return "throttled"
        case TryAgain(may_have_acted=True):
            return "unknown outcome"
        case TryAgain(tries=2):
            return "once more, then refused" if verdict.refused_at_last else "once more"
        case TryAgain() | Open() | Halt():
            return type(verdict).__name__.lower()


def unsigned_error(api: Api, status: int, fields: dict[str, str], *, request_id: str = "") -> Verdict:
    content = orjson.dumps(fields) if fields else None
    opened = Opened(Trust.UNSIGNED_ERROR, content)
    reply = Reply(status, {"request-id": request_id}, content or b"")
    return judge(SentRequest(api, "key"), reply, opened, doubt=False, at=NOW)


@pytest.mark.parametrize(("code", "means"), [(code, means) for means in V3_CODES for code in V3_CODES[means].split()])
def test_each_code_of_alipay_v3(code: str, means: str) -> None:
    """Each code of the v3 document gets its verdict, with any status."""
    assert {kind(unsigned_error(Api.CUMULATION, status, {"code": code})) for status in (400, 401, 500)} == {means}


@pytest.mark.parametrize(
    ("code", "means"), [(code, means) for means in GATEWAY_CODES for code in GATEWAY_CODES[means].split()]
)
def test_each_code_of_the_gateway(code: str, means: str) -> None:
    """Each code and sub code of the gateway document gets its verdict."""
    number, _, sub_code = code.partition("/")
    fields = {"code": number, "msg": "..."} | ({"sub_code": sub_code} if sub_code else {})

    assert kind(unsigned_error(Api.STATE, 200, fields)) == means


@pytest.mark.parametrize(
    ("code", "means"), [(code, means) for means in WECHATPAY_CODES for code in WECHATPAY_CODES[means].split()]
)
@pytest.mark.parametrize("api", [Api.POINTS, Api.BRAND_POINTS])
def test_each_code_of_wechatpay(api: Api, code: str, means: str) -> None:
    """Each code of the WeChat Pay document gets its verdict, at both points calls."""
    status, _, name = code.partition("/")

    assert kind(unsigned_error(api, int(status), {"code": name} if name else {})) == means


# Inner error numbers, with the status and the code that they come with, and the verdict.
INNER_NUMBERS = {
    "refused": """
        400/INVALID_REQUEST/268575528 400/INVALID_REQUEST/268575529 404/NOT_FOUND/268575533
        400/INVALID_REQUEST/268575635 404/NOT_FOUND/268578608 400/INVALID_REQUEST/0 400/INVALID_REQUEST/268570001
        400/BRAND_NEW/268575528
    """,
    "refused, settles doubt": """
        400/PARAM_ERROR/268575822 400/PARAM_ERROR/268576040 400/PARAM_ERROR/268435461 400/PARAM_ERROR/268435462
        400/PARAM_ERROR/268435463 400/PARAM_ERROR/268435464 400/PARAM_ERROR/268578532 400/PARAM_ERROR/268578704
    """,
    "throttled": """
        429/RATELIMIT_EXCEEDED/268575819 429/BRAND_NEW/270924289 403/RULE_LIMIT/268575819 400/PARAM_ERROR/270924289
    """,
    "halt": "400/PARAM_ERROR/270924358 400/BRAND_NEW/270924358",
    "unknown outcome": "500/SYSTEM_ERROR/268575819 500/SYSTEM_ERROR/270924358 503/BRAND_NEW/270924289",
}


@pytest.mark.parametrize(
    ("case", "means"), [(case, means) for means in INNER_NUMBERS for case in INNER_NUMBERS[means].split()]
)
def test_an_inner_error_number_decides_where_it_says_more(case: str, means: str) -> None:
    """
    Two numbers slow the quota down, and one stops the run, whatever their code.

    With another number the code decides. With a status from 500, the outcome stays unknown.
    """
    status, code, number = case.split("/")

    assert kind(unsigned_error(Api.POINTS, int(status), {"code": code}, request_id=f"08F78BB5AF06-{number}")) == means


@pytest.mark.parametrize(
    ("api", "request_id"),
    [
        pytest.param(Api.POINTS, "5d6b8a90-1f2e-4c3d-8e7f-270924358", id="UUID form"),
        pytest.param(Api.POINTS, "270924358", id="no hyphen"),
        pytest.param(Api.POINTS, "-270924358", id="nothing before the hyphen"),
        pytest.param(Api.POINTS, "08F78BB5-0270924358", id="leading zero"),
        pytest.param(Api.POINTS, "08F78BB5-270924358x", id="no number"),
        pytest.param(Api.POINTS, "08F78BB5-٢٧٠٩٢٤٣٥٨", id="other digits"),
        pytest.param(Api.CUMULATION, "08F78BB5-270924358", id="a proxy's header on Alipay's answer"),
    ],
)
def test_other_request_ids_have_no_number(api: Api, request_id: str) -> None:
    """Only WeChat Pay's id with one hyphen and a number behind it has an inner error number."""
    code = {"code": "INVALID_PARAMETER" if api is Api.CUMULATION else "PARAM_ERROR"}

    assert unsigned_error(api, 400, code, request_id=request_id) == unsigned_error(api, 400, code)


@pytest.mark.parametrize(
    ("api", "spelt", "documented"),
    [
        pytest.param(Api.CUMULATION, "system_error", "SYSTEM_ERROR", id="lower-case"),
        pytest.param(Api.CUMULATION, "isp.SYSTEM_ERROR", "SYSTEM_ERROR", id="prefix-in-v3"),
        pytest.param(Api.CUMULATION, "ISV.Invalid-Signature", "invalid-signature", id="prefix-in-capitals"),
        pytest.param(Api.CUMULATION, "invalid_signature", "invalid-signature", id="underscore-for-hyphen"),
        pytest.param(Api.CUMULATION, "idempotent-error", "IDEMPOTENT_ERROR", id="hyphen-for-underscore"),
        pytest.param(Api.CUMULATION, "app-key-security-risk, app-cert-expired", "app-cert-expired", id="two-in-one"),
        pytest.param(Api.STATE, "aop.app-call-limited", "isv.app-call-limited", id="another-prefix"),
        pytest.param(Api.STATE, "zmdat.service_id_error", "ZMDATA.SERVICE_ID_ERROR", id="missing-a"),
        pytest.param(Api.POINTS, " sign_error ", "SIGN_ERROR", id="blanks"),
    ],
)
def test_codes_are_compared_loosely(api: Api, spelt: str, documented: str) -> None:
    """Case, prefix, and - or _ do not change the meaning of a code."""
    assert find_codes(api, spelt) == find_codes(api, documented) is not None


@pytest.mark.parametrize(
    ("api", "code"),
    [
        pytest.param(Api.CUMULATION, "SIGN_ERROR", id="wechatpay-code-at-alipay"),
        pytest.param(Api.POINTS, "invalid-signature", id="alipay-code-at-wechatpay"),
        pytest.param(Api.CUMULATION, "ZMDATA.USER_ID_ERROR", id="gateway-code-at-v3"),
        pytest.param(Api.STATE, "", id="nothing"),
        pytest.param(Api.STATE, "*", id="a-pattern-of-its-own"),
    ],
)
def test_a_code_is_known_only_where_it_is_documented(api: Api, code: str) -> None:
    """A code of another API is unknown."""
    assert find_codes(api, code) is None
