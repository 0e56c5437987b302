"""A movable clock, and a small merchant that signs with `cryptography` and calls the simulator."""

import base64
import http.client
import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote_plus, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from pipeline.simulator import Simulator

KEYS = Path(__file__).parents[1] / "vectors" / "keys"
APP_CERT_SN = "1b66d37535a733e0b115025bda5eef8b"
ROOT_CERT_SN = "f15dc496e0c216eb20f358869656d2d5_d6c13397e8db7ab214c88f272d6424e9"
ALIPAY_SN = "50449db5bd68e2f4a5f49a8d7327ed49"
PUBLIC_KEY_ID = "PUB_KEY_ID_0114232134912410000000000011111111"
SERIAL_1 = "5157F09EFDC096DE15EBE81A47057A7200000A02"
MERCHANT_SERIAL = "3775B6A45ACD588826D15E583A95F5DD00000A01"
AES_KEY = bytes(range(16))
CUMULATION = "/v3/zhima/credit/pe/zmgo/cumulation/sync"
POINTS = "/v3/brand/partner/card-member/user-points/sync"
BRAND_POINTS = "/brand/card-member/user-points/sync"
BRAND_KEY_ID = "PUB_KEY_ID_01142321349124100000000000222222"
BRAND_SERIAL = "5B0A1C2D3E4F60718293A4B5C6D7E8F900000B01"


class MovableClock:
    """Stands still until a test moves it; sleeping moves it at once."""

    def __init__(self) -> None:
        self.moment = datetime(2025, 11, 20, 10, 0, tzinfo=UTC)
        self.seconds = 1000.0
        self._guard = threading.Lock()

    def now(self) -> datetime:
        return self.moment

    def steady(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        with self._guard:
            self.moment += timedelta(seconds=seconds)
            self.seconds += seconds

    def pause(self, seconds: float) -> None:
        self.sleep(seconds)

    def wake(self) -> None:
        """Do nothing: `sleep` never blocks."""


@dataclass(frozen=True)
class Answer:
    """An answer, header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Merchant:
    """Signs requests of the four APIs and sends each on a connection of its own."""

    def __init__(self, simulator: Simulator, clock: MovableClock) -> None:
        self._address = urlsplit(simulator.url).netloc
        self._clock = clock
        self._nonces = itertools.count(1)
        self.last: tuple[str, str, Mapping[str, str], bytes] = ("", "", {}, b"")

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        connection = http.client.HTTPConnection(self._address, timeout=10)
        self.last = (method, target, headers, body)
        try:
            connection.request(method, target, body, dict(headers))
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def repeat(self) -> bytes:
        """Send the last request again, byte for byte, and return all that comes until the connection ends."""
        method, target, headers, body = self.last
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode()
        host, _, port = self._address.partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection, connection.makefile("rb") as heard:
            connection.sendall(head + body)
            connection.shutdown(socket.SHUT_WR)
            return heard.read()

    def report(
        self,
        content: Mapping[str, object] | None = None,
        *,
        certificates: bool = False,
        token: str | None = None,
        encrypted: bool = False,
        key: str = "alipay-app",
        headers: Mapping[str, str] | None = None,
        **changes: str,
    ) -> Answer:
        """Send a cumulation report; `changes` replace signed items, `headers` replace headers."""
        body = json.dumps(report() if content is None else content, ensure_ascii=False).encode()
        body = encrypt(body) if encrypted else body
        items = {"app_id": "2021000000000001", **({"app_cert_sn": APP_CERT_SN} if certificates else {})}
        items |= {"nonce": f"nonce-{next(self._nonces)}", "timestamp": self._milliseconds(), **changes}
        signed = ",".join(f"{name}={value}" for name, value in items.items())
        text = f"{signed}\nPOST\n{CUMULATION}\n".encode() + body + b"\n" + (f"{token}\n".encode() if token else b"")
        sent = {"Content-Type": "text/plain" if encrypted else "application/json"}
        sent |= {"Authorization": f"ALIPAY-SHA256withRSA {signed},sign={sign(key, text)}"}
        sent |= {"alipay-encrypt-type": "AES"} if encrypted else {}
        sent |= {"alipay-app-auth-token": token} if token else {}
        sent |= {"alipay-root-cert-sn": ROOT_CERT_SN} if certificates else {}
        return self.send("POST", CUMULATION, {**sent, **(headers or {})}, body)

    def query(self, target: str, *, signed: str | None = None) -> Answer:
        """Send a GET of Alipay v3; `signed` is the target that is signed instead."""
        auth = f"app_id=2021000000000001,nonce=nonce-{next(self._nonces)},timestamp={self._milliseconds()}"
        text = f"{auth}\nGET\n{target if signed is None else signed}\n\n".encode()
        headers = {"Authorization": f"ALIPAY-SHA256withRSA {auth},sign={sign('alipay-app', text)}"}
        return self.send("GET", target, headers)

    def state(
        self,
        content: Mapping[str, object] | None = None,
        *,
        method: str = "zhima.data.state.data.sync",
        charset: str = "utf-8",
        sha1: bool = False,
        certificates: bool = False,
        encrypted: bool = False,
        key: str = "alipay-app",
        **changes: str,
    ) -> Answer:
        """Send a call to the gateway; `changes` replace common parameters."""
        plain = json.dumps(state() if content is None else content, ensure_ascii=False)
        given = {"app_id": "2021000000000001", "method": method, "format": "JSON", "charset": charset}
        given |= {"sign_type": "RSA" if sha1 else "RSA2", "timestamp": self._beijing_time(), "version": "1.0"}
        given |= {"app_cert_sn": APP_CERT_SN, "alipay_root_cert_sn": ROOT_CERT_SN} if certificates else {}
        given |= {"encrypt_type": "AES"} if encrypted else {}
        given |= changes
        biz_content = encrypt(plain.encode()).decode() if encrypted else plain
        signed = {name: value for name, value in {**given, "biz_content": biz_content}.items() if value}
        text = "&".join(f"{name}={signed[name]}" for name in sorted(signed))
        query = {**given, "sign": sign(key, text.encode(charset), sha1=sha1)}
        target = "/gateway.do?" + "&".join(f"{n}={quote_plus(v, encoding=charset)}" for n, v in query.items())
        headers = {"Content-Type": f"application/x-www-form-urlencoded;charset={charset}"}
        return self.send("POST", target, headers, f"biz_content={quote_plus(biz_content, encoding=charset)}".encode())

    def points(self, content: Mapping[str, object] | None = None, **changes: str) -> Answer:
        """Send a balance; `changes` replace items of the authorization, or a header with `Wechatpay_Serial`."""
        return self._wechatpay("POST", POINTS, json.dumps(points() if content is None else content).encode(), **changes)

    def brand_points(self, content: Mapping[str, object] | None = None, **changes: str) -> Answer:
        """Send a balance as a brand; `changes` are as in `points`, and `scheme`."""
        right = {"scheme": "WECHATPAY-BRAND-SHA256-RSA2048", "key": "wechatpay-brand", "serial_no": BRAND_SERIAL}
        right |= {"caller": "brand_id", "brand_id": "1004", "Wechatpay_Serial": BRAND_KEY_ID}
        body = json.dumps(brand_points() if content is None else content).encode()
        return self._wechatpay("POST", BRAND_POINTS, body, **right | changes)

    def certificates(self, **changes: str) -> Answer:
        """Fetch the platform certificates of WeChat Pay."""
        return self._wechatpay("GET", "/v3/certificates", b"", **changes)

    def _wechatpay(self, method: str, target: str, body: bytes, **changes: str) -> Answer:
        serial = changes.pop("Wechatpay_Serial", PUBLIC_KEY_ID)
        key, scheme = changes.pop("key", "wechatpay-merchant"), changes.pop("scheme", "WECHATPAY2-SHA256-RSA2048")
        items = {changes.pop("caller", "mchid"): "1900000001", "serial_no": MERCHANT_SERIAL}
        items |= {"timestamp": str(int(self._clock.now().timestamp())), "nonce_str": f"nonce{next(self._nonces)}"}
        items |= changes
        text = f"{method}\n{target}\n{items['timestamp']}\n{items['nonce_str']}\n".encode() + body + b"\n"
        items["signature"] = sign(key, text)
        authorization = ",".join(f'{name}="{value}"' for name, value in items.items())
        headers = {"Authorization": f"{scheme} {authorization}", "Wechatpay-Serial": serial}
        headers |= {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "test"}
        return self.send(method, target, headers, body)

    def _milliseconds(self) -> str:
        return str(int(self._clock.now().timestamp() * 1000))

    def _beijing_time(self) -> str:
        return (self._clock.now() + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S")


def report(key: str = "ord-1", **changes: object) -> dict[str, object]:
    """Return a right report with changes; None removes a field."""
    content = {
        "agreement_no": "20255108518085620001",
        "user_id": "2088000000005001",
        "partner_id": "2088000000000504",
        "out_biz_no": key,
        "biz_time": "2025-11-20 17:51:35",
        "request_from": "ExternalMerchantSource",
        "biz_action": "ORDER_PAID",
        "cumulate_data_type": "AMOUNT",
        "amount_type_data": {"name": "消费金额", "trade_info": {"trade_no": "T1", "amount": "3.57"}},
        **changes,
    }
    return {name: value for name, value in content.items() if value is not None}


def state(key: str = "st-1", **changes: object) -> dict[str, object]:
    """Return a right state with changes; None removes a field."""
    content = {
        "user_id": "2088000000005001",
        "out_biz_no": key,
        "out_principal_id": "1303902",
        "biz_state_code": "BOUGHT",
        "category_code": "WATCH_MOVIE",
        "service_id": "2019080700000000000001800100",
        "biz_data": '{"shopName":"测试影院"}',
        **changes,
    }
    return {name: value for name, value in content.items() if value is not None}


def points(key: str = "pt-1", **changes: object) -> dict[str, object]:
    """Return a right balance with changes."""
    return {
        "out_request_no": key,
        "brand_id": "1004",
        "card_id": "pTESTcard",
        "openid": "oTESTopenid",
        "user_card_code": "478515830001",
        "point_balance": 1000,
        **changes,
    }


def brand_points(key: str = "bp-1", **changes: object) -> dict[str, object]:
    """Return a right balance of a brand with changes."""
    return {name: value for name, value in points(key).items() if name != "brand_id"} | changes


def encrypt(plain: bytes) -> bytes:
    """Return the text encrypted by Alipay's content encryption."""
    padder = PKCS7(128).padder()
    box = Cipher(algorithms.AES(AES_KEY), modes.CBC(bytes(16))).encryptor()
    return base64.b64encode(box.update(padder.update(plain) + padder.finalize()) + box.finalize())


def decrypt(text: bytes) -> bytes:
    """Reverse `encrypt`."""
    box = Cipher(algorithms.AES(AES_KEY), modes.CBC(bytes(16))).decryptor()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(box.update(base64.b64decode(text)) + box.finalize()) + unpadder.finalize()


def sign(key: str, text: bytes, *, sha1: bool = False) -> str:
    """Return the signature of one of the vectors' private keys."""
    digest = hashes.SHA1() if sha1 else hashes.SHA256()
    return base64.b64encode(_private_key(key).sign(text, PKCS1v15(), digest)).decode()


def verify(key: str, signature: str, text: bytes, *, sha1: bool = False) -> None:
    """Raise InvalidSignature unless one of the vectors' public keys signed the text."""
    digest = hashes.SHA1() if sha1 else hashes.SHA256()
    _public_key(key).verify(base64.b64decode(signature), text, PKCS1v15(), digest)


@cache
def _private_key(name: str) -> RSAPrivateKey:
    pem = (KEYS / f"TEST-A-{name}-private-pkcs8.pem").read_bytes()
    return cast("RSAPrivateKey", load_pem_private_key(pem, None))


@cache
def _public_key(name: str) -> RSAPublicKey:
    pem = (KEYS / f"TEST-A-{name}.pem").read_bytes()
    if name.endswith("cert"):
        return cast("RSAPublicKey", x509.load_pem_x509_certificate(pem).public_key())
    return cast("RSAPublicKey", load_pem_public_key(pem))


class Opened:
    """Contents of answers whose signatures were verified."""

    @staticmethod
    def alipay_v3(answer: Answer, key: str = "alipay-platform-public") -> Any:
        signature = f"{answer.headers['alipay-timestamp']}\n{answer.headers['alipay-nonce']}\n"
        verify(key, answer.headers["alipay-signature"], signature.encode() + answer.body + b"\n")
        return json.loads(decrypt(answer.body) if not answer.body.startswith(b"{") else answer.body)

    @staticmethod
    def gateway(
        answer: Answer,
        node: str = "zhima_data_state_data_sync_response",
        *,
        key: str = "alipay-platform-public",
        charset: str = "utf-8",
        sha1: bool = False,
    ) -> Any:
        start = len(f'{{"{node}":')
        end = max(answer.body.rfind(mark) for mark in (b',"sign"', b',"alipay_cert_sn"'))
        end = answer.body.rfind(b',"alipay_cert_sn"') if b',"alipay_cert_sn"' in answer.body else end
        value = answer.body[start:end]
        verify(key, json.loads(answer.body.decode(charset))["sign"], value, sha1=sha1)
        plain = decrypt(value.strip(b'"')) if value.startswith(b'"') else value
        return json.loads(plain.decode("utf-8" if value.startswith(b'"') else charset))

    @staticmethod
    def wechatpay(answer: Answer, key: str = "wechatpay-pubkey-public") -> Any:
        signature = f"{answer.headers['wechatpay-timestamp']}\n{answer.headers['wechatpay-nonce']}\n"
        verify(key, answer.headers["wechatpay-signature"], signature.encode() + answer.body + b"\n")
        return json.loads(answer.body)


@dataclass(frozen=True)
class Made:
    """Right contents, to be changed by a test."""

    report: Callable[..., dict[str, object]] = report
    state: Callable[..., dict[str, object]] = state
    points: Callable[..., dict[str, object]] = points
    brand_points: Callable[..., dict[str, object]] = brand_points


@pytest.fixture
def clock() -> MovableClock:
    """Stand still at 10:00 UTC on 20 November 2025, where the golden vectors begin."""
    return MovableClock()


@pytest.fixture
def simulator(clock: MovableClock) -> Iterator[Simulator]:
    """Serve without faults, on the test's clock."""
    with Simulator(clock=clock) as running:
        yield running


@pytest.fixture
def merchant(simulator: Simulator, clock: MovableClock) -> Merchant:
    """Sign and send to the simulator."""
    return Merchant(simulator, clock)


@pytest.fixture
def opened() -> type[Opened]:
    """Verify answers and read them."""
    return Opened


@pytest.fixture
def make() -> Made:
    """Return functions that make right contents."""
    return Made()
