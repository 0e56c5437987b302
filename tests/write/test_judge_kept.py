"""Verdicts on answers over a kept connection, which may answer another request."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model import Api, Loss, Lost, Opened, Reply, Trust
from pipeline.write.answers.judge import judge
from pipeline.write.answers.sent_request import SentRequest
from pipeline.write.answers.verdict import Open, Refused, Succeeded, TryAgain, Verdict

NOW = datetime(2025, 11, 20, 10, 0, tzinfo=UTC)
Z3, GW, WX, BR = Api.CUMULATION, Api.STATE, Api.POINTS, Api.BRAND_POINTS
SENT = {
    Z3: SentRequest(Z3, "ord-1", {"out_biz_no": "ord-1"}),
    GW: SentRequest(GW, "film-1"),
    WX: SentRequest(WX, "sync-1", {"out_request_no": "sync-1", "point_balance": 70}),
    BR: SentRequest(BR, "sync-1", {"out_request_no": "sync-1", "point_balance": 70}, brand_id="1004"),
}
DONE: dict[Api, dict[str, object]] = {
    Z3: {"out_biz_no": "ord-1"},
    GW: {"code": "10000", "biz_result": "success"},
    WX: {"out_request_no": "sync-1", "point_balance": 70},
    BR: {"out_request_no": "sync-1", "point_balance": 70, "brand_id": "1004"},
}


def judged(
    api: Api,
    status: int = 200,
    fields: dict[str, object] | None = None,
    *,
    fresh: bool = False,
    unconfirmed: str = "",
    trust: Trust = Trust.VERIFIED,
    headers: dict[str, str] | None = None,
) -> Verdict:
    content = None if fields is None else orjson.dumps(fields)
    reply = Reply(status, headers or {}, content or b"", is_fresh=fresh)
    opened = Opened(trust, content)
    return judge(SENT[api], reply, opened, doubt=False, at=NOW, unconfirmed=unconfirmed)


def unconfirmed(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict on an unconfirmed answer, without its text."""
    assert isinstance(verdict, TryAgain)
    assert (verdict.may_have_acted, verdict.is_unconfirmed, verdict.platform_down) == (True, True, False)
    assert "came over a kept connection" in verdict.text
    return {"code": verdict.code, "slow": verdict.slow, "caller": verdict.questions_caller}


@pytest.mark.parametrize("api", [Z3, WX, BR])
def test_a_success_that_names_its_request_counts(api: Api) -> None:
    """An echo proves that a success belongs to its request, over any connection."""
    assert judged(api, fields=DONE[api]) == Succeeded("SUCCESS")


def test_a_refusal_that_names_its_request_counts() -> None:
    """A signed answer with an echo and a failure text belongs to its request."""
    verdict = judged(Z3, fields={**DONE[Z3], "fail_reason": "协议已失效"})

    assert isinstance(verdict, Refused)
    assert verdict.code == "FAIL_REASON"


@pytest.mark.parametrize(
    ("api", "status", "fields", "means"),
    [
        pytest.param(GW, 200, DONE[GW], {"code": "10000"}, id="a-states-success"),
        pytest.param(Z3, 200, {"out_biz_no": "ord-2"}, {"code": "echo_differs"}, id="success-of-another-request"),
        pytest.param(
            WX, 200, {"out_request_no": "sync-1", "point_balance": 7}, {"code": "echo_differs"}, id="other-value"
        ),
        pytest.param(
            BR, 200, {**DONE[BR], "brand_id": "1005"}, {"code": "echo_differs"}, id="success-of-another-brand"
        ),
        pytest.param(Z3, 200, {"fail_reason": "x"}, {"code": "FAIL_REASON"}, id="failure-text-without-echo"),
        pytest.param(WX, 400, {"code": "PARAM_ERROR"}, {"code": "PARAM_ERROR"}, id="the-row-refused"),
        pytest.param(GW, 200, {"code": "40004", "sub_code": "ZMDATA.X"}, {"code": "ZMDATA.X"}, id="the-state-refused"),
        pytest.param(Z3, 408, None, {"code": "http_408"}, id="an-idle-connection-closed"),
        pytest.param(Z3, 204, None, {"code": "http_204"}, id="not-described"),
        pytest.param(Z3, 403, None, {"code": "http_403", "caller": True}, id="the-caller-refused"),
        pytest.param(
            WX, 401, {"code": "SIGN_ERROR"}, {"code": "SIGN_ERROR", "caller": True}, id="our-signature-refused"
        ),
        pytest.param(Z3, 302, None, {"code": "http_302", "caller": True}, id="a-redirect"),
        pytest.param(WX, 429, {"code": "RATE_LIMITED"}, {"code": "RATE_LIMITED", "slow": True}, id="throttled"),
        pytest.param(
            Z3, 400, {"code": "EASY_MEMBER_CONSULT_FAIL"}, {"code": "EASY_MEMBER_CONSULT_FAIL"}, id="to-be-tried-again"
        ),
    ],
)
def test_an_answer_without_an_echo_must_be_confirmed(
    api: Api, status: int, fields: dict[str, object] | None, means: dict[str, Any]
) -> None:
    """Without an echo neither success nor refusal counts: the request is sent again, and is in doubt until then."""
    trust = Trust.VERIFIED if status == 200 else Trust.UNSIGNED_ERROR

    assert unconfirmed(judged(api, status, fields, trust=trust)) == {"slow": False, "caller": False} | means


def test_retry_after_of_an_unconfirmed_answer_is_obeyed() -> None:
    """The retry waits for Retry-After, even if the answer belongs to another request."""
    verdict = judged(WX, 429, {"code": "RATE_LIMITED"}, trust=Trust.UNSIGNED_ERROR, headers={"retry-after": "7"})

    assert isinstance(verdict, TryAgain)
    assert verdict.wait_seconds == 7.0


@pytest.mark.parametrize(
    ("status", "fields", "trust"),
    [
        pytest.param(500, None, Trust.UNSIGNED_ERROR, id="server-fault"),
        pytest.param(200, {"out_biz_no": "ord-1"}, Trust.BAD_SIGNATURE, id="bad-signature"),
        pytest.param(200, {"out_biz_no": "ord-1"}, Trust.UNKNOWN_SERIAL, id="unknown-key"),
    ],
)
def test_an_answer_that_leaves_doubt_has_the_same_verdict(
    status: int, fields: dict[str, object] | None, trust: Trust
) -> None:
    """An answer that claims nothing about the request has the same verdict over any connection."""
    kept, fresh = (judged(Z3, status, fields, trust=trust, fresh=is_fresh) for is_fresh in (False, True))

    assert kept == fresh
    assert isinstance(kept, TryAgain)
    assert not kept.is_unconfirmed


@pytest.mark.parametrize(
    ("before", "kind"),
    [
        pytest.param("", Refused, id="at-first"),
        pytest.param("REFUND_ILLEGAL", Refused, id="the-same-again"),
        pytest.param("http_408", Open, id="another-before"),
    ],
)
def test_a_refusal_over_a_fresh_connection_confirms_only_the_same(before: str, kind: type[Verdict]) -> None:
    """A refusal under another code than before leaves the earlier attempt in doubt."""
    verdict = judged(Z3, 400, {"code": "REFUND_ILLEGAL"}, fresh=True, unconfirmed=before, trust=Trust.UNSIGNED_ERROR)

    assert isinstance(verdict, kind)


def test_a_refusal_of_the_content_alone_settles_any_doubt() -> None:
    """A refusal of the content also refuses each earlier attempt with the same bytes."""
    fields: dict[str, object] = {"code": "INVALID_PARAMETER"}

    assert isinstance(judged(Z3, 400, fields, fresh=True, unconfirmed="http_403", trust=Trust.UNSIGNED_ERROR), Refused)


fields_of_answers = st.dictionaries(
    st.sampled_from(["code", "sub_code", "message", "fail_reason", "biz_result", "out_biz_no", "point_balance"]),
    st.one_of(
        st.none(), st.integers(0, 9), st.sampled_from(["10000", "success", "ord-2", "SIGN_ERROR", "PARAM_ERROR"])
    ),
)


@given(st.sampled_from(Api), st.integers(200, 599), fields_of_answers, st.sampled_from(Trust))
def test_nothing_without_an_echo_ends_a_row(api: Api, status: int, fields: dict[str, object], trust: Trust) -> None:
    """Over a kept connection, an answer without an echo neither confirms, refuses nor halts; a repeat may halt."""
    verdict = judged(api, status, fields, trust=trust)

    assert isinstance(verdict, TryAgain)
    assert verdict.may_have_acted
    assert verdict.halts_after is None or verdict.tries == verdict.halts_after == 2


def test_a_lost_answer_has_the_same_verdict_over_any_connection() -> None:
    """A lost answer needs no confirmation."""
    verdict = judge(SENT[Z3], Lost(Loss.NOT_CONNECTED), None, doubt=False, at=NOW, unconfirmed="http_403")

    assert isinstance(verdict, TryAgain)
    assert not verdict.is_unconfirmed
    assert verdict.text.endswith("it may have been applied; `backfill rerun` sends it again under the same key")
