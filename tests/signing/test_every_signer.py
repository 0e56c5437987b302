"""All protocols: they implement the writer's port, and no answer breaks them."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.model import Opened, Reply, Trust
from pipeline.signing.alipay.gateway import AlipayGateway
from pipeline.signing.alipay.v3 import AlipayV3
from pipeline.signing.certificates import certificate_sn, serial_hex
from pipeline.signing.keys import public_key_of
from pipeline.signing.wechatpay.brand import WechatPayBrand
from pipeline.signing.wechatpay.v3 import WechatPay
from pipeline.write.ports import Signer

AT = datetime(2025, 11, 20, 10, 0, tzinfo=UTC)
APP_KEY = "keys/TEST-A-alipay-app-private-pkcs8.pem"
CERTIFICATE = "keys/TEST-A-alipay-platform-cert.pem"
ROOTS = "keys/TEST-A-alipay-root-bundle.pem"
SN = "50449db5bd68e2f4a5f49a8d7327ed49"
SERIAL = "FF9AE5F03A93ECB1108F73F032"
NODE = "zhima_data_state_data_sync_response"
DOWNLOAD = "alipay_open_app_alipaycert_download_response"

HEADERS = [
    *("alipay-signature", "alipay-sn", "alipay-timestamp", "alipay-nonce", "content-type"),
    *("wechatpay-signature", "wechatpay-serial", "wechatpay-timestamp", "wechatpay-nonce"),
]
VALUES = (
    st.sampled_from(["null", "AAAA", "application/json", SN, SERIAL, "1763632800", "WECHATPAY/SIGNTEST/"]) | st.text()
)
MEMBERS = [
    "sign",
    "alipay_cert_sn",
    "error_response",
    "code",
    "alipay_cert_content",
    "data",
    NODE,
    DOWNLOAD,
    "serial_no",
]
JSON = st.recursive(
    st.none() | st.integers() | st.sampled_from(["10000", SN, "AAAA"]) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw random bytes, and JSON that resembles an answer, whole or cut, in several charsets."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=60))
    text = json.dumps(draw(JSON), ensure_ascii=draw(st.booleans()))
    whole = text.encode(draw(st.sampled_from(["utf-8", "gb18030"])), errors="surrogatepass")
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.booleans()) else whole


REPLIES = st.builds(
    Reply, st.integers(100, 599), st.dictionaries(st.sampled_from(HEADERS), VALUES, max_size=9), bodies()
)


@pytest.fixture
def signers(
    private_key: Callable[[str], RSAPrivateKey], certificates: Callable[[str], tuple[x509.Certificate, ...]]
) -> list[Signer]:
    """Return signers of all protocols, with every feature enabled."""
    key, certificate, roots = private_key(APP_KEY), certificates(CERTIFICATE)[0], certificates(ROOTS)
    platform = {certificate_sn(certificate): certificate}
    alipay_v3: Signer = AlipayV3(app_id="1", private_key=key, platform=platform)
    encrypted: Signer = AlipayV3(app_id="1", private_key=key, platform=platform, encrypt_key=bytes(16))
    gateway: Signer = AlipayGateway(
        app_id="1", private_key=key, platform=platform, root_certificates=roots, encrypt_key=bytes(16)
    )
    in_gbk: Signer = AlipayGateway(
        app_id="1", private_key=key, platform=public_key_of(certificate, CERTIFICATE), charset="gbk", sign_type="RSA"
    )
    wechatpay: Signer = WechatPay(
        mchid="1",
        serial_no="1",
        private_key=key,
        platform_keys={serial_hex(certificate): public_key_of(certificate, CERTIFICATE)},
        apiv3_key=bytes(32),
    )
    brand: Signer = WechatPayBrand(
        brand_id="1",
        serial_no="1",
        private_key=key,
        public_key_id=SERIAL,
        public_key=public_key_of(certificate, CERTIFICATE),
    )
    return [alipay_v3, encrypted, gateway, in_gbk, wechatpay, brand]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(reply=REPLIES)
def test_no_answer_without_the_platform_key_is_trusted(signers: list[Signer], reply: Reply) -> None:
    """Without the platform's key, no answer is verified, raises, or adds a key."""
    for signer in signers:
        opened = signer.open(reply, at=AT)
        signer.key_request(opened, at=AT, nonce="n")

        assert opened.trust is not Trust.VERIFIED
        assert opened.content is None or opened.content.lstrip()[:1] == b"{"
        assert not signer.learn_keys(reply, at=AT)


def test_signers_are_thread_safe(signers: list[Signer]) -> None:
    """The same time and nonce give the same request in each thread."""
    reply = Reply(500, {}, b'{"code":"SYSTEM_ERROR"}')
    signed: list[list[object]] = [[] for _ in range(4)]

    def work(into: list[object]) -> None:
        for _ in range(5):
            into += [signer.sign(b'{"a":1}', at=AT, nonce="n") for signer in signers]
            into += [signer.open(reply, at=AT) for signer in signers]

    threads = [threading.Thread(target=work, args=(into,)) for into in signed]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert signed[1:] == signed[:1] * 3
    assert signed[0][len(signers)] == Opened(Trust.UNSIGNED_ERROR, reply.body)
