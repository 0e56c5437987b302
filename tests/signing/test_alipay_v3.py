"""Alipay's protocol v3, beyond the golden vectors."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from pipeline.model import Opened, Reply, SignedRequest, Trust
from pipeline.signing.aes import encrypt
from pipeline.signing.alipay.v3 import CUMULATION_SYNC, AlipayV3
from pipeline.signing.certificates import certificate_sn

AT = datetime(2025, 11, 20, 10, 0, 0, 7000, tzinfo=UTC)
APP_KEY = "keys/TEST-A-alipay-app-private-pkcs8.pem"
PLATFORM_KEY = "keys/TEST-A-alipay-platform-private-pkcs8.pem"
PLATFORM = "keys/TEST-A-alipay-platform-public.pem"
PLATFORM_CERTIFICATE = "keys/TEST-A-alipay-platform-cert.pem"
OTHER_CERTIFICATE = "keys/TEST-A-alipay-platform-other-cert.pem"
OTHER_KEY = "keys/TEST-A-alipay-platform-other-private-pkcs8.pem"
# Issuer and serial number of an old certificate, of its successor, and of one under a foreign root.
NAMES_AND_SERIALS = (("root", 7), ("root", 8), ("foreign", 9))
AES_KEY = bytes(range(16))
BODY = b'{"out_biz_no":"A-17"}'

PrivateKeys = Callable[[str], RSAPrivateKey]
PublicKeys = Callable[[str], RSAPublicKey]
Certificates = Callable[[str], tuple[x509.Certificate, ...]]
RsaSign = Callable[[RSAPrivateKey, bytes], str]
NewSigner = Callable[..., AlipayV3]
Answer = Callable[..., Reply]
Issue = Callable[..., x509.Certificate]


def download_of(*chain: x509.Certificate) -> Reply:
    pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
    content = {"code": "10000", "alipay_cert_content": base64.b64encode(pem).decode()}
    return Reply(200, {}, orjson.dumps({"alipay_open_app_alipaycert_download_response": content, "sign": "AA=="}))


@pytest.fixture
def new_signer(private_key: PrivateKeys, public_key: PublicKeys) -> NewSigner:
    """Make a signer of the test app; a test changes what it needs."""

    def new(**changed: object) -> AlipayV3:
        defaults = {"app_id": "2021000000000001", "private_key": private_key(APP_KEY), "platform": public_key(PLATFORM)}
        return AlipayV3(**defaults | changed)  # type: ignore[arg-type] # each test gives the types of the constructor

    return new


@pytest.fixture
def answer(private_key: PrivateKeys, rsa_sign: RsaSign) -> Answer:
    """Make an answer signed by the platform."""

    def make(status: int, body: bytes, **headers: str) -> Reply:
        signature = rsa_sign(private_key(PLATFORM_KEY), b"1763632800000\nnonce\n" + body + b"\n")
        signed = {"alipay-signature": signature, "alipay-timestamp": "1763632800000", "alipay-nonce": "nonce"}
        return Reply(status, signed | {name.replace("_", "-"): value for name, value in headers.items()}, body)

    return make


def test_a_request_has_every_header_of_the_account(
    new_signer: NewSigner, private_key: PrivateKeys, rsa_sign: RsaSign
) -> None:
    """Certificate, token and root are sent, and the Authorization items have the order in which they are signed."""
    signer = new_signer(app_cert_sn="aa", root_cert_sn="bb_cc", app_auth_token="token")

    signed = signer.sign(BODY, at=AT, nonce="n1")

    auth = "app_id=2021000000000001,app_cert_sn=aa,nonce=n1,timestamp=1763632800007"
    text = f"{auth}\nPOST\n{CUMULATION_SYNC}\n{BODY.decode()}\ntoken\n".encode()
    assert signed == SignedRequest(
        method="POST",
        target="/v3/zhima/credit/pe/zmgo/cumulation/sync",
        headers={
            "Accept": "application/json",
            "Authorization": f"ALIPAY-SHA256withRSA {auth},sign={rsa_sign(private_key(APP_KEY), text)}",
            "Content-Type": "application/json",
            "User-Agent": "loyalty-backfill",
            "alipay-app-auth-token": "token",
            "alipay-request-id": "n1",
            "alipay-root-cert-sn": "bb_cc",
        },
        body=BODY,
    )


@pytest.mark.parametrize(
    ("token", "last_line"),
    [pytest.param(None, "", id="own app"), pytest.param("token", "token\n", id="for a merchant")],
)
@pytest.mark.parametrize("encrypt_key", [pytest.param(None, id="plain"), pytest.param(AES_KEY, id="encryption on")])
def test_a_query_signs_its_target_and_an_empty_body(
    token: str | None,
    last_line: str,
    encrypt_key: bytes | None,
    new_signer: NewSigner,
    private_key: PrivateKeys,
    rsa_sign: RsaSign,
) -> None:
    """The text has path and query as sent and an empty body line. No header speaks of a body."""
    target = "/v3/zhima/merchant/zmgo/cumulate/query?agreement_id=2025&open_id=a%2Bb&need_detail=true"
    signer = new_signer(app_auth_token=token, encrypt_key=encrypt_key)

    signed = signer.sign_call("GET", target, b"", at=AT, nonce="n1")

    auth = "app_id=2021000000000001,nonce=n1,timestamp=1763632800007"
    text = f"{auth}\nGET\n{target}\n\n{last_line}".encode()
    headers = {
        "Accept": "application/json",
        "Authorization": f"ALIPAY-SHA256withRSA {auth},sign={rsa_sign(private_key(APP_KEY), text)}",
        "User-Agent": "loyalty-backfill",
        "alipay-request-id": "n1",
    } | ({"alipay-app-auth-token": token} if token else {})
    assert signed == SignedRequest(method="GET", target=target, headers=headers, body=b"")


def test_a_retry_has_the_same_body_and_a_new_signature(new_signer: NewSigner) -> None:
    """The signature covers time and nonce of each attempt; the body stays."""
    signer = new_signer()

    attempts = [
        signer.sign(BODY, at=AT, nonce="n1"),
        signer.sign(BODY, at=AT, nonce="n2"),
        signer.sign(BODY, at=AT + timedelta(milliseconds=1), nonce="n1"),
    ]

    assert len({attempt.headers["Authorization"] for attempt in attempts}) == 3
    assert {attempt.body for attempt in attempts} == {BODY}


def test_an_encrypted_answer_is_verified_and_then_decrypted(new_signer: NewSigner, answer: Answer) -> None:
    """Only bytes signed by Alipay are decrypted. A wrong key differs from a wrong signature."""
    ciphertext = encrypt(AES_KEY, BODY)
    reply = answer(200, ciphertext)
    tampered = Reply(200, reply.headers, encrypt(AES_KEY, b'{"out_biz_no":"A-18"}'))
    page = Reply(200, {}, b"<html>login</html>")

    opened = [new_signer(encrypt_key=AES_KEY).open(one, at=AT) for one in (reply, tampered, page)]
    with_another_key = new_signer(encrypt_key=bytes(16)).open(reply, at=AT)

    assert opened == [Opened(Trust.VERIFIED, BODY), Opened(Trust.BAD_SIGNATURE), Opened(Trust.UNREADABLE)]
    assert with_another_key == Opened(Trust.NOT_DECRYPTABLE)


def test_a_plain_answer_is_read_also_with_encryption_on(new_signer: NewSigner, answer: Answer) -> None:
    """Errors are not encrypted, and a signed success without encryption also counts."""
    signer = new_signer(encrypt_key=AES_KEY)
    error = b'{"code":"missing-encrypt-type","message":"m"}'

    assert signer.open(answer(200, BODY), at=AT) == Opened(Trust.VERIFIED, BODY)
    assert signer.open(answer(400, error), at=AT) == Opened(Trust.VERIFIED, error)
    assert signer.open(Reply(400, {}, error), at=AT) == Opened(Trust.UNSIGNED_ERROR, error)


@pytest.mark.parametrize(
    ("status", "body", "opened"),
    [
        pytest.param(200, b"<html>ok</html>", Opened(Trust.UNREADABLE), id="a proxy's page"),
        pytest.param(200, b'{"out_biz_no":"A-', Opened(Trust.UNREADABLE), id="cut"),
        pytest.param(200, b"", Opened(Trust.UNREADABLE), id="empty"),
        pytest.param(200, b'["A-17"]', Opened(Trust.UNREADABLE), id="no object"),
        pytest.param(200, BODY, Opened(Trust.MISSING_SIGNATURE, BODY), id="success without a signature"),
        pytest.param(502, b"<html>bad gateway</html>", Opened(Trust.UNSIGNED_ERROR), id="a proxy's error page"),
        pytest.param(404, b"", Opened(Trust.UNSIGNED_ERROR), id="empty error"),
    ],
)
def test_an_unsigned_answer_is_classified(new_signer: NewSigner, status: int, body: bytes, opened: Opened) -> None:
    """An unsigned answer is unreadable, a success without signature, or an error."""
    assert new_signer().open(Reply(status, {}, body), at=AT) == opened


def test_a_signed_error_that_is_no_json_is_unreadable(new_signer: NewSigner, answer: Answer) -> None:
    """A signed body that is no JSON is unreadable."""
    assert new_signer().open(answer(500, b"busy"), at=AT) == Opened(Trust.UNREADABLE)


def test_without_roots_an_unknown_certificate_needs_a_person(
    new_signer: NewSigner, answer: Answer, certificates: Certificates
) -> None:
    """The SN is returned, but no request can fetch the certificate, since nothing could prove it."""
    known = certificates(PLATFORM_CERTIFICATE)[0]
    other = certificate_sn(certificates(OTHER_CERTIFICATE)[0])
    signer = new_signer(platform={certificate_sn(known): known})

    opened = signer.open(answer(200, BODY, alipay_sn=other), at=AT)

    assert opened == Opened(Trust.UNKNOWN_SERIAL, BODY, other)
    assert signer.key_request(opened, at=AT, nonce="n") is None
    assert not signer.keys_due(AT)
    assert not signer.learn_keys(answer(200, BODY), at=AT)


def test_an_unknown_certificate_is_downloaded_through_the_gateway(
    new_signer: NewSigner, answer: Answer, certificates: Certificates, private_key: PrivateKeys, issue: Issue
) -> None:
    """
    A reissued certificate has the key of the old one and another SN.

    It is requested from the gateway. It counts once it is there and its chain holds; the old one stays valid.
    """
    root_key, key = private_key(OTHER_KEY), private_key(PLATFORM_KEY).public_key()
    root, foreign = (issue(name, root_key.public_key(), name, root_key, ca=True) for name in ("root", "foreign"))
    old, reissued, forged = (issue("alipay", key, name, root_key, serial=n) for name, n in NAMES_AND_SERIALS)
    signer = new_signer(
        platform={certificate_sn(old): old}, root_certificates=(root,), gateway_target="/sandbox/gateway.do"
    )
    named = answer(200, BODY, alipay_sn=certificate_sn(reissued))

    before = signer.open(named, at=AT)
    request = signer.key_request(before, at=AT, nonce="n")
    learned = [signer.learn_keys(download_of(*chain), at=AT) for chain in ((forged, foreign), (reissued,))]

    assert before == Opened(Trust.UNKNOWN_SERIAL, BODY, certificate_sn(reissued))
    assert request is not None
    assert request.target.startswith("/sandbox/gateway.do?app_id=2021000000000001&")
    assert "method=alipay.open.app.alipaycert.download&" in request.target
    assert learned == [False, True]
    answers = [answer(200, BODY, alipay_sn=certificate_sn(one)) for one in (old, reissued, forged)]
    assert [signer.open(one, at=AT).trust for one in answers] == [
        Trust.VERIFIED,
        Trust.VERIFIED,
        Trust.UNKNOWN_SERIAL,
    ]


def test_several_certificates_can_be_configured(
    new_signer: NewSigner, answer: Answer, certificates: Certificates, private_key: PrivateKeys, rsa_sign: RsaSign
) -> None:
    """An answer is verified with the certificate that it names; without a name, with any of them."""
    both = [certificates(path)[0] for path in (OTHER_CERTIFICATE, PLATFORM_CERTIFICATE)]
    other, first = (certificate_sn(one) for one in both)
    signer = new_signer(platform=dict(zip((other, first), both, strict=True)))
    by_other = rsa_sign(private_key(OTHER_KEY), b"1763632800000\nnonce\n" + BODY + b"\n")
    by_merchant = rsa_sign(private_key(APP_KEY), b"1763632800000\nnonce\n" + BODY + b"\n")

    answers = [
        answer(200, BODY, alipay_sn=first),
        answer(200, BODY, alipay_sn=other, alipay_signature=by_other),
        answer(200, BODY),
        answer(200, BODY, alipay_signature=by_other),
        answer(200, BODY, alipay_sn=other),
        answer(200, BODY, alipay_signature=by_merchant),
    ]

    assert [signer.open(one, at=AT).trust for one in answers] == [
        *[Trust.VERIFIED] * 4,
        *[Trust.BAD_SIGNATURE] * 2,
    ]


def test_a_repr_shows_no_secret(new_signer: NewSigner) -> None:
    """The reprs of signer and request show no key, token or body."""
    signer = new_signer(app_auth_token="hidden-token", encrypt_key=AES_KEY)
    signed = signer.sign(BODY, at=AT, nonce="n1")

    assert repr(signer) == "AlipayV3(app_id='2021000000000001')"
    assert "hidden-token" not in repr(signed)
    assert signed.body.decode() not in repr(signed)
