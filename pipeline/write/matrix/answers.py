"""Conditions 1 to 8 and 20 to 31: known by whether an answer came, and how far it can be believed."""

from pipeline.model import Loss, Trust
from pipeline.write.matrix.condition import FAIL_ALL, LATER, RERUN, RETRY_ALL, STOP_ALL, Action, Condition

FAIL, RETRY, STOP, UNKNOWN = Action.FAIL, Action.RETRY, Action.STOP, Action.UNKNOWN
DONE_ALL = (Action.DONE, Action.DONE, Action.DONE)

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
        advice="set this machine's clock, by NTP for example, then rerun",
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


ANSWER_CONDITIONS = _WITHOUT_AN_ANSWER + _VERIFICATION + _SUCCESS
