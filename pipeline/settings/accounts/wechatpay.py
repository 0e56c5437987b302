"""WeChat Pay accounts: a check of which keys go together, and the account with its keys read."""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from pipeline.language import t
from pipeline.settings.accounts.certificates import find_certificates
from pipeline.settings.accounts.network import ca_bundle_file, check_url, proxy, url
from pipeline.settings.key_material import LoadContext, check_named_once, load_file, load_secret, secret_files
from pipeline.settings.model import WechatAccount
from pipeline.settings.table import Table
from pipeline.signing.keys import load_apiv3_key, load_private_key, load_public_key, matches

DEFAULT_BASE_URL = "https://api.mch.weixin.qq.com"
_KEY_ID, _PUBLIC_KEY, _PLATFORM_CERT = "public_key_id", "public_key_file", "platform_cert_file"
_SECRETS = ("private_key", "apiv3_key")


def check_wechatpay(table: Table) -> None:
    """Report the faults that can be found without opening a key file."""
    if "mchid" not in table:
        table.fault("mchid", t("missing; a brand that calls WeChat Pay itself has brand_id instead"))
    for name in _SECRETS:
        check_named_once(table, name, needed=name == "private_key")
    for key, other in ((_KEY_ID, _PUBLIC_KEY), (_PUBLIC_KEY, _KEY_ID)):
        if key not in table and other in table:
            table.fault(key, t("missing; {other} goes with it", other=other))
    if not any(key in table for key in (_KEY_ID, _PUBLIC_KEY, _PLATFORM_CERT, "apiv3_key_file", "apiv3_key_env")):
        advice = t(
            "name the key here with {key_id}, or give {platform_cert}, apiv3_key_file or apiv3_key_env",
            key_id=_KEY_ID,
            platform_cert=_PLATFORM_CERT,
        )
        table.fault(_PUBLIC_KEY, t("missing; its public key verifies WeChat Pay's answers: {advice}", advice=advice))
    check_url(table, "base_url")
    check_url(table, "backup_url")


def open_wechatpay(table: Table, context: LoadContext) -> WechatAccount | None:
    """Return the account with its keys read, and report faults; return None without a private key."""
    private_key = load_secret(table, "private_key", context, load_private_key)
    public_key = load_file(table, _PUBLIC_KEY, context, load_public_key)
    platform_certs = find_certificates(table, _PLATFORM_CERT, context)
    apiv3_key = load_secret(table, "apiv3_key", context, load_apiv3_key)
    base_url = url(table, "base_url", DEFAULT_BASE_URL)
    proxy_url, bundle = proxy(table, base_url, context), ca_bundle_file(table, context)
    if private_key is None:
        return None
    _check_not_own(table, private_key, public_key, platform_certs)
    return WechatAccount(
        name=table.name,
        mchid=table.text("mchid") or "",
        serial_no=(table.text("serial_no") or "").upper(),
        private_key=private_key,
        public_key_id=table.text(_KEY_ID),
        public_key=public_key,
        platform_certs=platform_certs,
        apiv3_key=apiv3_key,
        base_url=base_url,
        backup_url=url(table, "backup_url", "") or None,
        proxy=proxy_url,
        ca_bundle_file=bundle,
        secret_files=secret_files(table, _SECRETS, context),
    )


def _check_not_own(
    table: Table,
    private_key: RSAPrivateKey,
    public_key: RSAPublicKey | None,
    platform_certs: tuple[x509.Certificate, ...],
) -> None:
    if public_key is not None and matches(private_key, public_key):
        advice = t("put WeChat Pay's public key there")
        table.fault(
            _PUBLIC_KEY,
            t(
                "{public_key} holds the merchant's own public key; {advice}",
                public_key=table.text(_PUBLIC_KEY),
                advice=advice,
            ),
        )
    if any(matches(private_key, one) for one in platform_certs):
        advice = t("put WeChat Pay's platform certificate there")
        table.fault(
            _PLATFORM_CERT,
            t(
                "{platform_cert} holds the merchant's own certificate; {advice}",
                platform_cert=table.text(_PLATFORM_CERT),
                advice=advice,
            ),
        )
