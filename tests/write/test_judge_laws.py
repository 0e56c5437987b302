"""Properties of all verdicts, for any answer of a server."""

from datetime import UTC, datetime

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.model import Api, Loss, Lost, Opened, Reply, Trust
from pipeline.write.answers.answer_content import trace_id
from pipeline.write.answers.catalogue import RULES
from pipeline.write.answers.judge import judge
from pipeline.write.answers.matrix.alipay import ALIPAY_CODES
from pipeline.write.answers.matrix.condition import Condition
from pipeline.write.answers.matrix.wechatpay import WECHATPAY_CODES
from pipeline.write.answers.sent_request import SentRequest
from pipeline.write.answers.verdict import Halt, Refused, Succeeded, TryAgain

NOW = datetime(2025, 11, 20, 10, 0, tzinfo=UTC)
PRIVATE = ("2088102146225135", "oUpF8uMuAJO_M2pxb1Q9zNjWeSJk", "CARD-0007")

ANY_SENT = SentRequest(Api.STATE, "key", {}, PRIVATE)

names = [name.replace("*", "x") for codes in ALIPAY_CODES + WECHATPAY_CODES for name in codes.names]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False),
    st.text(max_size=30),
    st.sampled_from(
        [*names, *PRIVATE, "10000", "success", "failed", "key", "请更换幂等号", *map("id {}".format, PRIVATE)]
    ),
)
values = st.one_of(scalars, st.lists(scalars, max_size=2), st.dictionaries(st.text(max_size=5), scalars, max_size=2))
fields = st.sampled_from(
    [
        *("code", "sub_code", "msg", "sub_msg", "message", "detail", "fail_reason", "biz_result"),
        *("out_biz_no", "out_request_no", "point_balance", "field", "issue"),
    ]
)
contents = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.dictionaries(fields, values, max_size=8).map(orjson.dumps),
    values.map(orjson.dumps),
)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "alipay-trace-id", "request-id"]),
    st.one_of(st.text(max_size=30), st.integers(0).map(str), st.just("Fri, 31 Dec 9999 23:59:59 -2359")),
)
replies = st.builds(
    Reply,
    st.one_of(st.integers(100, 599), st.integers(-1, 999), st.just(200)),
    headers,
    st.binary(max_size=20),
    is_fresh=st.booleans(),
)
answers = st.one_of(replies, st.builds(Lost, st.sampled_from(Loss), st.text(max_size=40)))
opens = st.one_of(st.none(), st.builds(Opened, st.sampled_from(Trust), contents))
sent_requests = st.builds(
    SentRequest,
    st.sampled_from(Api),
    st.just("key"),
    st.dictionaries(st.sampled_from(["out_biz_no", "point_balance"]), st.one_of(st.just("key"), st.integers(0, 3))),
    st.just(PRIVATE),
)


@given(sent_requests, answers, opens, st.booleans())
@example(
    sent=ANY_SENT,
    answer=Reply(400, {}, b""),
    opened=Opened(Trust.UNSIGNED_ERROR, b'{"code":"CARD-0007"}'),
    doubt=False,
)
@example(sent=ANY_SENT, answer=Reply(200, {}, b""), opened=Opened(Trust.VERIFIED, b'{"code":"\\u0000"}'), doubt=False)
def test_any_answer_has_a_verdict(sent: SentRequest, answer: Reply | Lost, opened: Opened | None, doubt: bool) -> None:
    """
    The judge never raises, and each verdict has these properties.

    - Success requires a verified answer with status 200.
    - A row in doubt is refused only if that settles the doubt.
    - No user's id is repeated, waits are bounded, and each text is one line.
    """
    verdict = judge(sent, answer, opened, doubt=doubt, at=NOW)

    if isinstance(verdict, Succeeded):
        assert isinstance(answer, Reply)
        assert opened is not None
        assert (answer.status, opened.trust) == (200, Trust.VERIFIED)
        return
    if isinstance(verdict, Refused):
        assert verdict.settles_doubt or not doubt
        assert not (verdict.settles_doubt and verdict.wants_new_key)
    if isinstance(verdict, TryAgain):
        assert 0 <= (verdict.wait_seconds or 0) <= 3600
        assert not (verdict.refused_at_last and doubt)
    assert not any(value in verdict.text + repr(verdict) for value in PRIVATE)
    assert len(verdict.text) < 800
    assert verdict.text.isprintable()
    assert "; " in verdict.text, "a text says what happened and what to do next"
    assert 0 < len(verdict.code) <= 64


@given(sent_requests, headers, st.sampled_from(sorted(set(Trust) - {Trust.VERIFIED, Trust.UNSIGNED_ERROR})), contents)
def test_a_success_that_is_not_proven_leaves_the_row_open(
    sent: SentRequest, headers: dict[str, str], trust: Trust, content: bytes | None
) -> None:
    """An untrusted status 200 is no refusal either, unless it is the gateway's unsigned error."""
    verdict = judge(sent, Reply(200, headers, b""), Opened(trust, content), doubt=False, at=NOW)

    if sent.api is not Api.STATE:
        assert isinstance(verdict, TryAgain | Halt)
        assert verdict.may_have_acted


@given(st.sampled_from(Api), replies)
def test_a_trace_id_is_a_short_line(api: Api, reply: Reply) -> None:
    """The trace id is one line of at most 128 characters, or None, for any header."""
    found = trace_id(api, reply)

    assert found is None or (found.isprintable() and 0 < len(found) <= 128)


def test_each_rule_has_advice() -> None:
    """Each rule has advice, or each of its codes does."""
    advised = {codes.condition for codes in ALIPAY_CODES + WECHATPAY_CODES if codes.advice}
    bare = {codes.condition for codes in ALIPAY_CODES + WECHATPAY_CODES if not codes.advice}
    without_advice = {condition for condition, rule in RULES.items() if not rule.advice}

    assert without_advice - advised == {Condition.SUCCESS}
    assert not without_advice & bare
