"""Signer, endpoint and merchant of an account."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from pipeline.assemble.parts.platform import endpoint_of, merchant_of, signer_of
from pipeline.model import Api, CsvFormat, Export, Opened, Trust
from pipeline.settings import Account, AlipayAccount, BrandAccount, Job, WechatAccount
from pipeline.write.transport.network import Endpoint

AT = datetime(2025, 11, 20, 10, 0, tzinfo=UTC)
KEYS = Path(__file__).parents[2] / "vectors" / "keys"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ALIPAY = AlipayAccount(
    name="zhima", app_id="2021000000000001", private_key=KEY, public_key=KEY.public_key(), app_cert=None,
    alipay_certs=(), root_certs=(), encrypt_key=None, app_auth_token=None, base_url="https://openapi.alipay.com",
    gateway_url="https://openapi.alipay.com/gateway.do", charset="utf-8", sign_type="RSA2", proxy=None,
    ca_bundle_file=None, secret_files=(),
)  # fmt: skip
WECHAT = WechatAccount(
    name="card", mchid="1900000001", serial_no="4A", private_key=KEY, public_key_id=None, public_key=None,
    platform_certs=(), apiv3_key=None, base_url="https://api.mch.weixin.qq.com",
    backup_url="https://api2.mch.weixin.qq.com/", proxy="http://u:p@proxy:3128", ca_bundle_file=Path("ca.pem"),
    secret_files=(),
)  # fmt: skip

BRAND = BrandAccount(
    name="brand", brand_id="1004", serial_no="4A", private_key=KEY, public_key_id="PUB_KEY_ID_1",
    public_key=KEY.public_key(), base_url="https://api.mch.weixin.qq.com", backup_url="https://api2.mch.weixin.qq.com",
    proxy=None, ca_bundle_file=None, secret_files=(),
)  # fmt: skip


def job(api: Api) -> Job:
    return Job(
        name="job", export=Export.ORDERS, api=api, account="a", inputs=(), rate=5.0, concurrency=1, timeout_s=7.0,
        max_attempts=3, outage_limit_s=300.0, timezone=ZoneInfo("UTC"), csv=CsvFormat(), columns={}, units={},
        constants={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("account", "api", "endpoint"),
    [
        pytest.param(
            ALIPAY, Api.CUMULATION, Endpoint("https://openapi.alipay.com", timeout_seconds=7.0), id="cumulation"
        ),
        pytest.param(ALIPAY, Api.STATE, Endpoint("https://openapi.alipay.com", timeout_seconds=7.0), id="state"),
        pytest.param(
            replace(ALIPAY, gateway_url="http://127.0.0.1:8080/gate/way.do"), Api.STATE,
            Endpoint("http://127.0.0.1:8080", timeout_seconds=7.0), id="a-gateway-of-its-own",
        ),
        pytest.param(
            WECHAT, Api.POINTS,
            Endpoint(
                "https://api.mch.weixin.qq.com", "https://api2.mch.weixin.qq.com", "http://u:p@proxy:3128", "ca.pem",
                timeout_seconds=7.0,
            ),
            id="points",
        ),
        pytest.param(
            BRAND, Api.BRAND_POINTS,
            Endpoint("https://api.mch.weixin.qq.com", "https://api2.mch.weixin.qq.com", timeout_seconds=7.0),
            id="points of a brand",
        ),
    ],
)  # fmt: skip
def test_the_endpoint_of_an_api(account: Account, api: Api, endpoint: Endpoint) -> None:
    """Host, backup host, proxy, CA bundle and timeout come from account and job."""
    assert endpoint_of(account, job(api)) == endpoint


@pytest.mark.parametrize(
    ("account", "merchant"),
    [
        pytest.param(ALIPAY, "Alipay app 2021000000000001", id="alipay"),
        pytest.param(WECHAT, "WeChat Pay merchant 1900000001", id="wechat-pay"),
        pytest.param(BRAND, "WeChat Pay brand 1004", id="brand"),
        pytest.param(
            replace(BRAND, base_url="http://127.0.0.1:8080"), "WeChat Pay brand 1004 (simulated)", id="loopback-brand"
        ),
        pytest.param(
            replace(ALIPAY, base_url="http://127.0.0.1:8080"), "Alipay app 2021000000000001 (simulated)", id="loopback"
        ),
        pytest.param(
            replace(ALIPAY, gateway_url="http://localhost:8080/gateway.do"), "Alipay app 2021000000000001 (simulated)",
            id="loopback-gateway",
        ),
        pytest.param(
            replace(WECHAT, base_url="http://[::1]:8080"), "WeChat Pay merchant 1900000001 (simulated)", id="loopback-6"
        ),
    ],
)  # fmt: skip
def test_the_merchant_of_an_account(account: Account, merchant: str) -> None:
    """With a server on this machine, the account is another merchant, so that trial deliveries do not count."""
    assert merchant_of(account) == merchant


@pytest.mark.parametrize(
    ("gateway", "target"),
    [
        pytest.param("https://openapi.alipay.com/gateway.do", "/gateway.do?", id="same-host"),
        pytest.param("https://openapi.alipay.com/gate/way.do", "/gate/way.do?", id="another-path"),
        pytest.param("https://gateway.example/gateway.do", None, id="another-host"),
    ],
)
def test_v3_downloads_certificates_from_a_gateway_on_its_host(gateway: str, target: str | None) -> None:
    """A transport has one host, so an unknown certificate is downloaded only if the gateway is there too."""
    certificates = x509.load_pem_x509_certificates((KEYS / "TEST-A-alipay-platform-cert.pem").read_bytes())
    account = replace(ALIPAY, public_key=None, alipay_certs=tuple(certificates), root_certs=tuple(certificates))
    signer = signer_of(replace(account, gateway_url=gateway), Api.CUMULATION)

    request = signer.key_request(Opened(Trust.UNKNOWN_SERIAL, serial="0" * 32), at=AT, nonce="")

    assert (request and request.target[: len(target or "")]) == target


def test_no_secret_is_in_an_endpoints_repr() -> None:
    """The repr of an endpoint has no proxy password."""
    assert "u:p" not in repr(endpoint_of(WECHAT, job(Api.POINTS)))
