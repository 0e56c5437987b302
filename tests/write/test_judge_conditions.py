"""Every condition of the retry matrix, for every API where it occurs."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from pipeline.model import Api, Loss, Lost, Opened, Reply, Trust
from pipeline.write.asked import Asked, asked_of
from pipeline.write.catalogue import CONDITIONS
from pipeline.write.judge import judge
from pipeline.write.verdict import Halt, Open, Refused, Succeeded, TryAgain, Verdict

NOW = datetime(2025, 11, 20, 10, 0, tzinfo=UTC)
Z3, GW, WX = Api.CUMULATION, Api.STATE, Api.POINTS
TAG = {Z3: "Z3", GW: "GW", WX: "WX"}
SENT = {
    Z3: Asked(Z3, "ord-1", {"out_biz_no": "ord-1"}),
    GW: Asked(GW, "film-1"),
    WX: Asked(WX, "sync-1", {"out_request_no": "sync-1", "point_balance": 70}),
}
ACCEPTED: dict[Api, dict[str, object]] = {
    Z3: {"out_biz_no": "ord-1", "agreement_no": "20250000000000000001"},
    GW: {"code": "10000", "msg": "Success", "biz_result": "success"},
    WX: {"out_request_no": "sync-1", "point_balance": 70, "card_id": "c"},
}
DONE = {Z3: Succeeded("SUCCESS"), GW: Succeeded("10000"), WX: Succeeded("SUCCESS")}


@dataclass(frozen=True)
class Case:
    """One answer and what it means; the texts of verdicts are looked at elsewhere."""

    number: int
    api: Api
    why: str
    answer: Reply | Lost
    means: Verdict
    opened: Opened | None = None
    doubt: bool = False

    def __str__(self) -> str:
        return f"{self.number}-{TAG[self.api]}-{self.why}"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as the signer hands it on."""

    status: int = 200
    fields: dict[str, object] | None = None
    trust: Trust = Trust.VERIFIED
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def means(self, number: int, api: Api, why: str, means: Verdict, *, doubt: bool = False) -> Case:
        content = None if self.fields is None else orjson.dumps(self.fields)
        reply = Reply(self.status, self.headers, content or self.body)
        return Case(number, api, why, reply, means, Opened(self.trust, content), doubt=doubt)


def again(code: str, *, may_have_acted: bool = True, **more: Any) -> TryAgain:
    return TryAgain(code, "", may_have_acted, **more)


def down(code: str, *, may_have_acted: bool = True) -> TryAgain:
    return TryAgain(code, "", may_have_acted, platform_down=True)


def slow(code: str) -> TryAgain:
    return TryAgain(code, "", may_have_acted=False, slow=True)


def refused(code: str, **more: Any) -> Refused:
    return Refused(code, "", **{"settles_doubt": False, **more})


def error(code: str, message: str = "no", *, api: Api = Z3, status: int = 400) -> Answer:
    """Return an unsigned error answer, as early refusals are."""
    if api is GW:
        fields: dict[str, object] = {"code": "40004", "msg": "Business Failed", "sub_code": code, "sub_msg": message}
        return Answer(200, fields, Trust.UNSIGNED_ERROR)
    return Answer(status, {"code": code, "message": message}, Trust.UNSIGNED_ERROR)


def without_an_answer() -> Iterator[Case]:
    """Conditions 3 to 8."""
    for api in Api:
        for number, loss, means in (
            (3, Loss.NOT_CONNECTED, down("not_connected", may_have_acted=False)),
            (4, Loss.TLS_REFUSED, Halt("tls_refused", "")),
            (5, Loss.CONNECTION_LOST, down("connection_lost")),
            (6, Loss.TIMEOUT, down("timeout")),
            (7, Loss.CUT_SHORT, again("cut_short")),
        ):
            yield Case(number, api, loss.value, Lost(loss, "reset by peer"), means)
        html = Answer(trust=Trust.UNREADABLE, body=b"<html>")
        yield html.means(8, api, "html", again("answer_unreadable"))
        yield Answer(body=b"[]").means(8, api, "signed-but-no-object", again("answer_unreadable"))


def status_alone() -> Iterator[Case]:
    """Conditions 9 to 19: at the gateway any of them is 19 as well."""
    table: tuple[tuple[int, int, Verdict], ...] = (
        (9, 500, down("http_500")),
        (9, 507, down("http_507")),
        (10, 502, down("http_502")),
        (10, 503, down("http_503")),
        (10, 504, down("http_504")),
        (11, 429, slow("http_429")),
        (12, 202, again("http_202")),
        (13, 204, Open("http_204", "")),
        (13, 206, Open("http_206", "")),
        (14, 302, Halt("http_302", "")),
        (15, 401, Halt("http_401", "")),
        (16, 403, Halt("http_403", "")),
        (17, 404, Halt("http_404", "")),
        (17, 405, Halt("http_405", "")),
        (18, 400, refused("http_400")),
        (18, 422, refused("http_422")),
    )
    for api in Api:
        for number, status, means in table:
            trust = Trust.VERIFIED if status < 300 else Trust.UNSIGNED_ERROR
            yield Answer(status, trust=trust).means(number, api, str(status), means)
        page = Answer(404, trust=Trust.UNSIGNED_ERROR, body=b"<html>not here</html>")
        yield page.means(18, api, "404-with-a-page", refused("http_404"))
        yield replace(page, status=405).means(17, api, "405-with-a-page", Halt("http_405", ""))
    yield Answer(501, trust=Trust.UNSIGNED_ERROR).means(17, WX, "501-is-never-mended", Halt("http_501", ""))
    yield Answer(501, trust=Trust.UNSIGNED_ERROR).means(9, Z3, "501", down("http_501"))
    coded = Answer(401, {"code": "WHO_KNOWS", "message": ""}, Trust.UNSIGNED_ERROR)
    yield coded.means(15, Z3, "unknown-code", Halt("WHO_KNOWS", ""))
    yield Answer(503, trust=Trust.UNREADABLE, body=b"<html>").means(19, GW, "503-as-10", down("http_503"))
    yield Answer(404, ACCEPTED[GW]).means(19, GW, "no-success-without-200", refused("10000"))


def verification() -> Iterator[Case]:
    """Conditions 20 to 26."""
    unproven = again("signature_invalid", halts_after=3)
    unknown_key = again("certificate_unknown", refresh_keys=True, tries=2, halts_after=2)
    for api in Api:
        taken = Answer(fields=ACCEPTED[api])
        yield replace(taken, trust=Trust.BAD_SIGNATURE).means(20, api, "bad-signature", unproven)
        yield replace(taken, trust=Trust.MISSING_SIGNATURE).means(20, api, "missing-signature", unproven)
        yield replace(taken, trust=Trust.UNSIGNED_ERROR).means(20, api, "no-error-at-all", unproven)
        yield Case(20, api, "never-opened", Reply(200, {}, orjson.dumps(ACCEPTED[api])), unproven)
        yield replace(taken, trust=Trust.UNKNOWN_SERIAL).means(22, api, "unknown-serial", unknown_key)
    subbed = Answer(fields={**ACCEPTED[GW], "sub_code": "isv.invalid-parameter"}, trust=Trust.MISSING_SIGNATURE)
    yield subbed.means(20, GW, "a-sub-code-makes-it-no-error", unproven)
    taken = Answer(fields=ACCEPTED[WX])
    yield replace(taken, trust=Trust.PROBE).means(21, WX, "probe", again("signature_invalid"))
    stale = again("answer_stale", tries=2, halts_after=2)
    yield replace(taken, trust=Trust.STALE).means(23, WX, "stale", stale)
    for api in (Z3, GW):
        refusal = error("INVALID_PARAMETER", api=api)
        yield replace(refusal, trust=Trust.BAD_SIGNATURE).means(24, api, "forged", again("signature_invalid"))
        yield replace(refusal, trust=Trust.UNKNOWN_SERIAL).means(22, api, "error-with-unknown-serial", unknown_key)
        lost_key = Halt("not_decryptable", "", may_have_acted=True)
        yield Answer(trust=Trust.NOT_DECRYPTABLE, body=b"AAAA").means(26, api, "wrong-aes-key", lost_key)
    named = refused("PARAM_ERROR", settles_doubt=True)
    bad = replace(error("PARAM_ERROR"), trust=Trust.BAD_SIGNATURE)
    yield bad.means(24, WX, "errors-are-not-verified", named)
    for api, code in ((Z3, "INVALID_PARAMETER"), (GW, "isv.invalid-parameter"), (WX, "PARAM_ERROR")):
        means = refused(code, settles_doubt=True)
        yield error(code, api=api).means(25, api, "unsigned", means)
        yield replace(error(code, api=api), trust=Trust.VERIFIED).means(25, api, "signed", means)
    missing = replace(error("isv.invalid-parameter", api=GW), trust=Trust.MISSING_SIGNATURE)
    yield missing.means(25, GW, "missing-signature", refused("isv.invalid-parameter", settles_doubt=True))


def half_success() -> Iterator[Case]:
    """Conditions 27 to 31."""
    for api in Api:
        yield Answer(fields=ACCEPTED[api]).means(27, api, "success", DONE[api])
        yield Answer(fields=ACCEPTED[api]).means(31, api, "success-on-a-repeat", DONE[api], doubt=True)
    yield Answer(fields={**ACCEPTED[Z3], "fail_reason": ""}).means(27, Z3, "empty-fail-reason", DONE[Z3])
    yield Answer(fields={**ACCEPTED[Z3], "fail_reason": None}).means(27, Z3, "no-fail-reason", DONE[Z3])
    failed = Answer(fields={"fail_reason": "协议已失效"})
    yield failed.means(28, Z3, "fail-reason", refused("FAIL_REASON"))
    yield failed.means(28, Z3, "fail-reason-in-doubt", Open("FAIL_REASON", ""), doubt=True)
    asks = Answer(fields={"fail_reason": "请更换幂等号后重试"})
    yield asks.means(28, Z3, "asks-for-a-new-number", refused("FAIL_REASON", wants_new_key=True))
    yield asks.means(28, Z3, "asks-for-a-new-number-in-doubt", Open("FAIL_REASON", ""), doubt=True)
    not_taken = Answer(fields={**ACCEPTED[GW], "biz_result": "failed"})
    yield not_taken.means(28, GW, "failed", refused("BIZ_RESULT_FAILED"))
    for why, more in (("missing", {}), ("other", {"biz_result": "processing"}), ("no-text", {"biz_result": True})):
        strange = Answer(fields={"code": "10000", "msg": "Success", **more})
        yield strange.means(29, GW, f"biz-result-{why}", Open("biz_result_unknown", ""))
    subbed = Answer(fields={**ACCEPTED[GW], "sub_code": "odd"})
    yield subbed.means(29, GW, "success-with-a-sub-code", Open("biz_result_unknown", ""))
    yield Answer(fields={}).means(29, GW, "nothing-said", Open("biz_result_unknown", ""))
    differs = Open("echo_differs", "")
    yield Answer(fields={**ACCEPTED[Z3], "out_biz_no": "ord-2"}).means(30, Z3, "other-key", differs)
    yield Answer(fields={}).means(30, Z3, "no-key", differs)
    yield Answer(fields={**ACCEPTED[WX], "point_balance": 71}).means(30, WX, "other-balance", differs)
    yield Answer(fields={**ACCEPTED[WX], "point_balance": "70"}).means(30, WX, "balance-as-text", differs)
    yield Answer(fields={**ACCEPTED[WX], "point_balance": 70.0}).means(27, WX, "the-same-number", DONE[WX])


def codes() -> Iterator[Case]:
    """Conditions 32 to 47; every single code is in test_catalogue_codes.py."""
    yield error("SYSTEM_ERROR").means(32, Z3, "system-error", down("SYSTEM_ERROR"))
    yield error("SYSTEM_ERROR", api=GW).means(32, GW, "system-error", down("SYSTEM_ERROR"))
    yield error("SYSTEM_ERROR", status=500).means(32, WX, "system-error", down("SYSTEM_ERROR"))
    used = error("IDEMPOTENT_ERROR")
    yield used.means(33, Z3, "first-attempt", refused("IDEMPOTENT_ERROR", wants_new_key=True))
    yield used.means(34, Z3, "after-an-open-attempt", Open("IDEMPOTENT_ERROR", ""), doubt=True)
    yield error("ALREADY_EXISTS").means(33, WX, "first-attempt", refused("ALREADY_EXISTS"))
    yield error("ALREADY_EXISTS").means(34, WX, "after-an-open-attempt", Open("ALREADY_EXISTS", ""), doubt=True)
    for api, code in ((Z3, "INVALID_BIZ_ACTION"), (GW, "ZMDATA.BIZ_DATA_ERROR"), (WX, "PARAM_ERROR")):
        means = refused(code, settles_doubt=True)
        yield error(code, api=api).means(35, api, "content", means)
        yield error(code, api=api).means(35, api, "content-in-doubt", means, doubt=True)
    yield error("REFUND_ILLEGAL").means(35, Z3, "state", refused("REFUND_ILLEGAL"))
    yield error("REFUND_ILLEGAL").means(35, Z3, "state-in-doubt", Open("REFUND_ILLEGAL", ""), doubt=True)
    yield error("NOT_FOUND", status=404).means(35, WX, "not-found", refused("NOT_FOUND"))
    yield error("PAY_ORDER_NOT_EXIST").means(37, Z3, "no-payment", refused("PAY_ORDER_NOT_EXIST"))
    agreement = again("EASY_MEMBER_CONSULT_FAIL", may_have_acted=False, tries=2, refused_at_last=True)
    yield error("EASY_MEMBER_CONSULT_FAIL").means(38, Z3, "once-more", agreement)
    in_doubt = replace(agreement, refused_at_last=False)
    yield error("EASY_MEMBER_CONSULT_FAIL").means(38, Z3, "once-more-in-doubt", in_doubt, doubt=True)
    yield error("app-call-limited").means(39, Z3, "400", slow("app-call-limited"))
    yield error("isv.app-call-limited", api=GW).means(39, GW, "40005", slow("isv.app-call-limited"))
    yield error("RATELIMIT_EXCEEDED", status=429).means(39, WX, "429", slow("RATELIMIT_EXCEEDED"))
    for number, z3, gw, wx in (
        (41, "invalid-signature", "isv.invalid-signature", "SIGN_ERROR"),
        (42, "invalid-timestamp", "isv.invalid-timestamp", None),
        (43, "invalid-app-id", "isv.invalid-app-id", "NO_AUTH"),
        (45, "invalid-app-auth-token", "aop.invalid-app-auth-token", None),
        (46, "decryption-error", "isv.decryption-error-not-valid-encrypt-key", None),
    ):
        for api, named in ((Z3, z3), (GW, gw), (WX, wx)):
            if named:
                yield error(named, api=api, status=401).means(number, api, named, Halt(named, ""))
    late = error("SIGN_ERROR", "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟", status=401)
    yield late.means(42, WX, "timestamp", Halt("SIGN_ERROR", ""))
    no_access = refused("REQUEST_ACCESS_ILLEGAL", halts_after=3)
    yield error("REQUEST_ACCESS_ILLEGAL").means(44, Z3, "access", no_access)
    once = again("isv.invalid-encrypt", may_have_acted=False, tries=2, halts_after=2)
    yield error("isv.invalid-encrypt", api=GW).means(46, GW, "once-more", once)
    header = error("INVALID_REQUEST", "Http头缺少Accept或User-Agent")
    yield header.means(47, WX, "header", Halt("INVALID_REQUEST", ""))
    yield error("INVALID_REQUEST", "会员卡未激活").means(35, WX, "business-rule", refused("INVALID_REQUEST"))


def unknown_codes() -> Iterator[Case]:
    """Conditions 48 and 49."""
    yield error("BRAND_NEW").means(48, Z3, "400", refused("BRAND_NEW"))
    yield error("BRAND_NEW", status=404).means(48, WX, "404", refused("BRAND_NEW"))
    yield error("isv.brand-new", api=GW).means(48, GW, "unknown-sub-code", refused("isv.brand-new"))
    odd = Answer(200, {"code": "50000", "msg": "odd"}, Trust.UNSIGNED_ERROR)
    yield odd.means(48, GW, "unknown-code", refused("50000"))
    yield error("BRAND_NEW").means(48, Z3, "in-doubt", Open("BRAND_NEW", ""), doubt=True)
    yield error("BRAND_NEW", status=500).means(49, Z3, "500", down("BRAND_NEW"))
    yield error("BRAND_NEW", status=503).means(49, WX, "503", down("BRAND_NEW"))


CASES = [
    *without_an_answer(),
    *status_alone(),
    *verification(),
    *half_success(),
    *codes(),
    *unknown_codes(),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_answer_means_what_the_matrix_says(case: Case) -> None:
    """Each condition of the matrix gives the verdict that the matrix asks for."""
    verdict = judge(SENT[case.api], case.answer, case.opened, doubt=case.doubt, at=NOW)

    assert (verdict if isinstance(verdict, Succeeded) else replace(verdict, text="")) == case.means


def test_true_is_not_the_balance_of_one_point() -> None:
    """A truth value that a comparison would take for a number is not the echo of that number."""
    asked = Asked(WX, "sync-1", {"point_balance": 1})
    opened = Opened(Trust.VERIFIED, b'{"point_balance":true}')

    assert isinstance(judge(asked, Reply(200, {}, b""), opened, doubt=False, at=NOW), Open)


def test_every_condition_is_in_the_data_and_tested() -> None:
    """All 49 conditions are in the data, and the judge's own have a case above."""
    elsewhere = {n for n, condition in CONDITIONS.items() if not condition.decided_in.startswith("judge")}

    assert sorted(CONDITIONS) == list(range(1, 50))
    assert {case.number for case in CASES} | elsewhere == set(CONDITIONS)
    assert {n: CONDITIONS[n].decided_in for n in elsewhere} == {
        1: "map",
        2: "settings",
        36: "suspicion",
        40: "lanes",
    }


@pytest.mark.parametrize(
    ("api", "body", "asked"),
    [
        pytest.param(
            Z3,
            {"out_biz_no": "ord-1", "user_id": "2088000000000001", "agreement_no": "2025", "partner_id": "2088"},
            Asked(Z3, "ord-1", {"out_biz_no": "ord-1"}, ("2088000000000001", "2025")),
            id="cumulation",
        ),
        pytest.param(GW, {"out_biz_no": "b", "open_id": "o"}, Asked(GW, "b", {}, ("o",)), id="state"),
        pytest.param(
            WX,
            {"out_request_no": "r", "point_balance": 0, "openid": "o", "user_card_code": "c", "card_id": "p"},
            Asked(WX, "r", {"out_request_no": "r", "point_balance": 0}, ("o", "c")),
            id="points",
        ),
    ],
)
def test_what_was_asked_is_read_from_the_body(api: Api, body: dict[str, object], asked: Asked) -> None:
    """The values to be echoed and the users' ids are those of the body that was sent; the ids show in no repr."""
    found = asked_of(api, asked.request_key, orjson.dumps(body))

    assert found == asked
    assert repr(found) == f"Asked(api={api!r}, request_key={asked.request_key!r}, echo={dict(asked.echo)!r})"
