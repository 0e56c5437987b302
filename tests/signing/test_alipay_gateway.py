"""The gateway of Alipay beside the golden vectors."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from pipeline.errors import SettingsError
from pipeline.model import Opened, Reply, Trust
from pipeline.signing.aes import encrypt
from pipeline.signing.alipay_gateway import AlipayGateway, signed_text
from pipeline.signing.certificates import certificate_sn

AT = datetime(2025, 11, 20, 18, 30, tzinfo=UTC)
NODE = b"zhima_data_state_data_sync_response"
APP_KEY = "keys/TEST-A-alipay-app-private-pkcs8.pem"
PLATFORM_KEY = "keys/TEST-A-alipay-platform-private-pkcs8.pem"
OTHER_KEY = "keys/TEST-A-alipay-platform-other-private-pkcs8.pem"
PLATFORM = "keys/TEST-A-alipay-platform-public.pem"
PLATFORM_CERTIFICATE = "keys/TEST-A-alipay-platform-cert.pem"
OTHER_CERTIFICATE = "keys/TEST-A-alipay-platform-other-cert.pem"
MERCHANT_CERTIFICATE = "keys/TEST-A-wechatpay-merchant-cert.pem"
ROOTS = "keys/TEST-A-alipay-root-bundle.pem"
AES_KEY = bytes(range(16))
BODY = '{"out_biz_no":"A-17","biz_data":"{\\"name\\":\\"测试影院\\"}"}'.encode()
DONE = b'{"code":"10000","msg":"Success","biz_result":"success"}'

PrivateKeys = Callable[[str], RSAPrivateKey]
PublicKeys = Callable[[str], RSAPublicKey]
Certificates = Callable[[str], tuple[x509.Certificate, ...]]
RsaSign = Callable[[RSAPrivateKey, bytes], str]
NewSigner = Callable[..., AlipayGateway]
Answer = Callable[..., Reply]


@pytest.fixture
def new_signer(private_key: PrivateKeys, public_key: PublicKeys) -> NewSigner:
    """Make a signer of the test app; a test says what is different."""

    def new(**changed: object) -> AlipayGateway:
        usual = {"app_id": "2021000000000001", "private_key": private_key(APP_KEY), "platform": public_key(PLATFORM)}
        return AlipayGateway(**usual | changed)  # type: ignore[arg-type] # each test gives the constructor's types

    return new


@pytest.fixture
def in_certificate_mode(new_signer: NewSigner, certificates: Certificates) -> AlipayGateway:
    """Return a signer that knows one Alipay certificate and the root file."""
    known = certificates(PLATFORM_CERTIFICATE)[0]
    return new_signer(
        platform={certificate_sn(known): known},
        app_cert_sn="aa",
        root_cert_sn="bb_cc",
        root_certificates=certificates(ROOTS),
        app_auth_token="token",
        encrypt_key=AES_KEY,
    )


@pytest.fixture
def answer(private_key: PrivateKeys, rsa_sign: RsaSign) -> Answer:
    """Make an answer that the platform signed over the node, or over other bytes in its stead."""

    def make(node: bytes, *, key: str = PLATFORM_KEY, signed: bytes | None = None, cert_sn: str | None = None) -> Reply:
        sign = rsa_sign(private_key(key), node if signed is None else signed).encode()
        named = b'"alipay_cert_sn":"%s",' % cert_sn.encode() if cert_sn else b""
        return Reply(200, {"content-type": "text/html"}, b'{"%s":%s,%s"sign":"%s"}' % (NODE, node, named, sign))

    return make


def download_of(*chain: x509.Certificate) -> Reply:
    pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
    content = {"code": "10000", "alipay_cert_content": base64.b64encode(pem).decode()}
    return Reply(200, {}, orjson.dumps({"alipay_open_app_alipaycert_download_response": content, "sign": "AA=="}))


def query_of(target: str) -> dict[str, str]:
    return dict(parse_qsl(target.partition("?")[2], strict_parsing=True))


def test_time_is_that_of_beijing_and_signed(new_signer: NewSigner) -> None:
    """The timestamp is Beijing's whatever zone the moment has, and each attempt is signed anew over the same form."""
    signer = new_signer()

    first, second = (signer.sign(BODY, at=AT + timedelta(seconds=wait), nonce="") for wait in (0, 1))

    queries = [query_of(attempt.target) for attempt in (first, second)]
    assert [query["timestamp"] for query in queries] == ["2025-11-21 02:30:00", "2025-11-21 02:30:01"]
    assert queries[0]["sign"] != queries[1]["sign"]
    assert first.body == second.body


def test_the_gateway_is_called_where_the_account_says(new_signer: NewSigner) -> None:
    """The path of another gateway's address is kept, and the parameters stand behind it."""
    signed = new_signer(target="/sandbox/gateway.do").sign(BODY, at=AT, nonce="")

    assert signed.target.startswith("/sandbox/gateway.do?app_id=2021000000000001&")


def test_text_that_the_charset_lacks_is_never_sent(new_signer: NewSigner) -> None:
    """A character that GBK can't carry raises, for nothing else may go out in its place."""
    with pytest.raises(UnicodeEncodeError):
        new_signer(charset="GBK").sign('{"biz_data":"🎬"}'.encode(), at=AT, nonce="")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"charset": "big5"}, "charset 'big5' is none of the gateway's; use utf-8 or gbk", id="charset"),
        pytest.param({"sign_type": "SM2"}, "sign_type 'SM2' is none of the gateway's; use RSA2 or RSA", id="sign type"),
    ],
)
def test_what_the_gateway_does_not_take_is_refused_at_once(
    new_signer: NewSigner, changed: dict[str, str], said: str
) -> None:
    """A charset or sign type that the gateway lacks is a fault of the settings."""
    with pytest.raises(SettingsError) as caught:
        new_signer(**changed)

    assert caught.value.faults == (said,)


@pytest.mark.parametrize("signed_plain", [False, True], ids=["signed as received", "signed before escaping"])
def test_a_gbk_answer_is_verified_in_its_bytes(new_signer: NewSigner, answer: Answer, signed_plain: bool) -> None:
    r"""Characters whose second byte is a backslash disturb neither the cut nor the rule for `\/`."""
    text = '{"code":"40004","sub_msg":"乗/亄\\/乗"}'
    node = text.encode("gbk")
    signed = text.replace("\\/", "/").encode("gbk") if signed_plain else node

    opened = new_signer(charset="gbk").open(answer(node, signed=signed), at=AT)

    assert opened == Opened(Trust.VERIFIED, text.encode())


def test_a_byte_that_is_no_character_spoils_no_verified_answer(new_signer: NewSigner, answer: Answer) -> None:
    """The signature is over bytes, so a message that can't be decoded leaves the code readable."""
    opened = new_signer().open(answer(b'{"code":"40004","sub_msg":"\xff"}'), at=AT)

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
def test_an_answer_without_a_good_signature_is_told_by_what_it_is(
    new_signer: NewSigner, body: bytes, opened: Opened
) -> None:
    """Only an answer that names an error may come unsigned; what is no answer to this call is unreadable."""
    assert new_signer().open(Reply(200, {}, body), at=AT) == opened


@pytest.mark.parametrize("node", [b"[1]", b"{1}", b"null"])
def test_a_signed_node_that_is_no_object_is_unreadable(new_signer: NewSigner, answer: Answer, node: bytes) -> None:
    """Also the platform's own signature makes no answer of what is none."""
    assert new_signer().open(answer(node), at=AT) == Opened(Trust.UNREADABLE)


def test_an_escaped_slash_in_the_signature_is_base64(new_signer: NewSigner, answer: Answer) -> None:
    r"""A `sign` whose slashes are written `\/` is the same signature."""
    reply = answer(DONE)
    escaped = Reply(200, {}, reply.body.replace(b"/", b"\\/"))
    assert escaped.body != reply.body

    assert new_signer().open(escaped, at=AT) == Opened(Trust.VERIFIED, DONE)


def test_an_encrypted_node_is_verified_and_then_decrypted(new_signer: NewSigner, answer: Answer) -> None:
    """The signature covers the quotation marks; a wrong key is told apart; a plain error is read as it is."""
    reply = answer(b'"%s"' % encrypt(AES_KEY, DONE))
    error = b'{"code":"40002","sub_code":"isv.invalid-encrypt"}'
    signer = new_signer(encrypt_key=AES_KEY)

    assert signer.open(reply, at=AT) == Opened(Trust.VERIFIED, DONE)
    assert signer.open(answer(error), at=AT) == Opened(Trust.VERIFIED, error)
    assert signer.open(answer(b'"AAAA"'), at=AT) == Opened(Trust.NOT_DECRYPTABLE)
    assert new_signer(encrypt_key=bytes(16)).open(reply, at=AT) == Opened(Trust.NOT_DECRYPTABLE)
    assert new_signer().open(reply, at=AT) == Opened(Trust.NOT_DECRYPTABLE)


def test_an_unknown_certificate_is_asked_for_with_a_signed_plain_request(
    in_certificate_mode: AlipayGateway,
    answer: Answer,
    certificates: Certificates,
    private_key: PrivateKeys,
    rsa_sign: RsaSign,
) -> None:
    """The download names the SN, is signed with the app's key, and carries neither encryption nor a token."""
    sn = certificate_sn(certificates(OTHER_CERTIFICATE)[0])

    opened = in_certificate_mode.open(answer(DONE, key=OTHER_KEY, cert_sn=sn), at=AT)
    request = in_certificate_mode.key_request(opened, at=AT, nonce="")

    assert opened == Opened(Trust.UNKNOWN_SERIAL, DONE, sn)
    assert request is not None
    params = {
        "alipay_root_cert_sn": "bb_cc",
        "app_cert_sn": "aa",
        "app_id": "2021000000000001",
        "charset": "utf-8",
        "format": "JSON",
        "method": "alipay.open.app.alipaycert.download",
        "sign_type": "RSA2",
        "timestamp": "2025-11-21 02:30:00",
        "version": "1.0",
    }
    form = {"biz_content": f'{{"alipay_cert_sn":"{sn}"}}'}
    text = signed_text({name: value.encode() for name, value in (params | form).items()})
    assert query_of(request.target) == params | {"sign": rsa_sign(private_key(APP_KEY), text)}
    assert dict(parse_qsl(request.body.decode())) == form


@pytest.mark.parametrize(
    "opened",
    [
        pytest.param(None, id="no answer"),
        pytest.param(Opened(Trust.BAD_SIGNATURE, DONE), id="a known certificate"),
        pytest.param(Opened(Trust.UNKNOWN_SERIAL, DONE, '"},"x":{"'), id="a name that is no SN"),
    ],
)
def test_nothing_is_asked_for_without_a_name(in_certificate_mode: AlipayGateway, opened: Opened | None) -> None:
    """A download is for one certificate that an answer named properly."""
    assert in_certificate_mode.key_request(opened, at=AT, nonce="") is None
    assert not in_certificate_mode.keys_due(AT)


def test_a_new_certificate_is_taken_in_beside_the_old_one(
    in_certificate_mode: AlipayGateway, answer: Answer, certificates: Certificates
) -> None:
    """Once the root file vouches for it, answers of both certificates verify; a second time it is not new."""
    old, new = (certificates(path)[0] for path in (PLATFORM_CERTIFICATE, OTHER_CERTIFICATE))

    learned = [in_certificate_mode.learn_keys(download_of(new), at=AT) for _ in range(2)]

    answers = [
        answer(DONE, key=key, cert_sn=certificate_sn(certificate))
        for key, certificate in ((PLATFORM_KEY, old), (OTHER_KEY, new))
    ]
    assert learned == [True, False]
    assert [in_certificate_mode.open(one, at=AT) for one in answers] == [Opened(Trust.VERIFIED, DONE)] * 2


def test_a_certificate_that_no_root_vouches_for_is_refused(
    in_certificate_mode: AlipayGateway, answer: Answer, certificates: Certificates
) -> None:
    """A certificate of somebody else, alone or with its own root, changes nothing."""
    foreign, known = certificates(MERCHANT_CERTIFICATE)[0], certificates(PLATFORM_CERTIFICATE)[0]
    downloads = [download_of(foreign), download_of(foreign, known), download_of(), answer(DONE), Reply(502, {}, b"<")]
    not_base64 = b'{"alipay_open_app_alipaycert_download_response":{"alipay_cert_content":"\xe4\xb8\xad"}}'

    learned = [in_certificate_mode.learn_keys(one, at=AT) for one in [*downloads, Reply(200, {}, not_base64)]]

    assert learned == [False] * 6
    sn = certificate_sn(foreign)
    assert in_certificate_mode.open(answer(DONE, cert_sn=sn), at=AT) == Opened(Trust.UNKNOWN_SERIAL, DONE, sn)


def test_a_certificate_without_an_rsa_key_is_of_no_use(
    new_signer: NewSigner, certificates: Certificates, private_key: PrivateKeys, issue: Callable[..., x509.Certificate]
) -> None:
    """A certificate that a root vouches for, but whose key can't have signed an answer, is not taken in."""
    root_key, known = private_key(OTHER_KEY), certificates(PLATFORM_CERTIFICATE)[0]
    root = issue("root", root_key.public_key(), "root", root_key, ca=True)
    of_another_kind = issue("alipay", ec.generate_private_key(ec.SECP256R1()).public_key(), "root", root_key)
    signer = new_signer(platform={certificate_sn(known): known}, root_certificates=(root,))

    assert not signer.learn_keys(download_of(of_another_kind), at=AT)


def test_with_a_public_key_nothing_is_fetched_or_learned(
    new_signer: NewSigner, answer: Answer, certificates: Certificates
) -> None:
    """In public key mode the configured key counts whatever an answer names, and no download replaces it."""
    signer, other = new_signer(root_certificates=certificates(ROOTS)), certificates(OTHER_CERTIFICATE)[0]

    opened = signer.open(answer(DONE, cert_sn=certificate_sn(other)), at=AT)

    assert opened == Opened(Trust.VERIFIED, DONE)
    assert signer.key_request(opened, at=AT, nonce="") is None
    assert not signer.learn_keys(download_of(other), at=AT)


def test_a_repr_shows_no_secret(in_certificate_mode: AlipayGateway) -> None:
    """The signer can be logged."""
    assert repr(in_certificate_mode) == (
        "AlipayGateway(app_id='2021000000000001', method='zhima.data.state.data.sync')"
    )
