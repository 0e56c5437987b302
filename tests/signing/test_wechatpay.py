"""APIv3 of WeChat Pay beside the golden vectors."""

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
from pipeline.signing.wechatpay import POINTS_SYNC, REFRESH_AFTER, WechatPay

AT = datetime(2025, 11, 20, 10, 0, 0, 900_000, tzinfo=UTC)
UNIX = 1763632800
MERCHANT_KEY = "keys/TEST-A-wechatpay-merchant-private-pkcs8.pem"
KEY_1, KEY_2 = (f"keys/TEST-A-wechatpay-platform-{n}-private-pkcs8.pem" for n in (1, 2))
CERTIFICATE_1, CERTIFICATE_2 = (f"keys/TEST-A-wechatpay-platform-{n}-cert.pem" for n in (1, 2))
SERIAL_1 = "5157F09EFDC096DE15EBE81A47057A7200000A02"
SERIAL_2 = "41C8F5D2E0B7A6949382716051423300000000A3"
PUBLIC_KEY, PUBLIC_KEY_ID = "keys/TEST-A-wechatpay-pubkey-public.pem", "PUB_KEY_ID_0114232134912410000000000011111111"
APIV3_KEY = b"TEST-A-apiv3-key-0123456789abcde"
BODY = b'{"out_request_no":"p-17","point_balance":1000}'
DOWNLOADS = Path(__file__).parents[1] / "vectors" / "wechatpay_certificates.json"

PrivateKeys = Callable[[str], RSAPrivateKey]
PublicKeys = Callable[[str], RSAPublicKey]
Certificates = Callable[[str], tuple[x509.Certificate, ...]]
RsaSign = Callable[[RSAPrivateKey, bytes], str]
NewSigner = Callable[..., WechatPay]
Answer = Callable[..., Reply]


@pytest.fixture
def new_signer(private_key: PrivateKeys) -> NewSigner:
    """Make a signer of the test merchant; a test says what is different."""

    def new(**changed: object) -> WechatPay:
        usual = {"mchid": "1900000001", "serial_no": "3775B6", "private_key": private_key(MERCHANT_KEY)}
        return WechatPay(**usual | changed)  # type: ignore[arg-type] # each test gives the constructor's types

    return new


@pytest.fixture
def answer(private_key: PrivateKeys, rsa_sign: RsaSign) -> Answer:
    """Make an answer that the platform signed."""

    def make(
        body: bytes, *, key: str = KEY_1, serial: str = SERIAL_1, status: int = 200, unix: int = UNIX, **other: str
    ) -> Reply:
        headers = {
            "content-type": "application/json; charset=utf-8",
            "wechatpay-nonce": "nonce",
            "wechatpay-serial": serial,
            "wechatpay-signature": rsa_sign(private_key(key), f"{unix}\nnonce\n".encode() + body + b"\n"),
            "wechatpay-timestamp": str(unix),
        }
        return Reply(status, headers | {name.replace("_", "-"): value for name, value in other.items()}, body)

    return make


@pytest.fixture
def download() -> Callable[[str], bytes]:
    """Return the body of a certificate download, by the vector's id."""
    vectors: list[dict[str, Any]] = json.loads(DOWNLOADS.read_bytes())["vectors"]
    bodies = {vector["id"]: orjson.dumps(vector["input"]["response_body"]) for vector in vectors}
    return lambda name: bodies[name]


@pytest.fixture
def known(certificates: Certificates) -> dict[str, RSAPublicKey]:
    """Return the key of platform certificate 1 by its serial number."""
    return {SERIAL_1: public_key_of(certificates(CERTIFICATE_1)[0], CERTIFICATE_1)}


def test_a_request_carries_every_header_the_platform_asks_for(
    new_signer: NewSigner, known: dict[str, RSAPublicKey], private_key: PrivateKeys, rsa_sign: RsaSign
) -> None:
    """The five items, the User-Agent without which some calls fail, and the key to sign the answer with."""
    signed = new_signer(platform_keys=known).sign(BODY, at=AT, nonce="N1")

    text = f"POST\n{POINTS_SYNC}\n{UNIX}\nN1\n{BODY.decode()}\n".encode()
    signature = rsa_sign(private_key(MERCHANT_KEY), text)
    assert signed == SignedRequest(
        method="POST",
        target="/v3/brand/partner/card-member/user-points/sync",
        headers={
            "Accept": "application/json",
            "Authorization": (
                'WECHATPAY2-SHA256-RSA2048 mchid="1900000001",serial_no="3775B6",'
                f'timestamp="{UNIX}",nonce_str="N1",signature="{signature}"'
            ),
            "Content-Type": "application/json",
            "User-Agent": "loyalty-backfill",
            "Wechatpay-Serial": SERIAL_1,
        },
        body=BODY,
    )


def test_a_repeat_has_the_same_body_and_a_new_signature(new_signer: NewSigner) -> None:
    """Time and nonce of each attempt are signed; the body stays."""
    signer = new_signer()

    attempts = [
        signer.sign(BODY, at=AT, nonce="N1"),
        signer.sign(BODY, at=AT, nonce="N2"),
        signer.sign(BODY, at=AT + timedelta(seconds=1), nonce="N1"),
    ]

    assert len({attempt.headers["Authorization"] for attempt in attempts}) == 3
    assert {attempt.body for attempt in attempts} == {BODY}


def test_a_public_key_is_asked_for_before_any_certificate(
    new_signer: NewSigner, known: dict[str, RSAPublicKey], public_key: PublicKeys
) -> None:
    """Where the merchant has both, answers shall be signed with the public key, and no certificates are fetched."""
    signer = new_signer(platform_keys={PUBLIC_KEY_ID: public_key(PUBLIC_KEY), **known}, apiv3_key=APIV3_KEY)

    assert signer.sign(BODY, at=AT, nonce="N1").headers["Wechatpay-Serial"] == PUBLIC_KEY_ID
    assert not signer.keys_due(AT)


def test_without_a_key_none_is_asked_for(new_signer: NewSigner) -> None:
    """Before the first download the request names no key."""
    assert "Wechatpay-Serial" not in new_signer(apiv3_key=APIV3_KEY).sign(BODY, at=AT, nonce="N1").headers


@pytest.mark.parametrize(
    ("changed", "trust"),
    [
        pytest.param({"unix": UNIX - 299}, Trust.VERIFIED, id="old, within the tolerance"),
        pytest.param({"unix": UNIX - 301}, Trust.STALE, id="too old"),
        pytest.param({"unix": UNIX + 302}, Trust.STALE, id="from the future"),
        pytest.param({"wechatpay_timestamp": "now"}, Trust.STALE, id="no number"),
        pytest.param({"wechatpay_timestamp": "٣"}, Trust.STALE, id="a number in other digits"),
        pytest.param({"wechatpay_timestamp": "1" * 5000}, Trust.STALE, id="a number of any length"),
        pytest.param({"wechatpay_signature": "WECHATPAY/SIGNTEST/x"}, Trust.PROBE, id="probe"),
        pytest.param({"wechatpay_signature": ""}, Trust.MISSING_SIGNATURE, id="empty header"),
        pytest.param({"serial": SERIAL_1.lower()}, Trust.VERIFIED, id="serial in small letters"),
        pytest.param({"serial": f"00{SERIAL_1}"}, Trust.VERIFIED, id="serial with leading zeros"),
    ],
)
def test_a_success_is_believed_if_fresh_and_signed(
    new_signer: NewSigner, known: dict[str, RSAPublicKey], answer: Answer, changed: dict[str, Any], trust: Trust
) -> None:
    """Age, probe and missing parts are each told apart."""
    assert new_signer(platform_keys=known).open(answer(BODY, **changed), at=AT) == Opened(trust, BODY)


@pytest.mark.parametrize(
    ("status", "content_type", "body", "opened"),
    [
        pytest.param(200, "text/html", b"<html></html>", Opened(Trust.UNREADABLE), id="a proxy's page"),
        pytest.param(200, "text/plain", BODY, Opened(Trust.UNREADABLE), id="JSON under another name"),
        pytest.param(
            200, "Application/JSON ;charset=utf-8", BODY, Opened(Trust.VERIFIED, BODY), id="JSON, spelt freely"
        ),
        pytest.param(200, "application/json", BODY[:-3], Opened(Trust.UNREADABLE), id="cut"),
        pytest.param(200, "application/json", b"", Opened(Trust.UNREADABLE), id="200 without a body"),
        pytest.param(204, "", b"", Opened(Trust.VERIFIED), id="204 without a body"),
        pytest.param(500, "application/json", BODY, Opened(Trust.UNSIGNED_ERROR, BODY), id="error, signed or not"),
        pytest.param(404, "", b"", Opened(Trust.UNSIGNED_ERROR), id="error without a body"),
        pytest.param(302, "text/html", b"", Opened(Trust.UNSIGNED_ERROR), id="redirect"),
    ],
)
def test_an_answer_is_read_as_its_status_and_type_allow(
    new_signer: NewSigner,
    known: dict[str, RSAPublicKey],
    answer: Answer,
    status: int,
    content_type: str,
    body: bytes,
    opened: Opened,
) -> None:
    """A success must be JSON and say so; an error is never verified, as the platform's own libraries do not."""
    reply = answer(body, status=status, content_type=content_type)

    assert new_signer(platform_keys=known).open(reply, at=AT) == opened


def test_certificates_are_fetched_with_a_signed_request(
    new_signer: NewSigner, private_key: PrivateKeys, rsa_sign: RsaSign
) -> None:
    """The download is a signed GET, and only the APIv3 key makes it of use."""
    request = new_signer(apiv3_key=APIV3_KEY).key_request(None, at=AT, nonce="N1")

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
    assert new_signer().key_request(None, at=AT, nonce="N1") is None


def test_the_first_download_is_verified_with_what_it_brings(
    new_signer: NewSigner, answer: Answer, download: Callable[[str], bytes]
) -> None:
    """Certificates that were sealed with the APIv3 key, in an answer signed with one of them, are taken in."""
    signer = new_signer(apiv3_key=APIV3_KEY)
    assert signer.keys_due(AT)

    assert signer.learn_keys(answer(download("wxc-A02"), key=KEY_2, serial=SERIAL_2), at=AT)

    answers = [answer(BODY), answer(BODY, key=KEY_2, serial=SERIAL_2)]
    assert [signer.open(one, at=AT) for one in answers] == [Opened(Trust.VERIFIED, BODY)] * 2
    assert signer.sign(BODY, at=AT, nonce="N1").headers["Wechatpay-Serial"] in {SERIAL_1, SERIAL_2}


def test_a_new_certificate_stands_beside_the_old_one(
    new_signer: NewSigner,
    known: dict[str, RSAPublicKey],
    certificates: Certificates,
    answer: Answer,
    download: Callable[[str], bytes],
) -> None:
    """A key that a later download no longer names stays, for answers on their way may still be signed with it."""
    second = {SERIAL_2: public_key_of(certificates(CERTIFICATE_2)[0], CERTIFICATE_2)}
    signer = new_signer(platform_keys=second, apiv3_key=APIV3_KEY)

    learned = [
        signer.learn_keys(answer(download("wxc-A01"), key=KEY_2, serial=SERIAL_2), at=AT),
        signer.learn_keys(answer(download("wxc-A01")), at=AT),
    ]

    answers = [answer(BODY), answer(BODY, key=KEY_2, serial=SERIAL_2)]
    assert learned == [True, False]
    assert [signer.open(one, at=AT) for one in answers] == [Opened(Trust.VERIFIED, BODY)] * 2
    assert signer.sign(BODY, at=AT, nonce="N1").headers["Wechatpay-Serial"] == SERIAL_1


def test_keys_are_due_again_before_they_are_half_a_day_old(
    new_signer: NewSigner, answer: Answer, download: Callable[[str], bytes]
) -> None:
    """A download that verified puts the next one off, also if it brought nothing new; one that failed does not."""
    signer = new_signer(apiv3_key=APIV3_KEY)
    later = AT + REFRESH_AFTER

    signer.learn_keys(answer(download("wxc-A01"), wechatpay_signature="AAAA"), at=AT)
    after_a_failure = signer.keys_due(AT)
    signer.learn_keys(answer(download("wxc-A01")), at=AT)
    after_a_download = [signer.keys_due(at) for at in (AT, later - timedelta(seconds=1), later)]
    signer.learn_keys(answer(download("wxc-A03"), unix=UNIX + int(REFRESH_AFTER.total_seconds())), at=later)

    assert after_a_failure
    assert after_a_download == [False, False, True]
    assert not signer.keys_due(later)
    assert timedelta(hours=12) > REFRESH_AFTER
    assert not new_signer().keys_due(AT)


@pytest.mark.parametrize(
    ("vector", "changed", "at"),
    [
        pytest.param("wxc-A01", {"wechatpay_signature": "AAAA"}, AT, id="bad signature"),
        pytest.param("wxc-A01", {"wechatpay_signature": "WECHATPAY/SIGNTEST/x"}, AT, id="probe"),
        pytest.param("wxc-A01", {"wechatpay_serial": SERIAL_2}, AT, id="signed with a key of nobody"),
        pytest.param("wxc-A01", {"unix": UNIX - 400}, AT, id="stale"),
        pytest.param("wxc-A01", {"status": 404}, AT, id="no certificates"),
        pytest.param("wxc-A03", {}, AT, id="empty list"),
        pytest.param("wxc-A04", {}, AT, id="seal broken"),
        pytest.param("wxc-A05", {}, AT, id="sealed for something else"),
        pytest.param("wxc-A01", {"unix": 2335000000}, datetime.fromtimestamp(2335000000, UTC), id="expired"),
    ],
)
def test_a_download_that_proves_nothing_teaches_nothing(
    new_signer: NewSigner,
    answer: Answer,
    download: Callable[[str], bytes],
    vector: str,
    changed: dict[str, Any],
    at: datetime,
) -> None:
    """Broken seals, bad signatures and expired certificates leave the keys as they were."""
    signer = new_signer(apiv3_key=APIV3_KEY)

    assert not signer.learn_keys(answer(download(vector), **changed), at=at)
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
def test_a_download_of_any_shape_is_read_without_a_raise(
    new_signer: NewSigner, known: dict[str, RSAPublicKey], answer: Answer, body: bytes
) -> None:
    """A signed answer that is no list of certificates teaches nothing."""
    assert not new_signer(platform_keys=known, apiv3_key=APIV3_KEY).learn_keys(answer(body), at=AT)


def test_an_entry_that_names_another_serial_number_is_left_out(
    new_signer: NewSigner, known: dict[str, RSAPublicKey], answer: Answer, download: Callable[[str], bytes]
) -> None:
    """A certificate is known by its own serial number, not by what stands beside it."""
    signer = new_signer(platform_keys=known, apiv3_key=APIV3_KEY)
    body = download("wxc-A02").replace(SERIAL_2.encode(), b"41C8")

    assert not signer.learn_keys(answer(body), at=AT)


def test_a_certificate_without_an_rsa_key_is_of_no_use(
    new_signer: NewSigner,
    known: dict[str, RSAPublicKey],
    answer: Answer,
    private_key: PrivateKeys,
    issue: Callable[..., x509.Certificate],
) -> None:
    """A well sealed certificate whose key can't have signed an answer is left out."""
    of_another_kind = issue("a", ec.generate_private_key(ec.SECP256R1()).public_key(), "a", private_key(KEY_1))
    ciphertext = AESGCM(APIV3_KEY).encrypt(b"123456789012", of_another_kind.public_bytes(Encoding.PEM), None)
    sealed = {"nonce": "123456789012", "ciphertext": base64.b64encode(ciphertext).decode()}
    body = orjson.dumps({"data": [{"serial_no": "7", "encrypt_certificate": sealed}]})

    assert not new_signer(platform_keys=known, apiv3_key=APIV3_KEY).learn_keys(answer(body), at=AT)


def test_a_repr_shows_no_secret(new_signer: NewSigner) -> None:
    """The signer can be logged."""
    assert repr(new_signer(apiv3_key=APIV3_KEY)) == "WechatPay(mchid='1900000001')"
