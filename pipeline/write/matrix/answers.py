"""Conditions 1 to 31 of the retry matrix: known by whether and how an answer came, not by its code."""

from pipeline.model import Loss, Trust
from pipeline.write.matrix.condition import FAIL_ALL, LATER, RERUN, RETRY_ALL, SLOW_ALL, STOP_ALL, Action, Condition

FAIL, RETRY, STOP, UNKNOWN = Action.FAIL, Action.RETRY, Action.STOP, Action.UNKNOWN
DONE_ALL = (Action.DONE, Action.DONE, Action.DONE)
UNKNOWN_ALL = (UNKNOWN, UNKNOWN, UNKNOWN)

_PLATFORM_KEY = (
    "check the platform's key in the account (alipay_public_key_file or alipay_cert_file; public_key_file, "
    "platform_cert_file or apiv3_key_env) and that nothing between here and the platform alters answers"
)

_WITHOUT_AN_ANSWER = (
    Condition(1, "the row breaks a local rule", FAIL_ALL, decided_in="map"),
    Condition(2, "own key or certificate missing, unreadable or expired", STOP_ALL, decided_in="settings"),
    Condition(
        3,
        "no connection: DNS, refused, handshake, connect timeout",
        RETRY_ALL,
        code="not_connected",
        happened="no connection to {platform}",
        advice=LATER,
        losses=frozenset({Loss.NOT_CONNECTED}),
        platform_down=True,
    ),
    Condition(
        4,
        "the server's TLS certificate does not verify",
        STOP_ALL,
        code="tls_refused",
        happened="the TLS certificate of the server that answers for {platform} does not verify",
        advice="nothing was sent; check base_url, proxy and ca_bundle_file, and who stands in between",
        losses=frozenset({Loss.TLS_REFUSED}),
    ),
    Condition(
        5,
        "connection lost; whether the request was fully written can't be told, so as 6",
        RETRY_ALL,
        code="connection_lost",
        happened="the connection to {platform} broke before it answered",
        advice=RERUN,
        losses=frozenset({Loss.CONNECTION_LOST}),
        may_have_acted=True,
        platform_down=True,
    ),
    Condition(
        6,
        "no answer in time after the request was written",
        RETRY_ALL,
        code="timeout",
        happened="{platform} did not answer in time",
        advice=RERUN,
        losses=frozenset({Loss.TIMEOUT}),
        may_have_acted=True,
        platform_down=True,
    ),
    Condition(
        7,
        "answer cut short",
        RETRY_ALL,
        code="cut_short",
        happened="the answer of {platform} was cut short",
        advice=RERUN,
        losses=frozenset({Loss.CUT_SHORT}),
        may_have_acted=True,
    ),
    Condition(
        8,
        "status 200, but the body is no JSON",
        RETRY_ALL,
        code="answer_unreadable",
        happened="the answer with status {status} is not the JSON that {platform} sends; a proxy may have answered",
        advice=RERUN,
        trusts=frozenset({Trust.UNREADABLE}),
        may_have_acted=True,
    ),
)

_STATUS_ALONE = (
    Condition(
        9,
        "500 without a known code",
        RETRY_ALL,
        happened="{platform} answered status {status}",
        advice=RERUN,
        statuses=frozenset({*range(500, 502), *range(505, 600)}),
        may_have_acted=True,
        platform_down=True,
    ),
    Condition(
        10,
        "502, 503, 504 without a known code",
        RETRY_ALL,
        happened="{platform} answered status {status}",
        advice=RERUN,
        statuses=frozenset({*range(502, 505)}),
        may_have_acted=True,
        platform_down=True,
    ),
    Condition(
        11,
        "429",
        SLOW_ALL,
        happened="{platform} refuses the request as too many (status {status})",
        advice=LATER,
        statuses=frozenset({429}),
    ),
    Condition(
        12,
        "202: accepted, not done yet",
        (RETRY, None, RETRY),
        happened="{platform} has accepted the request but not carried it out (status {status})",
        advice=RERUN,
        statuses=frozenset({202}),
        may_have_acted=True,
    ),
    Condition(
        13,
        "204, and any other status that is not described for these calls",
        UNKNOWN_ALL,
        happened="{platform} answered status {status}, which is not described for this call",
        advice="ask the platform whether the row was applied before sending it again",
        statuses=frozenset({*range(100, 200), 201, *range(203, 300)}),
    ),
    Condition(
        14,
        "3xx: a redirect",
        STOP_ALL,
        happened="the server redirects instead of answering (status {status})",
        advice="check base_url, gateway_url and proxy; a signed request follows no redirect",
        statuses=frozenset({*range(300, 400)}),
    ),
    Condition(
        15,
        "401 without a known code",
        STOP_ALL,
        happened="{platform} refuses our signature or authorisation (status {status})",
        advice="check the account's id, private_key_file and certificate serial against the platform's console",
        statuses=frozenset({401}),
    ),
    Condition(
        16,
        "403 without a known code",
        STOP_ALL,
        happened="{platform} denies the account permission (status {status})",
        advice="ask for the product's permission in the platform's console, and check its list of allowed addresses",
        statuses=frozenset({403}),
    ),
    Condition(
        17,
        "404 or 405 with an empty body",
        STOP_ALL,
        happened="{platform} does not know this path or method (status {status})",
        advice="check base_url and gateway_url",
        statuses=frozenset({404, 405}),
    ),
    Condition(
        18,
        "other 4xx without a known code",
        FAIL_ALL,
        happened="{platform} refuses the row (status {status})",
        advice="compare the row with the platform's field rules",
        statuses=frozenset({400, 402, *range(406, 429), *range(430, 500)}),
    ),
    Condition(19, "any status but 200: as 9 to 18", (None, RETRY, None), decided_in="judge, as 9 to 18"),
)

_VERIFICATION = (
    Condition(
        20,
        "success answer whose signature is bad or missing",
        RETRY_ALL,
        code="signature_invalid",
        happened="the answer claims success, but its signature is missing or does not verify",
        advice=f"{RERUN}; {_PLATFORM_KEY}",
        trusts=frozenset({Trust.BAD_SIGNATURE, Trust.MISSING_SIGNATURE, Trust.UNSIGNED_ERROR}),
        may_have_acted=True,
        halts_after=3,
    ),
    Condition(
        21,
        "probe: an answer with a wrong signature on purpose",
        (None, None, RETRY),
        code="signature_invalid",
        happened="{platform} probed whether a wrong signature is noticed",
        advice=RERUN,
        trusts=frozenset({Trust.PROBE}),
        may_have_acted=True,
    ),
    Condition(
        22,
        "certificate serial of the answer unknown",
        RETRY_ALL,
        code="certificate_unknown",
        happened="the answer is signed with a key of {platform} that is not known here",
        advice="fetch the platform's newest certificate or public key and set it in the account, then rerun",
        trusts=frozenset({Trust.UNKNOWN_SERIAL}),
        may_have_acted=True,
        refresh_keys=True,
        tries=2,
        halts_after=2,
    ),
    Condition(
        23,
        "time of the answer more than five minutes off",
        (None, None, RETRY),
        code="answer_stale",
        happened="the time in the answer of {platform} is more than five minutes off ours",
        advice="set this machine's clock (`backfill check` shows the offset), then rerun",
        trusts=frozenset({Trust.STALE}),
        may_have_acted=True,
        tries=2,
        halts_after=2,
    ),
    Condition(
        24,
        "error answer with a bad signature",
        (RETRY, RETRY, None),
        code="signature_invalid",
        happened="the answer is an error whose signature does not verify, so it may be forged",
        advice=f"{RERUN}; {_PLATFORM_KEY}",
        may_have_acted=True,
    ),
    Condition(25, "error answer without a signature", (None, None, None), decided_in="judge, by its code"),
    Condition(
        26,
        "encrypted answer does not decrypt",
        (STOP, STOP, None),
        code="not_decryptable",
        happened="the answer of {platform} does not decrypt",
        advice="check the account's encrypt_key_env against the AES key in the platform's console, then rerun",
        trusts=frozenset({Trust.NOT_DECRYPTABLE}),
        may_have_acted=True,
    ),
)

_SUCCESS = (
    Condition(27, "plain success, verified", DONE_ALL),
    Condition(
        28,
        "success status, but the text says it was not taken",
        (FAIL, FAIL, None),
        advice="mend what the platform names, or ask its support with the trace id",
    ),
    Condition(
        29,
        "10000 without a biz_result that is described",
        (None, UNKNOWN, None),
        code="biz_result_unknown",
        happened="{platform} accepted the call, but its answer does not say what became of it",
        advice="ask the platform whether the row was applied before sending it again",
    ),
    Condition(
        30,
        "echoed values differ from what was sent",
        (UNKNOWN, None, UNKNOWN),
        code="echo_differs",
        happened="the success that {platform} answers is not about what was sent",
        advice="ask the platform what it holds for this key before sending it again",
    ),
    Condition(31, "success on a repeat of an open row", DONE_ALL, decided_in="judge, as 27"),
)


ANSWER_CONDITIONS = _WITHOUT_AN_ANSWER + _STATUS_ALONE + _VERIFICATION + _SUCCESS
