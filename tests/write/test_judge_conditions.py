"""Each condition of the retry matrix, for each API where it occurs."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from pipeline.model import Api, Loss, Lost, Opened, Reply, Trust
from pipeline.write.answers.catalogue import RULES
from pipeline.write.answers.judge import judge
from pipeline.write.answers.matrix.condition import Condition
from pipeline.write.answers.sent_request import SentRequest, sent_request_of
from pipeline.write.answers.verdict import Halt, Open, Refused, Succeeded, TryAgain, Verdict

NOW = datetime(2025, 11, 20, 10, 0, tzinfo=UTC)
Z3, GW, WX, BR = Api.CUMULATION, Api.STATE, Api.POINTS, Api.BRAND_POINTS
TAG = {Z3: "Z3", GW: "GW", WX: "WX", BR: "BR"}
SENT = {
    Z3: SentRequest(Z3, "ord-1", {"out_biz_no": "ord-1"}),
    GW: SentRequest(GW, "film-1"),
    WX: SentRequest(WX, "sync-1", {"out_request_no": "sync-1", "point_balance": 70}),
    BR: SentRequest(BR, "sync-1", {"out_request_no": "sync-1", "point_balance": 70}, brand_id="1004"),
}
ACCEPTED: dict[Api, dict[str, object]] = {
    Z3: {"out_biz_no": "ord-1", "agreement_no": "20250000000000000001"},
    GW: {"code": "10000", "msg": "Success", "biz_result": "success"},
    WX: {"out_request_no": "sync-1", "point_balance": 70, "card_id": "c"},
}
DONE = {Z3: Succeeded("SUCCESS"), GW: Succeeded("10000"), WX: Succeeded("SUCCESS")}


@dataclass(frozen=True)
class Case:
    """An answer and its verdict. Texts of verdicts are tested in test_judge_texts.py."""

    condition: Condition
    api: Api
    why: str
    answer: Reply | Lost
    means: Verdict
    opened: Opened | None = None
    doubt: bool = False

    def __str__(self) -> str:
        return f"{self.condition.name}-{TAG[self.api]}-{self.why}"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as the signer opened it."""

    status: int = 200
    fields: dict[str, object] | None = None
    trust: Trust = Trust.VERIFIED
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def means(self, condition: Condition, api: Api, why: str, means: Verdict, *, doubt: bool = False) -> Case:
        content = None if self.fields is None else orjson.dumps(self.fields)
        reply = Reply(self.status, self.headers, content or self.body)
        return Case(condition, api, why, reply, means=means, opened=Opened(self.trust, content), doubt=doubt)


def again(code: str, *, may_have_acted: bool = True, **more: Any) -> TryAgain:
    return TryAgain(code, "", may_have_acted, **more)


def down(code: str, *, may_have_acted: bool = True) -> TryAgain:
    return TryAgain(code, "", may_have_acted, platform_down=True)


def slow(code: str) -> TryAgain:
    return TryAgain(code, "", may_have_acted=False, slow=True)


def refused(code: str, **more: Any) -> Refused:
    return Refused(code, "", **{"settles_doubt": False, **more})


def error(code: str, message: str = "no", *, api: Api = Z3, status: int = 400) -> Answer:
    """Return an unsigned error answer, like an early refusal."""
    if api is GW:
        fields: dict[str, object] = {"code": "40004", "msg": "Business Failed", "sub_code": code, "sub_msg": message}
        return Answer(200, fields, Trust.UNSIGNED_ERROR)
    return Answer(status, {"code": code, "message": message}, Trust.UNSIGNED_ERROR)


def without_an_answer() -> Iterator[Case]:
    """Conditions without an answer."""
    for api in (Z3, GW, WX):
        for condition, loss, means in (
            (Condition.NOT_CONNECTED, Loss.NOT_CONNECTED, down("not_connected", may_have_acted=False)),
            (Condition.TLS_REFUSED, Loss.TLS_REFUSED, Halt("tls_refused", "")),
            (Condition.CONNECTION_LOST, Loss.CONNECTION_LOST, down("connection_lost")),
            (Condition.TIMEOUT, Loss.TIMEOUT, down("timeout")),
            (Condition.CUT_SHORT, Loss.CUT_SHORT, again("cut_short")),
        ):
            yield Case(condition, api, loss.value, Lost(loss, "reset by peer"), means)
        html = Answer(trust=Trust.UNREADABLE, body=b"<html>")
        yield html.means(Condition.NOT_JSON, api, "html", again("answer_unreadable"))
        yield Answer(body=b"[]").means(Condition.NOT_JSON, api, "signed-but-no-object", again("answer_unreadable"))


def status_alone() -> Iterator[Case]:
    """Conditions known by the status alone. At the gateway each is also GATEWAY_STATUS."""
    table: tuple[tuple[Condition, int, Verdict], ...] = (
        (Condition.SERVER_ERROR, 500, down("http_500")),
        (Condition.SERVER_ERROR, 507, down("http_507")),
        (Condition.SERVER_UNAVAILABLE, 502, down("http_502")),
        (Condition.SERVER_UNAVAILABLE, 503, down("http_503")),
        (Condition.SERVER_UNAVAILABLE, 504, down("http_504")),
        (Condition.STATUS_THROTTLED, 429, slow("http_429")),
        (Condition.ACCEPTED_ONLY, 202, again("http_202")),
        (Condition.STATUS_NOT_DESCRIBED, 204, Open("http_204", "")),
        (Condition.STATUS_NOT_DESCRIBED, 206, Open("http_206", "")),
        (Condition.REDIRECT, 302, Halt("http_302", "")),
        (Condition.UNAUTHORIZED, 401, Halt("http_401", "")),
        (Condition.FORBIDDEN, 403, Halt("http_403", "")),
        (Condition.NO_SUCH_PATH, 404, Halt("http_404", "")),
        (Condition.NO_SUCH_PATH, 405, Halt("http_405", "")),
        (Condition.CLIENT_ERROR, 400, refused("http_400")),
        (Condition.CLIENT_ERROR, 422, refused("http_422")),
    )
    for api in (Z3, GW, WX):
        for condition, status, means in table:
            trust = Trust.VERIFIED if status < 300 else Trust.UNSIGNED_ERROR
            yield Answer(status, trust=trust).means(condition, api, str(status), means)
        page = Answer(404, trust=Trust.UNSIGNED_ERROR, body=b"<html>not here</html>")
        yield page.means(Condition.CLIENT_ERROR, api, "404-with-a-page", refused("http_404"))
        yield replace(page, status=405).means(Condition.NO_SUCH_PATH, api, "405-with-a-page", Halt("http_405", ""))
    yield Answer(501, trust=Trust.UNSIGNED_ERROR).means(
        Condition.NO_SUCH_PATH, WX, "501-is-never-retried", Halt("http_501", "")
    )
    yield Answer(501, trust=Trust.UNSIGNED_ERROR).means(Condition.SERVER_ERROR, Z3, "501", down("http_501"))
    coded = Answer(401, {"code": "WHO_KNOWS", "message": ""}, Trust.UNSIGNED_ERROR)
    yield coded.means(Condition.UNAUTHORIZED, Z3, "unknown-code", Halt("WHO_KNOWS", ""))
    yield Answer(503, trust=Trust.UNREADABLE, body=b"<html>").means(
        Condition.GATEWAY_STATUS, GW, "503-as-server-unavailable", down("http_503")
    )
    yield Answer(404, ACCEPTED[GW]).means(Condition.GATEWAY_STATUS, GW, "no-success-without-200", refused("10000"))


def verification() -> Iterator[Case]:
    """Conditions of an untrusted answer."""
    unproven = again("signature_invalid", halts_after=3)
    unknown_key = again("certificate_unknown", refresh_keys=True, tries=2, halts_after=2)
    for api in (Z3, GW, WX):
        accepted = Answer(fields=ACCEPTED[api])
        yield replace(accepted, trust=Trust.BAD_SIGNATURE).means(
            Condition.SUCCESS_UNPROVEN, api, "bad-signature", unproven
        )
        yield replace(accepted, trust=Trust.MISSING_SIGNATURE).means(
            Condition.SUCCESS_UNPROVEN, api, "missing-signature", unproven
        )
        yield replace(accepted, trust=Trust.UNSIGNED_ERROR).means(
            Condition.SUCCESS_UNPROVEN, api, "no-error-at-all", unproven
        )
        yield Case(
            Condition.SUCCESS_UNPROVEN, api, "never-opened", Reply(200, {}, orjson.dumps(ACCEPTED[api])), unproven
        )
        yield replace(accepted, trust=Trust.UNKNOWN_SERIAL).means(
            Condition.UNKNOWN_SERIAL, api, "unknown-serial", unknown_key
        )
    subbed = Answer(fields={**ACCEPTED[GW], "sub_code": "isv.invalid-parameter"}, trust=Trust.MISSING_SIGNATURE)
    yield subbed.means(Condition.SUCCESS_UNPROVEN, GW, "a-sub-code-makes-it-no-error", unproven)
    accepted = Answer(fields=ACCEPTED[WX])
    yield replace(accepted, trust=Trust.PROBE).means(Condition.SIGNATURE_PROBE, WX, "probe", again("signature_invalid"))
    stale = again("answer_stale", tries=2, halts_after=2)
    yield replace(accepted, trust=Trust.STALE).means(Condition.ANSWER_STALE, WX, "stale", stale)
    for api in (Z3, GW):
        refusal = error("INVALID_PARAMETER", api=api)
        yield replace(refusal, trust=Trust.BAD_SIGNATURE).means(
            Condition.ERROR_FORGED, api, "forged", again("signature_invalid")
        )
        yield replace(refusal, trust=Trust.UNKNOWN_SERIAL).means(
            Condition.UNKNOWN_SERIAL, api, "error-with-unknown-serial", unknown_key
        )
        lost_key = Halt("not_decryptable", "", may_have_acted=True)
        yield Answer(trust=Trust.NOT_DECRYPTABLE, body=b"AAAA").means(
            Condition.NOT_DECRYPTABLE, api, "wrong-aes-key", lost_key
        )
    named = refused("PARAM_ERROR", settles_doubt=True)
    bad = replace(error("PARAM_ERROR"), trust=Trust.BAD_SIGNATURE)
    yield bad.means(Condition.ERROR_FORGED, WX, "errors-are-not-verified", named)
    for api, code in ((Z3, "INVALID_PARAMETER"), (GW, "isv.invalid-parameter"), (WX, "PARAM_ERROR")):
        means = refused(code, settles_doubt=True)
        yield error(code, api=api).means(Condition.ERROR_UNSIGNED, api, "unsigned", means)
        yield replace(error(code, api=api), trust=Trust.VERIFIED).means(Condition.ERROR_UNSIGNED, api, "signed", means)
    missing = replace(error("isv.invalid-parameter", api=GW), trust=Trust.MISSING_SIGNATURE)
    yield missing.means(
        Condition.ERROR_UNSIGNED, GW, "missing-signature", refused("isv.invalid-parameter", settles_doubt=True)
    )


def successes() -> Iterator[Case]:
    """Conditions of a success."""
    for api in (Z3, GW, WX):
        yield Answer(fields=ACCEPTED[api]).means(Condition.SUCCESS, api, "success", DONE[api])
        yield Answer(fields=ACCEPTED[api]).means(
            Condition.SUCCESS_ON_REPEAT, api, "success-on-a-repeat", DONE[api], doubt=True
        )
    yield Answer(fields={**ACCEPTED[Z3], "fail_reason": ""}).means(Condition.SUCCESS, Z3, "empty-fail-reason", DONE[Z3])
    yield Answer(fields={**ACCEPTED[Z3], "fail_reason": None}).means(Condition.SUCCESS, Z3, "no-fail-reason", DONE[Z3])
    failed = Answer(fields={"fail_reason": "协议已失效"})
    yield failed.means(Condition.NOT_TAKEN, Z3, "fail-reason", refused("FAIL_REASON"))
    yield failed.means(Condition.NOT_TAKEN, Z3, "fail-reason-in-doubt", Open("FAIL_REASON", ""), doubt=True)
    asks = Answer(fields={"fail_reason": "请更换幂等号后重试"})
    yield asks.means(Condition.NOT_TAKEN, Z3, "asks-for-a-new-number", refused("FAIL_REASON", wants_new_key=True))
    yield asks.means(Condition.NOT_TAKEN, Z3, "asks-for-a-new-number-in-doubt", Open("FAIL_REASON", ""), doubt=True)
    failed_result = Answer(fields={**ACCEPTED[GW], "biz_result": "failed"})
    yield failed_result.means(Condition.NOT_TAKEN, GW, "failed", refused("BIZ_RESULT_FAILED"))
    for why, more in (("missing", {}), ("other", {"biz_result": "processing"}), ("no-text", {"biz_result": True})):
        strange = Answer(fields={"code": "10000", "msg": "Success", **more})
        yield strange.means(Condition.RESULT_NOT_DESCRIBED, GW, f"biz-result-{why}", Open("biz_result_unknown", ""))
    subbed = Answer(fields={**ACCEPTED[GW], "sub_code": "odd"})
    yield subbed.means(Condition.RESULT_NOT_DESCRIBED, GW, "success-with-a-sub-code", Open("biz_result_unknown", ""))
    yield Answer(fields={}).means(Condition.RESULT_NOT_DESCRIBED, GW, "nothing-said", Open("biz_result_unknown", ""))
    differs = Open("echo_differs", "")
    yield Answer(fields={**ACCEPTED[Z3], "out_biz_no": "ord-2"}).means(Condition.ECHO_DIFFERS, Z3, "other-key", differs)
    yield Answer(fields={}).means(Condition.ECHO_DIFFERS, Z3, "no-key", differs)
    yield Answer(fields={**ACCEPTED[WX], "point_balance": 71}).means(
        Condition.ECHO_DIFFERS, WX, "other-balance", differs
    )
    yield Answer(fields={**ACCEPTED[WX], "point_balance": "70"}).means(
        Condition.ECHO_DIFFERS, WX, "balance-as-text", differs
    )
    yield Answer(fields={**ACCEPTED[WX], "point_balance": 70.0}).means(
        Condition.SUCCESS, WX, "the-same-number", DONE[WX]
    )


def codes() -> Iterator[Case]:
    """Conditions known by a code. test_catalogue_codes.py has each code."""
    yield error("SYSTEM_ERROR").means(Condition.SYSTEM_ERROR, Z3, "system-error", down("SYSTEM_ERROR"))
    yield error("SYSTEM_ERROR", api=GW).means(Condition.SYSTEM_ERROR, GW, "system-error", down("SYSTEM_ERROR"))
    yield error("SYSTEM_ERROR", status=500).means(Condition.SYSTEM_ERROR, WX, "system-error", down("SYSTEM_ERROR"))
    used = error("IDEMPOTENT_ERROR")
    yield used.means(Condition.KEY_USED, Z3, "first-attempt", refused("IDEMPOTENT_ERROR", wants_new_key=True))
    yield used.means(Condition.KEY_USED_IN_DOUBT, Z3, "after-an-open-attempt", Open("IDEMPOTENT_ERROR", ""), doubt=True)
    yield error("ALREADY_EXISTS").means(Condition.KEY_USED, WX, "first-attempt", refused("ALREADY_EXISTS"))
    yield error("ALREADY_EXISTS").means(
        Condition.KEY_USED_IN_DOUBT, WX, "after-an-open-attempt", Open("ALREADY_EXISTS", ""), doubt=True
    )
    for api, code in ((Z3, "INVALID_BIZ_ACTION"), (GW, "ZMDATA.BIZ_DATA_ERROR"), (WX, "PARAM_ERROR")):
        means = refused(code, settles_doubt=True)
        yield error(code, api=api).means(Condition.CONTENT_REFUSED, api, "content", means)
        yield error(code, api=api).means(Condition.CONTENT_REFUSED, api, "content-in-doubt", means, doubt=True)
    yield error("REFUND_ILLEGAL").means(Condition.CONTENT_REFUSED, Z3, "state", refused("REFUND_ILLEGAL"))
    yield error("REFUND_ILLEGAL").means(
        Condition.CONTENT_REFUSED, Z3, "state-in-doubt", Open("REFUND_ILLEGAL", ""), doubt=True
    )
    yield error("NOT_FOUND", status=404).means(Condition.CONTENT_REFUSED, WX, "not-found", refused("NOT_FOUND"))
    yield error("PAY_ORDER_NOT_EXIST").means(
        Condition.PAYMENT_UNKNOWN, Z3, "no-payment", refused("PAY_ORDER_NOT_EXIST")
    )
    agreement = again("EASY_MEMBER_CONSULT_FAIL", may_have_acted=False, tries=2, refused_at_last=True)
    yield error("EASY_MEMBER_CONSULT_FAIL").means(Condition.AGREEMENT_UNCONFIRMED, Z3, "once-more", agreement)
    in_doubt = replace(agreement, refused_at_last=False)
    yield error("EASY_MEMBER_CONSULT_FAIL").means(
        Condition.AGREEMENT_UNCONFIRMED, Z3, "once-more-in-doubt", in_doubt, doubt=True
    )
    yield error("app-call-limited").means(Condition.THROTTLED, Z3, "400", slow("app-call-limited"))
    yield error("isv.app-call-limited", api=GW).means(Condition.THROTTLED, GW, "40005", slow("isv.app-call-limited"))
    yield error("RATELIMIT_EXCEEDED", status=429).means(Condition.THROTTLED, WX, "429", slow("RATELIMIT_EXCEEDED"))
    for condition, z3, gw, wx in (
        (Condition.SIGNATURE_REFUSED, "invalid-signature", "isv.invalid-signature", "SIGN_ERROR"),
        (Condition.CLOCK_REFUSED, "invalid-timestamp", "isv.invalid-timestamp", None),
        (Condition.APP_REFUSED, "invalid-app-id", "isv.invalid-app-id", "NO_AUTH"),
        (Condition.TOKEN_REFUSED, "invalid-app-auth-token", "aop.invalid-app-auth-token", None),
        (Condition.ENCRYPTION_REFUSED, "decryption-error", "isv.decryption-error-not-valid-encrypt-key", None),
    ):
        for api, named in ((Z3, z3), (GW, gw), (WX, wx)):
            if named:
                yield error(named, api=api, status=401).means(condition, api, named, Halt(named, ""))
    late = error("SIGN_ERROR", "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟", status=401)
    yield late.means(Condition.CLOCK_REFUSED, WX, "timestamp", Halt("SIGN_ERROR", ""))
    no_access = refused("REQUEST_ACCESS_ILLEGAL", halts_after=3)
    yield error("REQUEST_ACCESS_ILLEGAL").means(Condition.ACCESS_REFUSED, Z3, "access", no_access)
    once = again("isv.invalid-encrypt", may_have_acted=False, tries=2, halts_after=2)
    yield error("isv.invalid-encrypt", api=GW).means(Condition.ENCRYPTION_REFUSED, GW, "once-more", once)
    header = error("INVALID_REQUEST", "Http头缺少Accept或User-Agent")
    yield header.means(Condition.REQUEST_MALFORMED, WX, "header", Halt("INVALID_REQUEST", ""))
    key_name = error("INVALID_REQUEST", "Http头Wechatpay-Serial错误, 请检查微信支付公钥ID")
    yield key_name.means(Condition.REQUEST_MALFORMED, WX, "wechatpay-serial", Halt("INVALID_REQUEST", ""))
    field = replace(error("PARAM_ERROR"), headers={"request-id": "08F78BB5AF06-270924358"})
    yield field.means(Condition.REQUEST_MALFORMED, WX, "unknown-field", Halt("PARAM_ERROR", ""))
    yield error("REQUEST_BLOCKED", "商户权限校验失败", status=403).means(
        Condition.APP_REFUSED, WX, "REQUEST_BLOCKED", Halt("REQUEST_BLOCKED", "")
    )
    yield error("INVALID_REQUEST", "会员卡未激活").means(
        Condition.CONTENT_REFUSED, WX, "business-rule", refused("INVALID_REQUEST")
    )


def unknown_codes() -> Iterator[Case]:
    """Conditions of an unknown code."""
    yield error("BRAND_NEW").means(Condition.UNKNOWN_CODE, Z3, "400", refused("BRAND_NEW"))
    yield error("BRAND_NEW", status=404).means(Condition.UNKNOWN_CODE, WX, "404", refused("BRAND_NEW"))
    yield error("isv.brand-new", api=GW).means(Condition.UNKNOWN_CODE, GW, "unknown-sub-code", refused("isv.brand-new"))
    odd = Answer(200, {"code": "50000", "msg": "odd"}, Trust.UNSIGNED_ERROR)
    yield odd.means(Condition.UNKNOWN_CODE, GW, "unknown-code", refused("50000"))
    yield error("BRAND_NEW").means(Condition.UNKNOWN_CODE, Z3, "in-doubt", Open("BRAND_NEW", ""), doubt=True)
    yield error("BRAND_NEW", status=500).means(Condition.UNKNOWN_CODE_5XX, Z3, "500", down("BRAND_NEW"))
    yield error("BRAND_NEW", status=503).means(Condition.UNKNOWN_CODE_5XX, WX, "503", down("BRAND_NEW"))


def at_the_brand_api(cases: list[Case]) -> Iterator[Case]:
    """Each case of the provider's points call, at the brand's, and what only a brand's answer has."""
    yield from (replace(case, api=BR) for case in cases if case.api is WX)
    for brand_id in ("1004", None):
        own = Answer(fields={**ACCEPTED[WX], "brand_id": brand_id})
        yield own.means(Condition.SUCCESS, BR, f"brand-{brand_id!r}", DONE[WX])
    other = Answer(fields={**ACCEPTED[WX], "brand_id": "1005"})
    yield other.means(Condition.ECHO_DIFFERS, BR, "another-brand", Open("echo_differs", ""))
    key_id = error("INVALID_REQUEST", "Http头Wechatpay-Serial与品牌不匹配")
    yield key_id.means(Condition.APP_REFUSED, BR, "another-brand-s-key", Halt("INVALID_REQUEST", ""))


OF_PROVIDERS = [
    *without_an_answer(),
    *status_alone(),
    *verification(),
    *successes(),
    *codes(),
    *unknown_codes(),
]
CASES = [*OF_PROVIDERS, *at_the_brand_api(OF_PROVIDERS)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_answer_gets_the_verdict_of_the_matrix(case: Case) -> None:
    """Each condition of the matrix gets its verdict."""
    verdict = judge(SENT[case.api], case.answer, case.opened, doubt=case.doubt, at=NOW)

    assert (verdict if isinstance(verdict, Succeeded) else replace(verdict, text="")) == case.means


def test_true_is_not_the_balance_of_one_point() -> None:
    """`true` is not the echo of the number 1."""
    sent = SentRequest(WX, "sync-1", {"point_balance": 1})
    opened = Opened(Trust.VERIFIED, b'{"point_balance":true}')

    assert isinstance(judge(sent, Reply(200, {}, b""), opened, doubt=False, at=NOW), Open)


# Handled by the mapping, the settings, the failure streaks and the lanes.
ELSEWHERE = {
    Condition.ROW_INVALID, Condition.OWN_KEY_UNUSABLE, Condition.SAME_CODE_FROM_START, Condition.OVERTAKEN,
}  # fmt: skip
BY_ANOTHER_RULE = {
    Condition.GATEWAY_STATUS, Condition.ERROR_UNSIGNED, Condition.SUCCESS_ON_REPEAT, Condition.KEY_USED_IN_DOUBT,
}  # fmt: skip


def test_every_condition_is_in_the_data_and_tested() -> None:
    """Each of the 49 conditions has a rule or is handled elsewhere, and each of the judge's has a case above."""
    assert len(Condition) == 49
    assert set(RULES) == set(Condition) - ELSEWHERE - BY_ANOTHER_RULE
    assert {case.condition for case in CASES} == set(Condition) - ELSEWHERE


@pytest.mark.parametrize(
    ("api", "body", "sent"),
    [
        pytest.param(
            Z3,
            {"out_biz_no": "ord-1", "user_id": "2088000000000001", "agreement_no": "2025", "partner_id": "2088"},
            SentRequest(Z3, "ord-1", {"out_biz_no": "ord-1"}, ("2088000000000001", "2025")),
            id="cumulation",
        ),
        pytest.param(GW, {"out_biz_no": "b", "open_id": "o"}, SentRequest(GW, "b", {}, ("o",)), id="state"),
        pytest.param(
            WX,
            {"out_request_no": "r", "point_balance": 0, "openid": "o", "user_card_code": "c", "card_id": "p"},
            SentRequest(WX, "r", {"out_request_no": "r", "point_balance": 0}, ("o", "c", "p")),
            id="points",
        ),
        pytest.param(
            BR,
            {"out_request_no": "r", "point_balance": 0, "openid": "o", "user_card_code": "c", "card_id": "p"},
            SentRequest(BR, "r", {"out_request_no": "r", "point_balance": 0}, ("o", "c", "p")),
            id="brand points",
        ),
    ],
)
def test_the_sent_request_is_read_from_the_body(api: Api, body: dict[str, object], sent: SentRequest) -> None:
    """Echoed values and users' ids come from the body that was sent; repr shows no id."""
    found = sent_request_of(api, sent.request_key, orjson.dumps(body))

    assert found == sent
    assert repr(found) == f"SentRequest(api={api!r}, request_key={sent.request_key!r}, echo={dict(sent.echo)!r})"
