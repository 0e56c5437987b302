"""The signer, transport and merchant of an account."""

from typing import Any
from urllib.parse import urlsplit

from pipeline.language import t
from pipeline.model import Api
from pipeline.settings import Account, AlipayAccount, BrandAccount, Job, TransportName, WechatAccount
from pipeline.settings.accounts.network import leads_here
from pipeline.signing.alipay.gateway import AlipayGateway
from pipeline.signing.alipay.v3 import AlipayV3
from pipeline.signing.certificates import certificate_sn, root_sn, serial_hex
from pipeline.signing.keys import public_key_of
from pipeline.signing.wechatpay.brand import WechatPayBrand
from pipeline.signing.wechatpay.v3 import WechatPay
from pipeline.write.ports import Signer, Transport
from pipeline.write.transport.network import Endpoint


def signer_of(account: Account, api: Api) -> Signer:
    """Return the signer of an API, with the account's keys."""
    match account:
        case WechatAccount():
            return _wechatpay(account)
        case BrandAccount():
            return _brand(account)
        case AlipayAccount():
            return _alipay(account, api)


def _alipay(account: AlipayAccount, api: Api) -> Signer:
    gateway = urlsplit(account.gateway_url)
    target = gateway.path or "/"
    keys: dict[str, Any] = {
        "app_id": account.app_id,
        "private_key": account.private_key,
        "platform": account.public_key or {certificate_sn(c): c for c in account.alipay_certs},
        "app_cert_sn": certificate_sn(account.app_cert) if account.app_cert else None,
        "root_cert_sn": root_sn(account.root_certs) if account.root_certs else None,
        "app_auth_token": account.app_auth_token,
        "encrypt_key": account.encrypt_key,
    }
    if api is not Api.STATE:
        # A transport has one host, so certificates can be downloaded only from a gateway there.
        is_same_host = gateway[:2] == urlsplit(account.base_url)[:2]
        return AlipayV3(**keys, root_certificates=account.root_certs if is_same_host else (), gateway_target=target)
    return AlipayGateway(
        **keys,
        target=target,
        charset=account.charset,
        sign_type=account.sign_type,
        root_certificates=account.root_certs,
    )


def _wechatpay(account: WechatAccount) -> WechatPay:
    known = {serial_hex(c): public_key_of(c, account.name) for c in account.platform_certs}
    if account.public_key_id is not None and account.public_key is not None:
        known[account.public_key_id] = account.public_key
    return WechatPay(
        mchid=account.mchid,
        serial_no=account.serial_no,
        private_key=account.private_key,
        platform_keys=known,
        apiv3_key=account.apiv3_key,
    )


def _brand(account: BrandAccount) -> WechatPayBrand:
    return WechatPayBrand(
        brand_id=account.brand_id,
        serial_no=account.serial_no,
        private_key=account.private_key,
        public_key_id=account.public_key_id,
        public_key=account.public_key,
    )


def brand_of(account: Account) -> str | None:
    """Return the brand that an account calls for itself; None if it does not."""
    return account.brand_id if isinstance(account, BrandAccount) else None


def endpoint_of(account: Account, job: Job) -> Endpoint:
    """Return the URLs, proxy and timeout of an API."""
    base_url, backup_url = account.base_url, None
    if not isinstance(account, AlipayAccount):
        backup_url = account.backup_url
    elif job.api is Api.STATE:
        parts = urlsplit(account.gateway_url)
        base_url = f"{parts.scheme}://{parts.netloc}"
    return Endpoint(
        base_url=base_url.rstrip("/"),
        backup_url=backup_url and backup_url.rstrip("/"),
        proxy=account.proxy,
        ca_bundle=str(account.ca_bundle_file) if account.ca_bundle_file else None,
        timeout_seconds=job.timeout_s,
    )


def transport_of(account: Account, job: Job) -> Transport:
    """Return the transport of a job. Raises ImportError if `check_transport` returns a fault."""
    endpoint = endpoint_of(account, job)
    match job.transport:
        case TransportName.REQUESTS:
            from pipeline.write.transport.requests_transport import RequestsTransport  # noqa: PLC0415 - imported on use

            return RequestsTransport(endpoint)
        case TransportName.CURL:
            from pipeline.write.transport.curl_transport import CurlTransport  # noqa: PLC0415 - imported on use

            return CurlTransport(endpoint)


def check_transport(job: Job) -> list[str]:
    """Return the faults of a job's transport, with advice; empty if it can be used."""
    if job.transport is TransportName.CURL and not _has_curl():
        return [
            t(
                'transport: "curl" needs pycurl 7.45.7 or newer; '
                "install it with `pip install loyalty-backfill[curl]`, or remove this key"
            )
        ]
    return []


def _has_curl() -> bool:
    try:
        import pipeline.write.transport.curl_transport  # noqa: F401, PLC0415 - tests whether it can be imported
    except ImportError:
        return False
    return True


def merchant_of(account: Account) -> str:
    """
    Return the merchant of an account, as the ledger records it.

    With a server on this machine it is another merchant, because rows sent there were not delivered.
    """
    urls = (account.base_url, account.gateway_url) if isinstance(account, AlipayAccount) else (account.base_url,)
    return f"{_real_merchant(account)} (simulated)" if any(map(leads_here, urls)) else _real_merchant(account)


def _real_merchant(account: Account) -> str:
    match account:
        case WechatAccount(mchid=mchid):
            return f"WeChat Pay merchant {mchid}"
        case BrandAccount(brand_id=brand_id):
            return f"WeChat Pay brand {brand_id}"
        case AlipayAccount(app_id=app_id):
            return f"Alipay app {app_id}"
