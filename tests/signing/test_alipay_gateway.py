"""Alipay's gateway, beyond the golden vectors."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest

from pipeline.errors import SettingsError
from pipeline.model import Opened, Reply, Trust
from pipeline.signing.aes import encrypt
from pipeline.signing.alipay.gateway import AlipayGateway

AT = datetime(2025, 11, 20, 18, 30, tzinfo=UTC)
NODE = b"zhima_data_state_data_sync_response"
AES_KEY = bytes(range(16))
BODY = '{"out_biz_no":"A-17","biz_data":"{\\"name\\":\\"测试影院\\"}"}'.encode()
DONE = b'{"code":"10000","msg":"Success","biz_result":"success"}'

NewGateway = Callable[..., AlipayGateway]
Answer = Callable[..., Reply]


def query_of(target: str) -> dict[str, str]:
    return dict(parse_qsl(target.partition("?")[2], strict_parsing=True))


def test_the_timestamp_is_beijing_time_and_signed(new_gateway: NewGateway) -> None:
    """The timestamp is Beijing time, and each attempt has a new signature over the same form."""
    signer = new_gateway()

    first, second = (signer.sign(BODY, at=AT + timedelta(seconds=wait), nonce="") for wait in (0, 1))

    queries = [query_of(attempt.target) for attempt in (first, second)]
    assert [query["timestamp"] for query in queries] == ["2025-11-21 02:30:00", "2025-11-21 02:30:01"]
    assert queries[0]["sign"] != queries[1]["sign"]
    assert first.body == second.body


def test_the_path_of_another_gateway_is_kept(new_gateway: NewGateway) -> None:
    """The path of another gateway's URL is kept before the parameters."""
    signed = new_gateway(target="/sandbox/gateway.do").sign(BODY, at=AT, nonce="")

    assert signed.target.startswith("/sandbox/gateway.do?app_id=2021000000000001&")


def test_text_not_in_the_charset_raises(new_gateway: NewGateway) -> None:
    """A character outside GBK raises; nothing is sent in its place."""
    with pytest.raises(UnicodeEncodeError):
        new_gateway(charset="GBK").sign('{"biz_data":"🎬"}'.encode(), at=AT, nonce="")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        pytest.param({"charset": "big5"}, "charset 'big5' is none of the gateway's; use utf-8 or gbk", id="charset"),
        pytest.param({"sign_type": "SM2"}, "sign_type 'SM2' is none of the gateway's; use RSA2 or RSA", id="sign type"),
    ],
)
def test_an_unknown_charset_or_sign_type_is_refused(
    new_gateway: NewGateway, changed: dict[str, str], message: str
) -> None:
    """A charset or sign type unknown to the gateway is a SettingsError."""
    with pytest.raises(SettingsError) as caught:
        new_gateway(**changed)

    assert caught.value.faults == (message,)


@pytest.mark.parametrize("signed_plain", [False, True], ids=["signed as received", "signed before escaping"])
def test_a_gbk_answer_is_verified_in_its_bytes(
    new_gateway: NewGateway, gateway_answer: Answer, signed_plain: bool
) -> None:
    """Characters whose second byte is a backslash affect neither the scan nor the unescaping of slashes."""
    text = '{"code":"40004","sub_msg":"乗/亄\\/乗"}'
    node = text.encode("gbk")
    signed = text.replace("\\/", "/").encode("gbk") if signed_plain else node

    opened = new_gateway(charset="gbk").open(gateway_answer(node, signed=signed), at=AT)

    assert opened == Opened(Trust.VERIFIED, text.encode())


@pytest.mark.parametrize(
    ("charset", "received", "signed"),
    [
        pytest.param("utf-8", '{"a":"x\\/y/z"}', '{"a":"x/y/z"}', id="signed unescaped"),
        pytest.param("utf-8", '{"a":"x/y/z"}', '{"a":"x\\/y\\/z"}', id="signed escaped"),
        pytest.param("utf-8", '{"a":"x\\/y/z"}', '{"a":"x\\/y\\/z"}', id="signed wholly escaped"),
        pytest.param("gbk", '{"a":"乗/亄/乗"}', '{"a":"乗\\/亄\\/乗"}', id="signed escaped, in GBK"),
    ],
)
def test_slashes_may_be_signed_in_either_form(
    new_gateway: NewGateway, gateway_answer: Answer, charset: str, received: str, signed: str
) -> None:
    """A signature over the same text with its slashes escaped, or not, is valid; one over another text is not."""
    node = received.encode(charset)
    signer = new_gateway(charset=charset)

    opened = signer.open(gateway_answer(node, signed=signed.encode(charset)), at=AT)
    other = signer.open(gateway_answer(node, signed=signed.replace("/", "|").encode(charset)), at=AT)

    assert (opened, other) == (
        Opened(Trust.VERIFIED, received.encode()),
        Opened(Trust.BAD_SIGNATURE, received.encode()),
    )


def test_an_undecodable_byte_keeps_the_answer_verified(new_gateway: NewGateway, gateway_answer: Answer) -> None:
    """The signature covers bytes, so an undecodable message leaves the code readable."""
    opened = new_gateway().open(gateway_answer(b'{"code":"40004","sub_msg":"\xff"}'), at=AT)

    assert opened == Opened(Trust.VERIFIED, '{"code":"40004","sub_msg":"\ufffd"}'.encode())


@pytest.mark.parametrize(
    ("body", "opened"),
    [
        pytest.param(b'{"other_response":{}}', Opened(Trust.UNREADABLE), id="another method's answer"),
        pytest.param(b'{"%s":%s,"%s":{}}' % (NODE, DONE, NODE), Opened(Trust.UNREADABLE), id="node twice"),
        pytest.param(b'{"%s":%s,"si' % (NODE, DONE), Opened(Trust.UNREADABLE), id="cut"),
        pytest.param(b'{"%s":%s}' % (NODE, DONE), Opened(Trust.MISSING_SIGNATURE, DONE), id="no sign"),
        pytest.param(b'{"%s":%s,"sign":null}' % (NODE, DONE), Opened(Trust.MISSING_SIGNATURE, DONE), id="null sign"),
        pytest.param(b'{"%s":%s,"sign":""}' % (NODE, DONE), Opened(Trust.MISSING_SIGNATURE, DONE), id="empty sign"),
        pytest.param(b'{"%s":%s,"sign":"%%"}' % (NODE, DONE), Opened(Trust.BAD_SIGNATURE, DONE), id="no base64"),
        pytest.param(b'{"%s":%s,"sign":x}' % (NODE, DONE), Opened(Trust.MISSING_SIGNATURE, DONE), id="sign is no JSON"),
        pytest.param(b'{"%s":"AAAA"}' % NODE, Opened(Trust.MISSING_SIGNATURE), id="ciphertext without sign"),
        pytest.param(
            b'{"%s":{"msg":"?"}}' % NODE, Opened(Trust.MISSING_SIGNATURE, b'{"msg":"?"}'), id="no code, no sign"
        ),
        pytest.param(
            b'{"error_response":{"code":40002}}', Opened(Trust.UNSIGNED_ERROR, b'{"code":40002}'), id="code as a number"
        ),
    ],
)
def test_an_unverified_answer_is_classified(new_gateway: NewGateway, body: bytes, opened: Opened) -> None:
    """Only an answer with an error code may be unsigned. An answer to another call is unreadable."""
    assert new_gateway().open(Reply(200, {}, body), at=AT) == opened


@pytest.mark.parametrize("node", [b"[1]", b"{1}", b"null"])
def test_a_signed_node_that_is_no_object_is_unreadable(
    new_gateway: NewGateway, gateway_answer: Answer, node: bytes
) -> None:
    """A signed node that is no JSON object is unreadable."""
    assert new_gateway().open(gateway_answer(node), at=AT) == Opened(Trust.UNREADABLE)


def test_an_escaped_slash_in_the_signature_is_base64(new_gateway: NewGateway, gateway_answer: Answer) -> None:
    r"""A `sign` whose slashes are written `\/` is the same signature."""
    reply = gateway_answer(DONE)
    escaped = Reply(200, {}, reply.body.replace(b"/", b"\\/"))
    assert escaped.body != reply.body

    assert new_gateway().open(escaped, at=AT) == Opened(Trust.VERIFIED, DONE)


def test_an_encrypted_node_is_verified_and_then_decrypted(new_gateway: NewGateway, gateway_answer: Answer) -> None:
    """The signature covers the quotation marks. A wrong key is NOT_DECRYPTABLE, and an error is not encrypted."""
    reply = gateway_answer(b'"%s"' % encrypt(AES_KEY, DONE))
    error = b'{"code":"40002","sub_code":"isv.invalid-encrypt"}'
    signer = new_gateway(encrypt_key=AES_KEY)

    assert signer.open(reply, at=AT) == Opened(Trust.VERIFIED, DONE)
    assert signer.open(gateway_answer(error), at=AT) == Opened(Trust.VERIFIED, error)
    assert signer.open(gateway_answer(b'"AAAA"'), at=AT) == Opened(Trust.NOT_DECRYPTABLE)
    assert new_gateway(encrypt_key=bytes(16)).open(reply, at=AT) == Opened(Trust.NOT_DECRYPTABLE)
    assert new_gateway().open(reply, at=AT) == Opened(Trust.NOT_DECRYPTABLE)


def test_a_repr_shows_no_secret(new_gateway: NewGateway) -> None:
    """The repr shows neither key nor token."""
    signer = new_gateway(app_auth_token="hidden-token", encrypt_key=AES_KEY)

    assert repr(signer) == "AlipayGateway(app_id='2021000000000001', method='zhima.data.state.data.sync')"
