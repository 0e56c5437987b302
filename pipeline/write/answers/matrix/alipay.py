"""
Meanings of Alipay's codes: the cumulation sync (v3) and the state sync (gateway).

Names and meanings come from the platform's documents:

- the codes of the v3 call, and the common codes of v3 calls
- the gateway's code classes (common error codes, 105806)
- the business sub codes of zhima.data.state.data.sync

The advice follows their meaning.
"""

from pipeline.model import Api
from pipeline.write.answers.matrix.condition import CONTENT_REFUSED, Action, Codes, Condition

V3, GATEWAY, BOTH = (Api.CUMULATION,), (Api.STATE,), (Api.CUMULATION, Api.STATE)

_KEYS = (
    "check private_key_file and, in certificate mode, app_cert_file and alipay_root_cert_file of the account against "
    "the key or certificate uploaded at the platform"
)
_CLOCK = "set this machine's clock, by NTP for example, then resume; Alipay refuses a time more than 10 minutes off"
_APP = "check app_id of the account, and the app's state and owner in the platform's console"
_PERMISSION = (
    "ask for the product and its permission in the platform's console, and check the list of allowed addresses"
)
_TOKEN = "renew the token behind app_auth_token_env, then resume"  # noqa: S105 (advice, not a token)
_CIPHER = "check encrypt_key_env of the account against the AES key in the platform's console"
_PROGRAM = "the request itself is built wrongly; report this with the trace id"
_FIELDS = "fix the row: a field is missing, malformed or not allowed"
_TRADE = "fix the row: with has_alipay_trade, the trade must belong to this user and this merchant"

_FAULTS = (
    Codes(
        Condition.SYSTEM_ERROR,
        BOTH,
        ("SYSTEM_ERROR", "unknow-error", "unknown-sub-code", "invalid-response-data", "access-data-time-out"),
        "",
    ),
    Codes(Condition.SYSTEM_ERROR, GATEWAY, ("20000",), ""),
    Codes(Condition.THROTTLED, BOTH, ("app-call-limited", "method-call-limited", "app-auth-invoke-limit"), ""),
    Codes(Condition.THROTTLED, GATEWAY, ("40005",), ""),
)

_ROW_V3 = (
    Codes(
        Condition.KEY_USED,
        V3,
        ("IDEMPOTENT_ERROR",),
        "this out_biz_no was used before with other content; make sure that report did not count, then "
        "`backfill rerun --new-keys`",
    ),
    Codes(CONTENT_REFUSED, V3, ("INVALID_PARAMETER", "REQUEST_PARAM_ILLEGAL"), _FIELDS, settles_doubt=True),
    Codes(
        CONTENT_REFUSED, V3, ("INVALID_BIZ_ACTION",), "fix biz_action: ORDER_PAID or ORDER_REFUND", settles_doubt=True
    ),
    Codes(
        CONTENT_REFUSED,
        V3,
        ("INVALID_CUMULATE_MODE", "INVALID_CUMULATE_TYPE"),
        "fix cumulate_data_type: a decoupled template takes AMOUNT or TASK, a bound one AMOUNT_TASK",
        settles_doubt=True,
    ),
    Codes(
        CONTENT_REFUSED,
        V3,
        ("ORDER_AMOUNT_ILLEGAL",),
        "fix trade_amount: its form is wrong, or the refund exceeds the payment",
    ),
    Codes(CONTENT_REFUSED, V3, ("DISCOUNT_AMOUNT_ILLEGAL",), "fix discount_amount", settles_doubt=True),
    Codes(
        CONTENT_REFUSED, V3, ("REFUND_TIME_ILLEGAL",), "fix biz_time: the refund lies before the payment or too late"
    ),
    Codes(CONTENT_REFUSED, V3, ("REFUND_ILLEGAL",), "this refund is not allowed; it may have been taken back already"),
    Codes(CONTENT_REFUSED, V3, ("BUYER_INFO_ERROR",), f"{_TRADE}; it belongs to another user"),
    Codes(
        CONTENT_REFUSED,
        V3,
        ("SELLER_INFO_ERROR",),
        f"{_TRADE}; it belongs to another merchant, so check partner_id as well",
    ),
    Codes(CONTENT_REFUSED, V3, ("TRADE_NOT_EXIST",), f"{_TRADE}; this trade_no is not known, or too new"),
    Codes(
        Condition.PAYMENT_UNKNOWN,
        V3,
        ("PAY_ORDER_NOT_EXIST",),
        "report the payment named in pay_out_biz_no first, then rerun",
    ),
    Codes(
        Condition.AGREEMENT_UNCONFIRMED,
        V3,
        ("EASY_MEMBER_CONSULT_FAIL",),
        "the agreement may have ended or be another user's; check agreement_no",
    ),
    Codes(
        Condition.ACCESS_REFUSED,
        V3,
        ("REQUEST_ACCESS_ILLEGAL",),
        "the app or merchant may not report for this agreement; check app_id, partner_id and agreement_no",
    ),
)

_ROW_COMMON = (
    Codes(
        CONTENT_REFUSED,
        BOTH,
        ("invalid-parameter", "illegal-json", "openid-error", "invalid-openid", "suspected-attack", "illegal-card-no"),
        _FIELDS,
        settles_doubt=True,
    ),
    Codes(CONTENT_REFUSED, V3, ("invalid-charset", "invalid-encoding", "invalid-format"), _FIELDS, settles_doubt=True),
)

_ROW_GATEWAY = (
    Codes(CONTENT_REFUSED, GATEWAY, ("ZMDATA.USER_ID_ERROR",), "fix user_id: it is empty or wrong", settles_doubt=True),
    Codes(CONTENT_REFUSED, GATEWAY, ("ZMDATA.OUT_BIZ_NO_NULL",), "fix out_biz_no: it is empty", settles_doubt=True),
    Codes(CONTENT_REFUSED, GATEWAY, ("ZMDATA.OUT_PRINCIPAL_ID_ERROR",), "fix out_principal_id", settles_doubt=True),
    Codes(
        CONTENT_REFUSED,
        GATEWAY,
        ("ZMDATA.BIZ_STATE_CODE_ERROR",),
        "fix biz_state_code: ask the product side which codes were agreed",
        settles_doubt=True,
    ),
    Codes(CONTENT_REFUSED, GATEWAY, ("ZMDATA.CATEGORY_CODE_ERROR",), "fix category_code", settles_doubt=True),
    # The platform spells it without the second A; its documents may correct that later.
    Codes(
        CONTENT_REFUSED,
        GATEWAY,
        ("ZMDAT.SERVICE_ID_ERROR", "ZMDATA.SERVICE_ID_ERROR"),
        "fix service_id",
        settles_doubt=True,
    ),
    Codes(
        CONTENT_REFUSED,
        GATEWAY,
        ("ZMDATA.BIZ_DATA_ERROR",),
        "fix biz_data: it is wrong or not in the agreed form",
        settles_doubt=True,
    ),
    Codes(CONTENT_REFUSED, GATEWAY, ("ZMDATA.*",), _FIELDS, settles_doubt=True),
    # These codes do not show whether the fault is in the content alone, or may depend on time.
    Codes(CONTENT_REFUSED, GATEWAY, ("40002",), _FIELDS),
    Codes(Condition.UNKNOWN_CODE, GATEWAY, ("40004",), "ask the platform's support with the trace id"),
    Codes(Condition.UNKNOWN_CODE, GATEWAY, ("unsupported-sdk-version",), _PROGRAM, halts_after=3),
)

_SIGNATURE = (
    Codes(
        Condition.SIGNATURE_REFUSED,
        BOTH,
        (
            *("missing-signature*", "invalid-signature*", "missing-default-signature-type", "*-cert-*"),
            *("unsupported-expired-app-key-sign", "app-key-security-risk"),
        ),
        _KEYS,
    ),
    Codes(Condition.SIGNATURE_REFUSED, GATEWAY, ("40001",), f"a parameter common to all requests is missing; {_KEYS}"),
    Codes(Condition.CLOCK_REFUSED, BOTH, ("missing-timestamp", "invalid-timestamp", "illegal-timestamp"), _CLOCK),
)

_ACCOUNT = (
    Codes(
        Condition.APP_REFUSED,
        BOTH,
        (
            *("missing-app-id", "invalid-app-id", "invalid-app-state", "not-online-app", "app-api-punished"),
            *("app-unbind-partner", "app-invalid-oid", "missing-app-uid", "invalid-partnerid"),
            *("inner-app-no-access", "invalid-inner-invoke-scene", "invalid-app-api-field-config"),
        ),
        _APP,
    ),
    Codes(
        Condition.APP_REFUSED,
        BOTH,
        (
            *("insufficient-*-permissions", "self-invoke-forbidden", "forbidden-api", "invalid-product"),
            *("sevice-not-been-subscribed-to", "no-product-reg-by-partner", "illegal-client-ip", "ip-forbidden"),
            *("unsupport-operation", "invalid-subscribe-relations", "not-support-app-auth"),
        ),
        _PERMISSION,
    ),
    Codes(Condition.APP_REFUSED, GATEWAY, ("40006",), _PERMISSION),
    Codes(
        Condition.APP_REFUSED,
        BOTH,
        ("exceed-api-balance",),
        "the calls bought for this API are used up; buy more, then resume",
    ),
    Codes(
        Condition.APP_REFUSED,
        BOTH,
        (
            *("missing-method", "invalid-method", "missing-version", "invalid-version", "unsupported-version"),
            *("invalid-digest", "invalid-digest-type", "missing-platform", "invalid-platform", "invalid-app-method"),
            *("invalid-content-type", "invalid-http-method", "method-forbidden-batch-invoke"),
            *("exist-blank-sub-request-id", "exist-repeated-sub-request-id", "upload-fail", "file-check-fail"),
            *("invalid-file-extension", "invalid-file-size"),
        ),
        _PROGRAM,
    ),
    Codes(
        Condition.APP_REFUSED,
        GATEWAY,
        ("invalid-charset", "invalid-format"),
        f"check charset of the account; {_PROGRAM}",
    ),
    Codes(
        Condition.TOKEN_REFUSED,
        BOTH,
        (
            *("invalid-auth-token", "auth-token-time-out", "invalid-app-auth-token", "invalid-app-auth-token-no-api"),
            *("app-auth-token-time-out", "invalid-auth-relations", "invalid-app-auth-relations", "invalid-token"),
            *("missing-app-access-token", "missing-session"),
        ),
        _TOKEN,
    ),
    Codes(Condition.TOKEN_REFUSED, GATEWAY, ("20001", "40003"), _TOKEN),
)

_ENCRYPTION = (
    # The gateway's page advises a retry after these two.
    Codes(
        Condition.ENCRYPTION_REFUSED,
        GATEWAY,
        ("decryption-error-unknown", "invalid-encrypt"),
        _CIPHER,
        action=Action.RETRY,
        tries=2,
        halts_after=2,
    ),
    Codes(
        Condition.ENCRYPTION_REFUSED,
        BOTH,
        (
            *("missing-encrypt-type", "missing-encrypt-key", "invalid-encrypt-type", "invalid-encrypt"),
            *("decryption-error*", "invalid-request-data"),
        ),
        _CIPHER,
    ),
)

ALIPAY_CODES = _FAULTS + _ROW_V3 + _ROW_COMMON + _ROW_GATEWAY + _SIGNATURE + _ACCOUNT + _ENCRYPTION
