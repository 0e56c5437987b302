"""Alipay's protocol v3, beyond the golden vectors."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

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
AES_KEY = bytes(range(16))
BODY = b'{"out_biz_no":"A-17"}'

PrivateKeys = Callable[[str], RSAPrivateKey]
PublicKeys = Callable[[str], RSAPublicKey]
Certificates = Callable[[str], tuple[x509.Certificate, ...]]
RsaSign = Callable[[RSAPrivateKey, bytes], str]
NewSigner = Callable[..., AlipayV3]
Answer = Callable[..., Reply]


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


def test_an_answer_that_names_an_unknown_certificate_needs_a_person(
    new_signer: NewSigner, answer: Answer, certificates: Certificates
) -> None:
    """The SN is returned, but no request can fetch the certificate."""
    known = certificates(PLATFORM_CERTIFICATE)[0]
    other = certificate_sn(certificates(OTHER_CERTIFICATE)[0])
    signer = new_signer(platform={certificate_sn(known): known})

    opened = signer.open(answer(200, BODY, alipay_sn=other), at=AT)

    assert opened == Opened(Trust.UNKNOWN_SERIAL, BODY, other)
    assert signer.key_request(opened, at=AT, nonce="n") is None
    assert not signer.keys_due(AT)
    assert not signer.learn_keys(answer(200, BODY), at=AT)


def test_a_repr_shows_no_secret(new_signer: NewSigner) -> None:
    """The reprs of signer and request show no key, token or body."""
    signer = new_signer(app_auth_token="hidden-token", encrypt_key=AES_KEY)
    signed = signer.sign(BODY, at=AT, nonce="n1")

    assert repr(signer) == "AlipayV3(app_id='2021000000000001')"
    assert "hidden-token" not in repr(signed)
    assert signed.body.decode() not in repr(signed)
