"""Download of new Alipay certificates by the gateway's signer."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from pipeline.model import Opened, Reply, Trust
from pipeline.signing.alipay.gateway import AlipayGateway, signed_text
from pipeline.signing.certificates import certificate_sn

AT = datetime(2025, 11, 20, 18, 30, tzinfo=UTC)
APP_KEY = "keys/TEST-A-alipay-app-private-pkcs8.pem"
PLATFORM_CERTIFICATE = "keys/TEST-A-alipay-platform-cert.pem"
OTHER_CERTIFICATE = "keys/TEST-A-alipay-platform-other-cert.pem"
MERCHANT_CERTIFICATE = "keys/TEST-A-wechatpay-merchant-cert.pem"
OTHER_KEY = "keys/TEST-A-alipay-platform-other-private-pkcs8.pem"
ROOTS = "keys/TEST-A-alipay-root-bundle.pem"
AES_KEY = bytes(range(16))
DONE = b'{"code":"10000","msg":"Success","biz_result":"success"}'

PrivateKeys = Callable[[str], RSAPrivateKey]
Certificates = Callable[[str], tuple[x509.Certificate, ...]]
RsaSign = Callable[[RSAPrivateKey, bytes], str]
NewGateway = Callable[..., AlipayGateway]
Answer = Callable[..., Reply]


@pytest.fixture
def in_certificate_mode(new_gateway: NewGateway, certificates: Certificates) -> AlipayGateway:
    """Return a signer with one Alipay certificate and the root file."""
    known = certificates(PLATFORM_CERTIFICATE)[0]
    return new_gateway(
        platform={certificate_sn(known): known},
        app_cert_sn="aa",
        root_cert_sn="bb_cc",
        root_certificates=certificates(ROOTS),
        app_auth_token="token",
        encrypt_key=AES_KEY,
    )


def download_of(*chain: x509.Certificate) -> Reply:
    pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
    content = {"code": "10000", "alipay_cert_content": base64.b64encode(pem).decode()}
    return Reply(200, {}, orjson.dumps({"alipay_open_app_alipaycert_download_response": content, "sign": "AA=="}))


def test_an_unknown_certificate_is_requested(
    in_certificate_mode: AlipayGateway,
    gateway_answer: Answer,
    certificates: Certificates,
    private_key: PrivateKeys,
    rsa_sign: RsaSign,
) -> None:
    """The download request names the SN, is signed with the app's key, and has neither encryption nor token."""
    sn = certificate_sn(certificates(OTHER_CERTIFICATE)[0])

    opened = in_certificate_mode.open(gateway_answer(DONE, key="alipay-platform-other", cert_sn=sn), at=AT)
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
    assert dict(parse_qsl(request.target.partition("?")[2])) == params | {"sign": rsa_sign(private_key(APP_KEY), text)}
    assert dict(parse_qsl(request.body.decode())) == form


@pytest.mark.parametrize(
    "opened",
    [
        pytest.param(None, id="no answer"),
        pytest.param(Opened(Trust.BAD_SIGNATURE, DONE), id="a known certificate"),
        pytest.param(Opened(Trust.UNKNOWN_SERIAL, DONE, '"},"x":{"'), id="a name that is no SN"),
    ],
)
def test_nothing_is_requested_without_an_sn(in_certificate_mode: AlipayGateway, opened: Opened | None) -> None:
    """Only a well-formed SN in an answer leads to a download."""
    assert in_certificate_mode.key_request(opened, at=AT, nonce="") is None
    assert not in_certificate_mode.keys_due(AT)


def test_a_new_certificate_is_added(
    in_certificate_mode: AlipayGateway, gateway_answer: Answer, certificates: Certificates
) -> None:
    """After the download answers with both certificates verify. A second download adds nothing."""
    old, new = (certificates(path)[0] for path in (PLATFORM_CERTIFICATE, OTHER_CERTIFICATE))

    learned = [in_certificate_mode.learn_keys(download_of(new), at=AT) for _ in range(2)]

    answers = [
        gateway_answer(DONE, key=key, cert_sn=certificate_sn(certificate))
        for key, certificate in (("alipay-platform", old), ("alipay-platform-other", new))
    ]
    assert learned == [True, False]
    assert [in_certificate_mode.open(one, at=AT) for one in answers] == [Opened(Trust.VERIFIED, DONE)] * 2


def test_a_certificate_without_a_trusted_root_is_refused(
    in_certificate_mode: AlipayGateway, gateway_answer: Answer, certificates: Certificates
) -> None:
    """A certificate of another issuer, alone or with its own root, changes nothing."""
    foreign, known = certificates(MERCHANT_CERTIFICATE)[0], certificates(PLATFORM_CERTIFICATE)[0]
    certificates_of_others = [download_of(foreign), download_of(foreign, known)]
    no_certificates = [download_of(), gateway_answer(DONE), Reply(502, {}, b"<")]
    not_base64 = b'{"alipay_open_app_alipaycert_download_response":{"alipay_cert_content":"\xe4\xb8\xad"}}'

    downloads = [*certificates_of_others, *no_certificates, Reply(200, {}, not_base64)]
    learned = [in_certificate_mode.learn_keys(one, at=AT) for one in downloads]

    assert learned == [False] * 6
    sn = certificate_sn(foreign)
    assert in_certificate_mode.open(gateway_answer(DONE, cert_sn=sn), at=AT) == Opened(Trust.UNKNOWN_SERIAL, DONE, sn)


def test_a_certificate_without_an_rsa_key_is_not_added(
    new_gateway: NewGateway,
    certificates: Certificates,
    private_key: PrivateKeys,
    issue: Callable[..., x509.Certificate],
) -> None:
    """A certificate under a trusted root, but without an RSA key, is not added."""
    root_key, known = private_key(OTHER_KEY), certificates(PLATFORM_CERTIFICATE)[0]
    root = issue("root", root_key.public_key(), "root", root_key, ca=True)
    of_another_kind = issue("alipay", ec.generate_private_key(ec.SECP256R1()).public_key(), "root", root_key)
    signer = new_gateway(platform={certificate_sn(known): known}, root_certificates=(root,))

    assert not signer.learn_keys(download_of(of_another_kind), at=AT)


def test_with_a_public_key_nothing_is_fetched_or_learned(
    new_gateway: NewGateway, gateway_answer: Answer, certificates: Certificates
) -> None:
    """In public key mode the configured key verifies each answer, and no download replaces it."""
    signer, other = new_gateway(root_certificates=certificates(ROOTS)), certificates(OTHER_CERTIFICATE)[0]

    opened = signer.open(gateway_answer(DONE, cert_sn=certificate_sn(other)), at=AT)

    assert opened == Opened(Trust.VERIFIED, DONE)
    assert signer.key_request(opened, at=AT, nonce="") is None
    assert not signer.learn_keys(download_of(other), at=AT)
