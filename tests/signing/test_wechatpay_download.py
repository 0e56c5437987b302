"""Download of WeChat Pay's platform certificates."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding

from pipeline.model import Opened, Reply, SignedRequest, Trust
from pipeline.signing.keys import public_key_of
from pipeline.signing.wechatpay.v3 import REFRESH_AFTER, WechatPay

AT = datetime(2025, 11, 20, 10, 0, 0, 900_000, tzinfo=UTC)
UNIX = 1763632800
MERCHANT_KEY = "keys/TEST-A-wechatpay-merchant-private-pkcs8.pem"
PLATFORM_KEY = "keys/TEST-A-wechatpay-platform-1-private-pkcs8.pem"
CERTIFICATE_2 = "keys/TEST-A-wechatpay-platform-2-cert.pem"
SERIAL_1 = "5157F09EFDC096DE15EBE81A47057A7200000A02"
SERIAL_2 = "41C8F5D2E0B7A6949382716051423300000000A3"
PUBLIC_KEY, PUBLIC_KEY_ID = "keys/TEST-A-wechatpay-pubkey-public.pem", "PUB_KEY_ID_0114232134912410000000000011111111"
APIV3_KEY = b"TEST-A-apiv3-key-0123456789abcde"
BODY = b'{"out_request_no":"p-17","point_balance":1000}'
DOWNLOADS = Path(__file__).parents[1] / "vectors" / "wechatpay_certificates.json"

PrivateKeys = Callable[[str], RSAPrivateKey]
Certificates = Callable[[str], tuple[x509.Certificate, ...]]
RsaSign = Callable[[RSAPrivateKey, bytes], str]
NewWechatPay = Callable[..., WechatPay]
Answer = Callable[..., Reply]


@pytest.fixture
def download() -> Callable[[str], bytes]:
    """Return the body of a certificate download, by the vector's id."""
    vectors: list[dict[str, Any]] = json.loads(DOWNLOADS.read_bytes())["vectors"]
    bodies = {vector["id"]: orjson.dumps(vector["input"]["response_body"]) for vector in vectors}
    return lambda name: bodies[name]


def test_certificates_are_fetched_with_a_signed_request(
    new_wechatpay: NewWechatPay, private_key: PrivateKeys, rsa_sign: RsaSign
) -> None:
    """The download is a signed GET, and needs the APIv3 key."""
    request = new_wechatpay(apiv3_key=APIV3_KEY).key_request(None, at=AT, nonce="N1")

    signature = rsa_sign(private_key(MERCHANT_KEY), f"GET\n/v3/certificates\n{UNIX}\nN1\n\n".encode())
    assert request == SignedRequest(
        method="GET",
        target="/v3/certificates",
        headers={
            "Accept": "application/json",
            "Authorization": (
                'WECHATPAY2-SHA256-RSA2048 mchid="1900000001",serial_no="3775B6",'
                f'timestamp="{UNIX}",nonce_str="N1",signature="{signature}"'
            ),
            "User-Agent": "loyalty-backfill",
        },
        body=b"",
    )
    assert new_wechatpay().key_request(None, at=AT, nonce="N1") is None


def test_the_first_download_is_verified_with_its_own_certificate(
    new_wechatpay: NewWechatPay, wechatpay_answer: Answer, download: Callable[[str], bytes]
) -> None:
    """Certificates encrypted with the APIv3 key are added if the answer is signed with one of them."""
    signer = new_wechatpay(apiv3_key=APIV3_KEY)
    assert (signer.keys_due(AT), signer.can_verify()) == (True, False)

    assert signer.learn_keys(wechatpay_answer(download("wxc-A02"), key="wechatpay-platform-2", serial=SERIAL_2), at=AT)
    assert signer.can_verify()

    answers = [wechatpay_answer(BODY), wechatpay_answer(BODY, key="wechatpay-platform-2", serial=SERIAL_2)]
    assert [signer.open(one, at=AT) for one in answers] == [Opened(Trust.VERIFIED, BODY)] * 2
    assert signer.sign(BODY, at=AT, nonce="N1").headers["Wechatpay-Serial"] in {SERIAL_1, SERIAL_2}


def test_with_a_public_key_certificates_are_fetched_when_an_answer_names_one(
    new_wechatpay: NewWechatPay,
    public_key: Callable[[str], RSAPublicKey],
    wechatpay_answer: Answer,
    download: Callable[[str], bytes],
) -> None:
    """Before the switch the certificate is fetched for an answer, and requests still ask for the public key."""
    signer = new_wechatpay(platform_keys={PUBLIC_KEY_ID: public_key(PUBLIC_KEY)}, apiv3_key=APIV3_KEY)

    before = signer.open(wechatpay_answer(BODY), at=AT)
    request = signer.key_request(before, at=AT, nonce="N1")
    learned = signer.learn_keys(wechatpay_answer(download("wxc-A01")), at=AT)

    assert (before.trust, learned) == (Trust.UNKNOWN_SERIAL, True)
    assert request is not None
    assert request.headers["Wechatpay-Serial"] == PUBLIC_KEY_ID
    assert signer.open(wechatpay_answer(BODY), at=AT).trust is Trust.VERIFIED
    assert signer.sign(BODY, at=AT, nonce="N1").headers["Wechatpay-Serial"] == PUBLIC_KEY_ID
    assert not signer.keys_due(AT + REFRESH_AFTER)


def test_a_new_certificate_does_not_replace_the_old_one(
    new_wechatpay: NewWechatPay,
    known: dict[str, RSAPublicKey],
    certificates: Certificates,
    wechatpay_answer: Answer,
    download: Callable[[str], bytes],
) -> None:
    """A key missing from a later download stays, since answers in flight may be signed with it."""
    second = {SERIAL_2: public_key_of(certificates(CERTIFICATE_2)[0], CERTIFICATE_2)}
    signer = new_wechatpay(platform_keys=second, apiv3_key=APIV3_KEY)

    learned = [
        signer.learn_keys(wechatpay_answer(download("wxc-A01"), key="wechatpay-platform-2", serial=SERIAL_2), at=AT),
        signer.learn_keys(wechatpay_answer(download("wxc-A01")), at=AT),
    ]

    answers = [wechatpay_answer(BODY), wechatpay_answer(BODY, key="wechatpay-platform-2", serial=SERIAL_2)]
    assert learned == [True, False]
    assert [signer.open(one, at=AT) for one in answers] == [Opened(Trust.VERIFIED, BODY)] * 2
    assert signer.sign(BODY, at=AT, nonce="N1").headers["Wechatpay-Serial"] == SERIAL_1


def test_keys_are_due_again_within_12_hours(
    new_wechatpay: NewWechatPay, wechatpay_answer: Answer, download: Callable[[str], bytes]
) -> None:
    """A verified download postpones the next one, also without a new key; a failed one does not."""
    signer = new_wechatpay(apiv3_key=APIV3_KEY)
    later = AT + REFRESH_AFTER

    signer.learn_keys(wechatpay_answer(download("wxc-A01"), wechatpay_signature="AAAA"), at=AT)
    after_a_failure = signer.keys_due(AT)
    signer.learn_keys(wechatpay_answer(download("wxc-A01")), at=AT)
    after_a_download = [signer.keys_due(at) for at in (AT, later - timedelta(seconds=1), later)]
    signer.learn_keys(wechatpay_answer(download("wxc-A03"), unix=UNIX + int(REFRESH_AFTER.total_seconds())), at=later)

    assert after_a_failure
    assert after_a_download == [False, False, True]
    assert not signer.keys_due(later)
    assert timedelta(hours=12) > REFRESH_AFTER
    assert not new_wechatpay().keys_due(AT)


@pytest.mark.parametrize(
    ("vector", "changed", "at"),
    [
        pytest.param("wxc-A01", {"wechatpay_signature": "AAAA"}, AT, id="bad signature"),
        pytest.param("wxc-A01", {"wechatpay_signature": "WECHATPAY/SIGNTEST/x"}, AT, id="probe"),
        pytest.param("wxc-A01", {"wechatpay_serial": SERIAL_2}, AT, id="signed with an unknown key"),
        pytest.param("wxc-A01", {"unix": UNIX - 400}, AT, id="stale"),
        pytest.param("wxc-A01", {"status": 404}, AT, id="no certificates"),
        pytest.param("wxc-A03", {}, AT, id="empty list"),
        pytest.param("wxc-A04", {}, AT, id="ciphertext broken"),
        pytest.param("wxc-A05", {}, AT, id="other associated data"),
        pytest.param("wxc-A01", {"unix": 2335000000}, datetime.fromtimestamp(2335000000, UTC), id="expired"),
    ],
)
def test_an_unverified_download_adds_no_key(
    new_wechatpay: NewWechatPay,
    wechatpay_answer: Answer,
    download: Callable[[str], bytes],
    vector: str,
    changed: dict[str, Any],
    at: datetime,
) -> None:
    """Broken encryption, bad signatures and expired certificates leave the keys unchanged."""
    signer = new_wechatpay(apiv3_key=APIV3_KEY)

    assert not signer.learn_keys(wechatpay_answer(download(vector), **changed), at=at)
    assert "Wechatpay-Serial" not in signer.sign(BODY, at=at, nonce="N1").headers
    assert signer.keys_due(at)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html>", id="a page"),
        pytest.param(b'{"data":{}}', id="no list"),
        pytest.param(
            b'{"data":[1,{"serial_no":"1"},{"serial_no":"1","encrypt_certificate":{"nonce":1}}]}', id="no entry"
        ),
        pytest.param(
            b'{"data":[{"serial_no":"1","encrypt_certificate":{"nonce":"","ciphertext":"\xe4\xb8\xad"}}]}',
            id="no base64",
        ),
    ],
)
def test_a_malformed_download_adds_no_key(
    new_wechatpay: NewWechatPay, known: dict[str, RSAPublicKey], wechatpay_answer: Answer, body: bytes
) -> None:
    """A signed answer without a list of certificates adds no key, and does not raise."""
    assert not new_wechatpay(platform_keys=known, apiv3_key=APIV3_KEY).learn_keys(wechatpay_answer(body), at=AT)


def test_an_entry_with_another_serial_number_is_skipped(
    new_wechatpay: NewWechatPay,
    known: dict[str, RSAPublicKey],
    wechatpay_answer: Answer,
    download: Callable[[str], bytes],
) -> None:
    """An entry whose serial number differs from its certificate is skipped."""
    signer = new_wechatpay(platform_keys=known, apiv3_key=APIV3_KEY)
    body = download("wxc-A02").replace(SERIAL_2.encode(), b"41C8")

    assert not signer.learn_keys(wechatpay_answer(body), at=AT)


def test_a_certificate_without_an_rsa_key_is_skipped(
    new_wechatpay: NewWechatPay,
    known: dict[str, RSAPublicKey],
    wechatpay_answer: Answer,
    private_key: PrivateKeys,
    issue: Callable[..., x509.Certificate],
) -> None:
    """A correctly encrypted certificate without an RSA key is skipped."""
    of_another_kind = issue("a", ec.generate_private_key(ec.SECP256R1()).public_key(), "a", private_key(PLATFORM_KEY))
    ciphertext = AESGCM(APIV3_KEY).encrypt(b"123456789012", of_another_kind.public_bytes(Encoding.PEM), None)
    sealed = {"nonce": "123456789012", "ciphertext": base64.b64encode(ciphertext).decode()}
    body = orjson.dumps({"data": [{"serial_no": "7", "encrypt_certificate": sealed}]})

    assert not new_wechatpay(platform_keys=known, apiv3_key=APIV3_KEY).learn_keys(wechatpay_answer(body), at=AT)
