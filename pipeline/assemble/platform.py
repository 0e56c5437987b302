"""The signer, transport and merchant of an account."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from pipeline.model import Api
from pipeline.settings import Account, AlipayAccount, Job, TransportName, WechatAccount
from pipeline.signing.alipay.gateway import AlipayGateway
from pipeline.signing.alipay.v3 import AlipayV3
from pipeline.signing.certificates import certificate_sn, root_sn, serial_hex
from pipeline.signing.keys import public_key_of
from pipeline.signing.wechatpay.v3 import WechatPay
from pipeline.write.ports import Signer, Transport
from pipeline.write.transport.network import Endpoint


def signer_of(account: Account, api: Api) -> Signer:
    """Return the signer of an API, with the account's keys."""
    return _wechatpay(account) if isinstance(account, WechatAccount) else _alipay(account, api)


def _alipay(account: AlipayAccount, api: Api) -> Signer:
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
        return AlipayV3(**keys)
    return AlipayGateway(
        **keys,
        target=urlsplit(account.gateway_url).path or "/",
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


def endpoint_of(account: Account, job: Job) -> Endpoint:
    """Return the URLs, proxy and timeout of an API."""
    base_url, backup_url = account.base_url, None
    if isinstance(account, WechatAccount):
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
            'transport: "curl" needs pycurl 7.45.7 or newer; '
            "install it with `pip install loyalty-backfill[curl]`, or remove this key"
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
    merchant = (
        f"WeChat Pay merchant {account.mchid}" if isinstance(account, WechatAccount) else f"Alipay app {account.app_id}"
    )
    urls = (account.base_url, account.gateway_url) if isinstance(account, AlipayAccount) else (account.base_url,)
    return f"{merchant} (simulated)" if any(map(_is_loopback, urls)) else merchant


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
