"""Keys and certificates for the tests of settings, and a folder from which a config loads."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from pipeline.errors import SettingsError
from pipeline.settings import Config, load

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

# The sample of the contract (SPEC section 3).
SAMPLE = """\
[ledger]
url = "sqlite:///state/backfill.db"

[accounts.zhima]
platform = "alipay"
app_id = "2021000000000001"
private_key_file = "keys/app_private_key.pem"
alipay_public_key_file = "keys/alipay_public_key.pem"
base_url = "https://openapi.alipay.com"

[accounts.card]
platform = "wechatpay"
mchid = "1900000001"
serial_no = "4A1B2C3D4E5F60718293A4B5C6D7E8F901234567"
private_key_file = "keys/apiclient_key.pem"
public_key_id = "PUB_KEY_ID_0000000000000024101100397200000006"
public_key_file = "keys/wechatpay_public_key.pem"
base_url = "https://api.mch.weixin.qq.com"

[jobs.orders]
export = "orders"
api = "alipay.cumulation"
account = "zhima"
input = ["exports/{date}/orders-*.csv.gz"]
rate = 20
concurrency = 16
timeout_s = 10
max_attempts = 6
timezone = "Asia/Shanghai"
[jobs.orders.csv]
encoding = "gb18030"
[jobs.orders.columns]
out_biz_no = "order_id"
trade_amount = "paid_fen"
[jobs.orders.units]
trade_amount = "fen"
[jobs.orders.constants]
partner_id = "2088000000000000"
amount_name = "消费金额"
"""

POINTS = """
[jobs.points]
export = "points"
api = "wechatpay.points"
account = "card"
input = "exports/points.parquet"
"""


def _private(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _public(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, *, until: datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TEST")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(until - timedelta(days=365)).not_valid_after(until)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture(scope="session")
def key_files() -> Mapping[str, bytes]:
    """The key files of the tests, by name."""
    app, alipay, merchant, wechat = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(4))
    curve = ec.generate_private_key(ec.SECP256R1())
    later, soon, past = NOW + timedelta(days=300), NOW + timedelta(days=9), NOW - timedelta(days=9)
    return {
        "app_private_key.pem": _private(app),
        "app_public_key.pem": _public(app),
        "app_cert.crt": _certificate(app, until=later),
        "app_cert_soon.crt": _certificate(app, until=soon),
        "app_cert_past.crt": _certificate(app, until=past),
        "alipay_public_key.pem": _public(alipay),
        "alipay_cert.crt": _certificate(alipay, until=later),
        "alipay_cert_past_and_new.crt": _certificate(alipay, until=past) + _certificate(alipay, until=later),
        "alipay_cert_reissued.crt": _certificate(alipay, until=later + timedelta(days=30)),
        "alipay_cert_soon.crt": _certificate(alipay, until=soon),
        "alipay_cert_past.crt": _certificate(alipay, until=past),
        "root_cert.crt": _certificate(curve, until=later) + _certificate(alipay, until=later),
        "curve_cert.crt": _certificate(curve, until=later),
        "apiclient_key.pem": _private(merchant),
        "apiclient_public.pem": _public(merchant),
        "apiclient_cert.pem": _certificate(merchant, until=later),
        "wechatpay_public_key.pem": _public(wechat),
        "platform_cert.pem": _certificate(wechat, until=soon),
        "empty.pem": b" \n",
        "rubbish.pem": b"no key at all",
        "apiv3.txt": b"0123456789abcdef0123456789abcdeF\n",
    }


@pytest.fixture
def folder(tmp_path: Path, key_files: Mapping[str, bytes]) -> Path:
    """A folder with all keys in `keys/`, readable only by their owner."""
    keys = tmp_path / "keys"
    keys.mkdir()
    for name, data in key_files.items():
        (keys / name).write_bytes(data)
        (keys / name).chmod(0o600)
    return tmp_path


@pytest.fixture
def sample() -> str:
    """The sample config of the contract."""
    return SAMPLE


@pytest.fixture
def sample_with_points() -> str:
    """The sample and a job of points, so that both accounts are used."""
    return SAMPLE + POINTS


@pytest.fixture
def now() -> datetime:
    """The moment at which the tests load."""
    return NOW


@pytest.fixture
def load_text(folder: Path) -> Callable[..., Config]:
    """Load a text as the folder's config."""

    def loaded(
        text: str, *, environ: Mapping[str, str] | None = None, only_job: str | None = None, with_keys: bool = True
    ) -> Config:
        path = folder / "backfill.toml"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return load(path, environ=environ or {}, at=NOW, only_job=only_job, with_keys=with_keys)

    return loaded


@pytest.fixture
def faults_of(folder: Path, load_text: Callable[..., Config]) -> Callable[..., list[str]]:
    """Return the faults of a text, without the folder's name; none if it loads."""

    def found(text: str, *, environ: Mapping[str, str] | None = None, only_job: str | None = None) -> list[str]:
        try:
            load_text(text, environ=environ, only_job=only_job)
        except SettingsError as exc:
            return [fault.replace(f"{folder}/", "") for fault in exc.faults]
        return []

    return found
