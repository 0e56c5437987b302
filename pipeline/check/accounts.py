"""Facts about an account's keys. Wrong, unreadable and expired keys are faults of the config already."""

from collections.abc import Iterable, Iterator

from cryptography import x509

from pipeline.assemble.parts.platform import merchant_of
from pipeline.check.finding import Finding, Level
from pipeline.language import t
from pipeline.settings import Account, AlipayAccount, BrandAccount, WechatAccount
from pipeline.signing.certificates import serial_hex


def check_account(account: Account) -> Finding:
    """Return what the keys of an account are: their kind, size, serials and last days."""
    private = t("private key RSA {key_size}", key_size=account.private_key.key_size)
    return Finding(
        Level.OK,
        t("account {account}", account=account.name),
        f"{merchant_of(account)}: {'; '.join((private, *_facts(account)))}",
    )


def _facts(account: Account) -> Iterable[str]:
    match account:
        case AlipayAccount():
            return _alipay(account)
        case WechatAccount():
            return _wechat(account)
        case BrandAccount():
            return (
                t("brand certificate {serial_no}", serial_no=account.serial_no),
                t("public key {public_key_id}", public_key_id=account.public_key_id),
            )


def _alipay(account: AlipayAccount) -> Iterator[str]:
    if account.app_cert is None:
        yield t("public key mode")
        return
    yield t(
        "certificate mode; app certificate until {day:%Y-%m-%d}",
        day=account.app_cert.not_valid_after_utc,
    )
    yield t("Alipay certificates until {days}", days=_days(account.alipay_certs))


def _wechat(account: WechatAccount) -> Iterator[str]:
    yield t("merchant certificate {serial_no}", serial_no=account.serial_no)
    if account.public_key_id is not None:
        yield t("public key {public_key_id}", public_key_id=account.public_key_id)
    if account.platform_certs:
        serials = ", ".join(map(serial_hex, account.platform_certs))
        yield t(
            "platform certificates {serials} until {days}",
            serials=serials,
            days=_days(account.platform_certs),
        )
    if account.apiv3_key is not None:
        yield t("platform certificates are downloaded")


def _days(certificates: Iterable[x509.Certificate]) -> str:
    return ", ".join(f"{one.not_valid_after_utc:%Y-%m-%d}" for one in certificates)
