"""Facts about an account's keys. Wrong, unreadable and expired keys are faults of the config already."""

from collections.abc import Iterable, Iterator

from cryptography import x509

from pipeline.assemble.platform import merchant_of
from pipeline.check.finding import Finding, Level
from pipeline.settings import Account, AlipayAccount, BrandAccount, WechatAccount
from pipeline.signing.certificates import serial_hex


def check_account(account: Account) -> Finding:
    """Return what the keys of an account are: their kind, size, serials and last days."""
    private = f"private key RSA {account.private_key.key_size}"
    return Finding(
        Level.OK, f"account {account.name}", f"{merchant_of(account)}: {'; '.join((private, *_facts(account)))}"
    )


def _facts(account: Account) -> Iterable[str]:
    match account:
        case AlipayAccount():
            return _alipay(account)
        case WechatAccount():
            return _wechat(account)
        case BrandAccount():
            return (f"brand certificate {account.serial_no}", f"public key {account.public_key_id}")


def _alipay(account: AlipayAccount) -> Iterator[str]:
    if account.app_cert is None:
        yield "public key mode"
        return
    yield f"certificate mode; app certificate until {account.app_cert.not_valid_after_utc:%Y-%m-%d}"
    yield f"Alipay certificates until {_days(account.alipay_certs)}"


def _wechat(account: WechatAccount) -> Iterator[str]:
    yield f"merchant certificate {account.serial_no}"
    if account.public_key_id is not None:
        yield f"public key {account.public_key_id}"
    if account.platform_certs:
        serials = ", ".join(map(serial_hex, account.platform_certs))
        yield f"platform certificates {serials} until {_days(account.platform_certs)}"
    if account.apiv3_key is not None:
        yield "platform certificates are downloaded"


def _days(certificates: Iterable[x509.Certificate]) -> str:
    return ", ".join(f"{one.not_valid_after_utc:%Y-%m-%d}" for one in certificates)
