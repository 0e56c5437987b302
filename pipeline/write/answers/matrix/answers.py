"""Rules of conditions known by whether an answer came, and whether it can be trusted."""

from pipeline.model import Loss, Trust
from pipeline.write.answers.matrix.condition import RERUN, RETRY_ALL, STOP_ALL, Action, Condition, Rule

FAIL, RETRY, STOP, UNKNOWN = Action.FAIL, Action.RETRY, Action.STOP, Action.UNKNOWN
DONE_ALL = (Action.DONE, Action.DONE, Action.DONE)

_PLATFORM_KEY = (
    "check the platform's key in the account (alipay_public_key_file or alipay_cert_file; public_key_file, "
    "platform_cert_file or apiv3_key_env), and check that no proxy alters answers"
)

_WITHOUT_AN_ANSWER = (
    Rule(
        Condition.NOT_CONNECTED,
        RETRY_ALL,
        code="not_connected",
        happened="no connection to {platform}",
        advice="check base_url, proxy and network; `backfill rerun` sends it later",
        losses=frozenset({Loss.NOT_CONNECTED}),
        platform_down=True,
    ),
    Rule(
        Condition.TLS_REFUSED,
        STOP_ALL,
        code="tls_refused",
        happened="the TLS certificate of the server that answers for {platform} does not verify",
        advice="nothing was sent; check base_url, proxy, ca_bundle_file and any TLS-inspecting proxy",
        losses=frozenset({Loss.TLS_REFUSED}),
    ),
    Rule(
        Condition.CONNECTION_LOST,
        RETRY_ALL,
        code="connection_lost",
        happened="the connection to {platform} broke before it answered",
        advice=RERUN,
        losses=frozenset({Loss.CONNECTION_LOST}),
        may_have_acted=True,
        platform_down=True,
    ),
    Rule(
        Condition.TIMEOUT,
        RETRY_ALL,
        code="timeout",
        happened="{platform} did not answer in time",
        advice=RERUN,
        losses=frozenset({Loss.TIMEOUT}),
        may_have_acted=True,
        platform_down=True,
    ),
    Rule(
        Condition.CUT_SHORT,
        RETRY_ALL,
        code="cut_short",
        happened="the answer of {platform} was cut short",
        advice=RERUN,
        losses=frozenset({Loss.CUT_SHORT}),
        may_have_acted=True,
    ),
    Rule(
        Condition.NOT_JSON,
        RETRY_ALL,
        code="answer_unreadable",
        happened="the answer with status {status} is not the JSON that {platform} sends; a proxy may have answered",
        advice=RERUN,
        trusts=frozenset({Trust.UNREADABLE}),
        may_have_acted=True,
    ),
)

_VERIFICATION = (
    Rule(
        Condition.SUCCESS_UNPROVEN,
        RETRY_ALL,
        code="signature_invalid",
        happened="the answer claims success, but its signature is missing or does not verify",
        advice=f"{RERUN}; {_PLATFORM_KEY}",
        trusts=frozenset({Trust.BAD_SIGNATURE, Trust.MISSING_SIGNATURE, Trust.UNSIGNED_ERROR}),
        may_have_acted=True,
        halts_after=3,
    ),
    Rule(
        Condition.SIGNATURE_PROBE,
        (None, None, RETRY),
        code="signature_invalid",
        happened="{platform} sent a wrong signature on purpose, to test this program",
        advice=RERUN,
        trusts=frozenset({Trust.PROBE}),
        may_have_acted=True,
    ),
    Rule(
        Condition.UNKNOWN_SERIAL,
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
    Rule(
        Condition.ANSWER_STALE,
        (None, None, RETRY),
        code="answer_stale",
        happened="the time in the answer of {platform} is more than 5 minutes off ours",
        advice="set this machine's clock, by NTP for example, then rerun",
        trusts=frozenset({Trust.STALE}),
        may_have_acted=True,
        tries=2,
        halts_after=2,
    ),
    Rule(
        Condition.ERROR_FORGED,
        (RETRY, RETRY, None),
        code="signature_invalid",
        happened="the answer is an error whose signature does not verify, so it may be forged",
        advice=f"{RERUN}; {_PLATFORM_KEY}",
        may_have_acted=True,
    ),
    Rule(
        Condition.NOT_DECRYPTABLE,
        (STOP, STOP, None),
        code="not_decryptable",
        happened="the answer of {platform} does not decrypt",
        advice="check the account's encrypt_key_env against the AES key in the platform's console, then rerun",
        trusts=frozenset({Trust.NOT_DECRYPTABLE}),
        may_have_acted=True,
    ),
)

_SUCCESS = (
    Rule(Condition.SUCCESS, DONE_ALL),
    Rule(
        Condition.NOT_TAKEN,
        (FAIL, FAIL, None),
        advice="fix what the platform names, or ask its support with the trace id",
    ),
    Rule(
        Condition.RESULT_NOT_DESCRIBED,
        (None, UNKNOWN, None),
        code="biz_result_unknown",
        happened="{platform} accepted the call, but its answer does not say whether the row was applied",
        advice="ask the platform whether the row was applied before sending it again",
    ),
    Rule(
        Condition.ECHO_DIFFERS,
        (UNKNOWN, None, UNKNOWN),
        code="echo_differs",
        happened="the success that {platform} answers is not about what was sent",
        advice="ask the platform which values it has for this key before sending it again",
    ),
)


ANSWER_RULES = _WITHOUT_AN_ANSWER + _VERIFICATION + _SUCCESS
