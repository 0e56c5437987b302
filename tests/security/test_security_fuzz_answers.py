"""No answer of a server raises, and only one that the platform's key signed is a success."""

import base64
import gzip
import time
import tracemalloc
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model import Api, Loss, Lost, Reply, SignedRequest
from pipeline.signing.aes import encrypt
from pipeline.signing.alipay.gateway import AlipayGateway
from pipeline.signing.alipay.v3 import AlipayV3
from pipeline.signing.wechatpay.brand import WechatPayBrand
from pipeline.signing.wechatpay.v3 import WechatPay
from pipeline.write.answers.answer_content import trace_id
from pipeline.write.answers.judge import judge
from pipeline.write.answers.sent_request import sent_request_of
from pipeline.write.answers.verdict import Halt, Open, Refused, Succeeded, TryAgain
from pipeline.write.ports import Signer
from pipeline.write.transport.curl_transport import CurlTransport
from pipeline.write.transport.network import Endpoint, Network
from pipeline.write.transport.requests_transport import RequestsTransport
from tests.security.ends import answering, listening

AT = datetime(2025, 11, 20, 10, 0, tzinfo=UTC)
TIMESTAMP = str(int(AT.timestamp()))
AES_KEY = bytes(range(16))
KEY_ID = "PUB_KEY_ID_0114232134912410000000000000000001"
SENT: Mapping[Api, dict[str, object]] = {
    Api.CUMULATION: {"out_biz_no": "A1", "user_id": "2088000000000001"},
    Api.STATE: {"out_biz_no": "A1", "open_id": "oTESTopenid0000000000000001x"},
    Api.POINTS: {"out_request_no": "A1", "point_balance": 7, "openid": "o1"},
    Api.BRAND_POINTS: {"out_request_no": "A1", "point_balance": 7, "openid": "o1"},
}
# The platform's answer to an accepted request.
ACCEPTED: Mapping[Api, dict[str, object]] = {
    Api.CUMULATION: {"out_biz_no": "A1"},
    Api.STATE: {"code": "10000", "msg": "Success", "biz_result": "success"},
    Api.POINTS: {"out_request_no": "A1", "point_balance": 7},
    Api.BRAND_POINTS: {"out_request_no": "A1", "point_balance": 7, "brand_id": "1"},
}


@cache
def key(name: str) -> rsa.RSAPrivateKey:
    """Return the key of `app`, `platform` or `forger`, made once."""
    assert name in ("app", "platform", "forger")
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def signature(by: str, text: bytes) -> str:
    return base64.b64encode(key(by).sign(text, PKCS1v15(), SHA256())).decode()


@cache
def signer(api: Api, *, encrypted: bool = False) -> Signer:
    platform, app = key("platform").public_key(), key("app")
    aes = AES_KEY if encrypted else None
    match api:
        case Api.CUMULATION:
            return AlipayV3(app_id="1", private_key=app, platform=platform, encrypt_key=aes)
        case Api.STATE:
            return AlipayGateway(app_id="1", private_key=app, platform=platform, encrypt_key=aes)
        case Api.POINTS:
            keys = {KEY_ID: platform}
            return WechatPay(mchid="1", serial_no="1", private_key=app, platform_keys=keys, apiv3_key=bytes(32))
        case Api.BRAND_POINTS:
            return WechatPayBrand(
                brand_id="1", serial_no="1", private_key=app, public_key_id=KEY_ID, public_key=platform
            )


def answer(api: Api, content: bytes, *, by: str, status: int = 200) -> Reply:
    """Return an answer in the form of the protocol, signed with a key."""
    if api is Api.STATE:
        body = b'{"zhima_data_state_data_sync_response":%b,"sign":"%b"}' % (content, signature(by, content).encode())
        return Reply(status, {"content-type": "text/html"}, body)
    prefix = "alipay" if api is Api.CUMULATION else "wechatpay"
    text = f"{TIMESTAMP}\nnonce\n".encode() + content + b"\n"
    named = {"signature": signature(by, text), "timestamp": TIMESTAMP, "nonce": "nonce", "serial": KEY_ID}
    headers = {f"{prefix}-{name}": value for name, value in named.items()}
    return Reply(status, {"content-type": "application/json", **headers}, content)


def verdict_on(api: Api, reply: Reply, *, encrypted: bool = False, doubt: bool = False) -> object:
    """Open and judge an answer as the writer does, and call all other readers of it."""
    sent = sent_request_of(api, "A1", orjson.dumps(SENT[api]), "1" if api is Api.BRAND_POINTS else None)
    one = signer(api, encrypted=encrypted)
    opened = one.open(reply, at=AT)
    one.key_request(opened, at=AT, nonce="1")
    trace_id(api, reply, sent.private)
    return judge(sent, reply, opened, doubt=doubt, at=AT)


@pytest.mark.parametrize("api", Api)
@pytest.mark.parametrize("encrypted", [False, True])
def test_an_answer_signed_by_the_platform_is_a_success(api: Api, encrypted: bool) -> None:
    """The answers that are forged below are successes if the platform's key signs them."""
    content = orjson.dumps(ACCEPTED[api])
    if encrypted and api.platform == "alipay":
        cipher = encrypt(AES_KEY, content)
        content = b'"' + cipher + b'"' if api is Api.STATE else cipher

    assert isinstance(verdict_on(api, answer(api, content, by="platform"), encrypted=encrypted), Succeeded)


def test_no_success_without_the_platforms_signature() -> None:
    """Answers signed by another key, unsigned, or with the signature of other content are no successes."""
    for api in Api:
        content = orjson.dumps(ACCEPTED[api])
        signed, replayed = answer(api, content, by="platform"), answer(api, content + b" ", by="platform")
        if api is Api.STATE:
            sign = orjson.loads(signed.body)["sign"].encode()
            bare = Reply(200, signed.headers, signed.body.partition(b',"sign"')[0] + b"}")
            forged = [bare, Reply(200, {}, signed.body.replace(sign, orjson.loads(replayed.body)["sign"].encode()))]
        else:
            bare = Reply(200, {"content-type": "application/json"}, content)
            forged = [bare, Reply(200, replayed.headers, content), Reply(200, signed.headers, content + b"\n")]
        for reply in (*forged, answer(api, content, by="forger")):
            verdict = verdict_on(api, reply)
            assert isinstance(verdict, TryAgain)
            assert verdict.may_have_acted


SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20)
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
NAMES = st.sampled_from(
    [
        *("code", "sub_code", "msg", "sub_msg", "message", "detail", "fail_reason", "biz_result", "out_biz_no"),
        *("out_request_no", "point_balance", "zhima_data_state_data_sync_response", "error_response", "sign"),
        *("alipay_cert_sn", "data", "serial_no", "encrypt_certificate"),
    ]
)
WORDS = st.sampled_from(
    ["10000", "SUCCESS", "success", "A1", 7, "SYSTEM_ERROR", "isp.unknow-error", "ACCESS_FORBIDDEN"]
)
OBJECTS = st.dictionaries(NAMES, WORDS | JSON, max_size=6)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Give bytes of any kind, or JSON that is whole, cut, repeated, deep, or in another charset."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=80))
    body = orjson.dumps(draw(OBJECTS))
    match draw(st.integers(0, 5)):
        case 0:
            return body[: draw(st.integers(0, len(body)))]
        case 1:
            return body[:-1] + b"," + body[1:] if len(body) > 2 else body
        case 2:
            depth = draw(st.sampled_from([100, 2000, 20_000]))
            return b'{"zhima_data_state_data_sync_response":' + b"[" * depth + b"]" * depth + b"}"
        case 3:
            return body.decode().encode(draw(st.sampled_from(["gb18030", "utf-16", "utf-8-sig"])))
        case 4:
            return body.replace(b'"10000"', b"1e9999").replace(b"7", b"9" * 5000)
        case _:
            return body


HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("alipay-signature", "alipay-timestamp", "alipay-nonce", "alipay-sn", "alipay-trace-id"),
            *("wechatpay-signature", "wechatpay-serial", "wechatpay-timestamp", "wechatpay-nonce", "request-id"),
            *("content-type", "retry-after", "content-encoding"),
        ]
    ),
    st.text(max_size=30)
    | st.sampled_from(
        [TIMESTAMP, "null", "AAAA", KEY_ID, "application/json", "9" * 5000, "WECHATPAY/SIGNTEST/x", "\ud800"]
    )
    | st.sampled_from(["Fri, 31 Dec 9999 23:59:59 -2359", "-1", "1e9", "Thu, 01 Jan 1970 00:00:00 GMT", "\x00"]),
    max_size=8,
)
REPLIES = st.builds(Reply, st.sampled_from([200, 201, 202, 204]) | st.integers(-1, 1000), HEADERS, bodies())


@given(reply=REPLIES, encrypted=st.booleans(), doubt=st.booleans())
@settings(max_examples=400, deadline=None)
def test_no_answer_raises_and_none_unsigned_is_a_success(reply: Reply, encrypted: bool, doubt: bool) -> None:
    """Any status, headers and body give a verdict of each API, but no success."""
    for api in Api:
        verdict = verdict_on(api, reply, encrypted=encrypted, doubt=doubt)

        assert isinstance(verdict, Refused | TryAgain | Open | Halt)
        assert (verdict.code.isprintable(), verdict.text.isprintable()) == (True, True)
        assert len(verdict.text) < 1000
        assert not signer(api, encrypted=encrypted).learn_keys(reply, at=AT)


@given(content=OBJECTS, status=st.integers(100, 599), by=st.sampled_from(["platform", "forger"]), doubt=st.booleans())
@settings(max_examples=60, deadline=None)
def test_only_answers_signed_by_the_platform_can_be_a_success(
    content: dict[str, object], status: int, by: str, doubt: bool
) -> None:
    """A signed answer of any content is no success if another key signed it."""
    for api in Api:
        said = {**ACCEPTED[api], **content} if doubt else content
        verdict = verdict_on(api, answer(api, orjson.dumps(said), by=by, status=status), doubt=doubt)

        assert not isinstance(verdict, Succeeded) or (by == "platform" and status == 200)


RAW = st.binary(max_size=120) | st.lists(
    st.sampled_from(
        [
            *(
                b"HTTP/1.1 200 OK\r\n",
                b"HTTP/1.1 999 \r\n",
                b"HTTP/9.9 x\r\n",
                b"HTTP/1.1 100 Continue\r\n\r\n",
                b"\r\n",
            ),
            *(b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n"),
            *(b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n", b"zz\r\n", b"0\r\n\r\n", b"ffffffffffffffff\r\n"),
            *(b"Content-Encoding: gzip\r\n", b"Content-Encoding: deflate, gzip, br\r\n", b"\x1f\x8b\x08\x00", b"\0\n"),
            *(
                b"Location: http://[::1\r\n",
                b"A: " + b"x" * 70_000 + b"\r\n",
                b"A: b\r\n" * 200,
                b"\xff: \xff\r\n",
                b":\r\n",
            ),
            *(b"Set-Cookie: a=b; domain=.\r\n", b"Connection: upgrade\r\n", b"{}", b" folded\r\n"),
        ]
    ),
    max_size=8,
).map(b"".join)


@given(raw=RAW)
@settings(max_examples=80, deadline=None)
def test_no_bytes_of_a_server_break_the_transport(speak: Callable[[bytes], object], raw: bytes) -> None:
    """For any bytes before the server hangs up, the transport soon returns an answer or its loss."""
    started = time.monotonic()

    assert isinstance(speak(raw), Reply | Lost)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("times", [1, 2], ids=["gzip", "gzip within gzip"])
def test_a_bomb_of_an_answer_is_not_unpacked(speak: Callable[[bytes], object], times: int) -> None:
    """An answer that unpacks to far more than any API sends is dropped, in bounded memory."""
    body = bytes(60 << 20)
    for _ in range(times):
        body = gzip.compress(body, compresslevel=1)
    encodings = ", ".join(["gzip"] * times).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (encodings, len(body))

    tracemalloc.start()
    answer = speak(head + body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert isinstance(answer, Lost)
    assert answer.cause is Loss.CUT_SHORT
    assert peak < 16 << 20


@pytest.fixture(scope="module", params=[RequestsTransport, CurlTransport], ids=["requests", "curl"])
def speak(request: pytest.FixtureRequest) -> Callable[[bytes], object]:
    """Send a request to a server that answers with these bytes and hangs up; return the result."""

    def spoken(raw: bytes) -> object:
        with listening(answering(raw, then_hang_up=True)) as server:
            transport: Network = request.param(Endpoint(f"http://127.0.0.1:{server.port}", timeout_seconds=2))
            return transport.send(SignedRequest("POST", f"/v3?{quote('=')}", {"Authorization": "x"}, b"{}"))

    return spoken
