"""Texts of verdicts for users, and the parsing of the platforms' texts."""

from datetime import UTC, datetime

import orjson
import pytest

from pipeline.model import Api, Loss, Lost, Opened, Reply, Trust
from pipeline.write.answers.answer_content import AnswerContent, parse_answer, trace_id, wait_seconds
from pipeline.write.answers.judge import judge
from pipeline.write.answers.masking import safe_text
from pipeline.write.answers.sent_request import SentRequest
from pipeline.write.answers.verdict import Halt, Open, Refused, TryAgain, Verdict

NOW = datetime(2025, 11, 20, 10, 0, tzinfo=UTC)
CARD = "HK-0007"


def verdict_on(
    api: Api, fields: dict[str, object], *, status: int = 400, doubt: bool = False, request_id: str = ""
) -> Verdict:
    opened, reply = Opened(Trust.UNSIGNED_ERROR, orjson.dumps(fields)), Reply(status, {"request-id": request_id}, b"{}")
    return judge(SentRequest(api, "key", private=(CARD,)), reply, opened, doubt=doubt, at=NOW)


def test_a_refusal_says_what_to_fix() -> None:
    """A refusal has the platform's message and the catalogue's advice."""
    assert verdict_on(Api.CUMULATION, {"code": "BUYER_INFO_ERROR", "message": "买家信息错误"}) == Refused(
        "BUYER_INFO_ERROR",
        "Alipay refuses the row (BUYER_INFO_ERROR): 买家信息错误; fix the row: with has_alipay_trade, the trade "
        "must belong to this user and this merchant; it belongs to another user",
        settles_doubt=False,
    )


def test_a_halt_says_what_to_check() -> None:
    """A halt says what the platform refuses, and which setting to check."""
    assert verdict_on(Api.POINTS, {"code": "SIGN_ERROR", "message": "签名错误"}, status=401) == Halt(
        "SIGN_ERROR",
        "WeChat Pay refuses our signature (SIGN_ERROR): 签名错误; check mchid, serial_no and private_key_file of the "
        "account against the merchant API certificate",
    )
    assert verdict_on(Api.BRAND_POINTS, {"code": "SIGN_ERROR", "message": "签名错误"}, status=401) == Halt(
        "SIGN_ERROR",
        "WeChat Pay refuses our signature (SIGN_ERROR): 签名错误; check brand_id, serial_no and private_key_file of "
        "the account against the brand API certificate; that of a merchant (mchid) is refused",
    )
    assert verdict_on(Api.BRAND_POINTS, {"code": "INVALID_REQUEST", "message": "Wechatpay-Serial错误"}) == Halt(
        "INVALID_REQUEST",
        "WeChat Pay refuses our account (INVALID_REQUEST): Wechatpay-Serial错误; check public_key_id of the account: "
        "it must be the id of this brand's own WeChat Pay public key",
    )


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("268575528", "; inner error number 268575528 (the card waits for activation)"),
        ("268570001", "; inner error number 268570001"),
        ("0", ""),
    ],
)
def test_an_inner_error_number_is_shown_with_its_meaning(number: str, shown: str) -> None:
    """The number at the end of Request-ID is in the message; 0 means no error. The code stays the platform's."""
    fields: dict[str, object] = {"code": "INVALID_REQUEST", "message": "会员卡未激活"}

    assert verdict_on(Api.POINTS, fields, request_id=f"08F78BB5AF0610D3-{number}") == Refused(
        "INVALID_REQUEST",
        f"WeChat Pay refuses the row (INVALID_REQUEST): 会员卡未激活{shown}; fix the row: the message names what is "
        "wrong",
        settles_doubt=False,
    )


def test_a_field_that_the_document_lacks_is_the_programs_fault() -> None:
    """An inner error number that every row would get stops the run, and says so."""
    assert verdict_on(Api.POINTS, {"code": "PARAM_ERROR"}, request_id="08F78BB5AF0610D3-270924358") == Halt(
        "PARAM_ERROR",
        "WeChat Pay refuses the form of the request (PARAM_ERROR): inner error number 270924358 (a field that the "
        "platform's document lacks); the program sends a field that this API does not know; report this with the "
        "trace id",
    )


def test_a_wrong_key_name_is_a_fault_of_the_setup() -> None:
    """A refusal that speaks of Wechatpay-Serial stops the run, and names the setting to check."""
    fields: dict[str, object] = {"code": "INVALID_REQUEST", "message": "Http头Wechatpay-Serial错误"}

    assert verdict_on(Api.POINTS, fields) == Halt(
        "INVALID_REQUEST",
        "WeChat Pay refuses the form of the request (INVALID_REQUEST): Http头Wechatpay-Serial错误; check public_key_id "
        "of the account against the merchant platform (API security), then resume",
    )


def test_in_doubt_no_new_key_is_advised() -> None:
    """If an earlier attempt may have been applied, the text warns against a new key."""
    assert verdict_on(Api.CUMULATION, {"code": "IDEMPOTENT_ERROR", "message": "幂等"}, doubt=True) == Open(
        "IDEMPOTENT_ERROR",
        "Alipay refuses the row (IDEMPOTENT_ERROR): 幂等; an earlier attempt may have been applied; ask the platform "
        "which values it has for this key, and do not send it under another key",
    )


def test_a_lost_answer_says_why() -> None:
    """The text of a lost answer has host and port, without secrets."""
    lost = Lost(Loss.NOT_CONNECTED, "http://me:secret@proxy.example:3128 refused gateway-2-production-1.example:443")

    assert judge(SentRequest(Api.STATE, "key"), lost, None, doubt=False, at=NOW) == TryAgain(
        "not_connected",
        "no connection to Alipay: http://***@proxy.example:3128 refused gateway-2-production-1.example:443; check "
        "base_url, proxy and network; `backfill rerun` sends it later",
        may_have_acted=False,
        platform_down=True,
    )


@pytest.mark.parametrize(
    ("doubt", "advice"),
    [
        (False, "it was not applied; `backfill rerun` sends it later"),
        (True, "it may have been applied; `backfill rerun` sends it again under the same key"),
    ],
)
def test_no_text_denies_a_doubt(doubt: bool, advice: str) -> None:
    """For a row in doubt the text says that it may have been applied."""
    assert verdict_on(Api.POINTS, {"code": "RATE_LIMITED"}, status=429, doubt=doubt) == TryAgain(
        "RATE_LIMITED",
        f"WeChat Pay refuses the request as too many (RATE_LIMITED); {advice}",
        may_have_acted=False,
        slow=True,
    )


def test_the_field_that_wechatpay_names_is_shown_without_its_value() -> None:
    """Only `field` and `issue` of `detail` are kept; the value may be a user's id."""
    detail = {"field": "/user_card_code", "issue": "too long", "value": "someone"}
    content = orjson.dumps({"code": "PARAM_ERROR", "message": f"no card {CARD}", "detail": detail})
    parsed = parse_answer(Api.POINTS, content, [CARD])

    assert parsed is not None
    assert parsed.message == "no card ***; /user_card_code too long"


@pytest.mark.parametrize("content", [None, b"", b"<html>", b"[1]", b'"text"', b"\xff{}", b"[" * 5000])
def test_other_content_than_a_json_object_is_ignored(content: bytes | None) -> None:
    """Content that is no JSON object gives None."""
    assert parse_answer(Api.CUMULATION, content) is None


def test_codes_and_messages_of_other_types_are_ignored() -> None:
    """Codes and messages that are no text or number are ignored."""
    assert parse_answer(Api.STATE, b'{"code":["x"],"sub_code":null,"msg":true}') == AnswerContent(
        fields={"code": ["x"], "sub_code": None, "msg": True}
    )


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        pytest.param("user 2088102146225135 unknown", "user *** unknown", id="user-id"),
        pytest.param("order 20251120001 unknown", "order 20251120001 unknown", id="eleven-digits-stay"),
        pytest.param("openid=oUpF8uMuAJO_M2pxb1Q9zNjWeSJk", "openid=***", id="openid"),
        pytest.param("id 074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5", "id ***", id="open-id"),
        pytest.param("DECRYPTION_ERROR_NOT_VALID_ENCRYPT_KEY", "DECRYPTION_ERROR_NOT_VALID_ENCRYPT_KEY", id="a-code"),
        pytest.param("zhima-credit-pe-zmgo-cumulation", "zhima-credit-pe-zmgo-cumulation", id="a-name"),
        pytest.param("ConnectionRefusedError: [Errno 111]", "ConnectionRefusedError: [Errno 111]", id="an-exception"),
        pytest.param("SSLCertVerificationError", "SSLCertVerificationError", id="an-exception-after-an-acronym"),
        pytest.param(
            "https://backfill-sim-0a1b2c3d4e.svc.local:8443/v3",
            "https://backfill-sim-0a1b2c3d4e.svc.local:8443/v3",
            id="a-host",
        ),
        pytest.param("backfill-simulator-17:8080 refused", "backfill-simulator-17:8080 refused", id="host-and-port"),
        pytest.param("https://h/oUpF8uMuAJO_M2pxb1Q9zNjWeSJk", "https://h/***", id="an-id-in-a-path"),
        pytest.param("//oUpF8uMuAJO_M2pxb1Q9zNjWeSJk.x:80", "//***.x:80", id="an-id-like-a-host"),
        pytest.param("oUpFxuMuAJOxMxpxbxQxzNjWeSxo", "***", id="openid-of-letters"),
        pytest.param("OupfAbcDefGhiJkl_MnoPqrStu", "***", id="no-name-of-a-class"),
        pytest.param("by gateway-2-production-01.example:443", "by gateway-2-production-01.example:443", id="a-host"),
        pytest.param("by 2088102146225135.example:443", "by ***.example:443", id="an-id-in-a-host"),
        pytest.param("card K7-01 of K7-01", "card *** of ***", id="sent-value"),
        pytest.param("a\x1b[31mb\r\nc\u202ed\x00", "a [31mb c d", id="control-characters"),
        pytest.param("字" * 301, "字" * 299 + "…", id="too-long"),
        pytest.param("1" * 900, "***", id="masked-before-it-is-cut"),
    ],
)
def test_platform_texts_are_made_safe(text: str, safe: str) -> None:
    """Users' ids are masked, control characters removed, and the length is bounded."""
    assert safe_text(text, ["K7-01", "car"]) == safe


@pytest.mark.parametrize(
    ("reason", "asks"),
    [
        ("更换幂等号", True),
        ("请换一个幂等号重试", True),
        ("幂等号已存在，请更换", True),
        ("please change the out_biz_no and try again", True),
        ("use a new idempotency number", True),
        ("重试请求不要更换幂等号", False),
        ("do not change the idempotent number", False),
        ("out_biz_no is too long", False),
        ("协议已失效", False),
    ],
)
def test_a_request_for_another_number_is_recognised(reason: str, asks: bool) -> None:
    """A text that asks for another idempotency number is recognised; one that forbids it is not."""
    parsed = parse_answer(Api.CUMULATION, orjson.dumps({"fail_reason": reason}))

    assert parsed is not None
    assert parsed.asks_for_new_key is asks


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param("7", 7.0, id="seconds"),
        pytest.param(" 0 ", 0.0, id="at-once"),
        pytest.param("86400", 3600.0, id="no-longer-than-an-hour"),
        pytest.param("9" * 500, 3600.0, id="a-number-beyond-floats"),
        pytest.param("Thu, 20 Nov 2025 10:00:30 GMT", 30.0, id="date"),
        pytest.param("Thu, 20 Nov 2025 18:00:30 +0800", 30.0, id="date-in-beijing"),
        pytest.param("Thu, 20 Nov 2025 10:00:30 -0000", 30.0, id="date-without-zone"),
        pytest.param("Thu, 20 Nov 2025 09:00:00 GMT", 0.0, id="date-gone-by"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0, id="date-far-off"),
        pytest.param("soon", None, id="words"),
        pytest.param("-5", None, id="negative"),
        pytest.param("٣", None, id="other-digits"),
        pytest.param("", None, id="empty"),
    ],
)
def test_retry_after_is_read(header: str, seconds: float | None) -> None:
    """Retry-After is a number of seconds or a date, and bounded; other values are ignored."""
    assert wait_seconds(Reply(429, {"retry-after": header}, b""), at=NOW) == seconds


def test_a_verdict_has_retry_after() -> None:
    """A request that may go out again waits for Retry-After, throttled or not."""
    sent, opened = SentRequest(Api.POINTS, "key"), Opened(Trust.UNSIGNED_ERROR)
    replies = [Reply(status, {"retry-after": "9"}, b"") for status in (429, 503)]
    verdicts = [judge(sent, reply, opened, doubt=False, at=NOW) for reply in replies]

    assert [v.wait_seconds for v in verdicts if isinstance(v, TryAgain)] == [9.0, 9.0]


@pytest.mark.parametrize(
    ("api", "headers", "trace"),
    [
        (Api.STATE, {"trace_id": "0b0000003"}, "0b0000003"),
        (Api.STATE, {"trace_id": "0b0000003", "alipay-trace-id": "0b0000002"}, "0b0000003"),
        (Api.CUMULATION, {"trace_id": "0b0000003", "alipay-trace-id": "0b0000002"}, "0b0000002"),
        (Api.CUMULATION, {"trace_id": "0b0000003"}, "0b0000003"),
        (Api.STATE, {"trace_id": " ", "alipay-trace-id": "0b0000002"}, "0b0000002"),
        (Api.CUMULATION, {"alipay-trace-id": "0b0000001"}, "0b0000001"),
        (Api.STATE, {"alipay-trace-id": "0b0000002"}, "0b0000002"),
        (Api.POINTS, {"request-id": "08F78BB5BF0610"}, "08F78BB5BF0610"),
        (Api.POINTS, {"alipay-trace-id": "0b0000001"}, None),
        (Api.CUMULATION, {"alipay-trace-id": " "}, None),
    ],
)
def test_the_trace_id_is_the_platforms(api: Api, headers: dict[str, str], trace: str | None) -> None:
    """The trace id comes from the header that the platform's support asks for."""
    assert trace_id(api, Reply(200, headers, b"")) == trace


LINK = "https://opensupport.alipay.com/support/diagnostic-tools/x"


@pytest.mark.parametrize(
    ("api", "content", "trace"),
    [
        pytest.param(
            Api.STATE, {"sub_msg": f"验签出错【解决方案】：{LINK}?traceId=2101ae56&k=1"}, "2101ae56", id="sub_msg"
        ),
        pytest.param(Api.CUMULATION, {"links": [{"link": f"{LINK}?traceId=2101ae57"}]}, "2101ae57", id="links"),
        pytest.param(Api.POINTS, {"message": f"{LINK}?traceId=2101ae58"}, None, id="not-of-this-platform"),
        pytest.param(Api.STATE, {"sub_msg": f"{LINK}?traceId={CARD}"}, "***", id="sent-value"),
        pytest.param(Api.STATE, {"sub_msg": LINK}, None, id="none"),
    ],
)
def test_the_trace_id_is_in_the_help_link_too(api: Api, content: dict[str, object], trace: str | None) -> None:
    """Without a header, the trace id comes from the help link of Alipay's error."""
    found = trace_id(api, Reply(200, {}, b""), (CARD,), content=orjson.dumps(content))
    in_header = trace_id(Api.STATE, Reply(200, {"trace_id": "0b01"}, b""), content=orjson.dumps(content))

    assert (found, in_header) == (trace, "0b01")
