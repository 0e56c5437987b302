"""Accounts of brands that call WeChat Pay themselves: a check of their keys, and the account with its keys read."""

from pipeline.language import t
from pipeline.settings.accounts.network import ca_bundle_file, check_url, proxy, url
from pipeline.settings.accounts.wechatpay import DEFAULT_BASE_URL
from pipeline.settings.key_material import LoadContext, check_named_once, load_file, load_secret, secret_files
from pipeline.settings.model import BrandAccount
from pipeline.settings.table import Table
from pipeline.signing.keys import load_private_key, load_public_key, matches

_KEY_ID, _PUBLIC_KEY = "public_key_id", "public_key_file"
_OF_MERCHANTS = ("platform_cert_file", "apiv3_key_file", "apiv3_key_env")
_SECRETS = ("private_key",)


def check_brand(table: Table) -> None:
    """Report the faults that can be found without opening a key file."""
    if "mchid" in table:
        advice = t("a brand has a certificate and keys of its own; give it an account of its own")
        table.fault("brand_id", t("mchid and brand_id exclude each other: {advice}", advice=advice))
    check_named_once(table, "private_key", needed=True)
    for key in (_KEY_ID, _PUBLIC_KEY):
        if key not in table:
            table.fault(key, t("missing; the brand's WeChat Pay public key and its id verify the answers"))
    for key in _OF_MERCHANTS:
        if key in table:
            advice = t(
                "remove it; {key_id} and {public_key} verify the answers", key_id=_KEY_ID, public_key=_PUBLIC_KEY
            )
            table.fault(key, t("the brand API has no platform certificates; {advice}", advice=advice))
    check_url(table, "base_url")
    check_url(table, "backup_url")


def open_brand(table: Table, context: LoadContext) -> BrandAccount | None:
    """Return the account with its keys read, and report faults; return None without a key."""
    private_key = load_secret(table, "private_key", context, load_private_key)
    public_key = load_file(table, _PUBLIC_KEY, context, load_public_key)
    base_url = url(table, "base_url", DEFAULT_BASE_URL)
    proxy_url, bundle = proxy(table, base_url, context), ca_bundle_file(table, context)
    if private_key is None or public_key is None:
        return None
    if matches(private_key, public_key):
        advice = t("put the brand's WeChat Pay public key there")
        table.fault(
            _PUBLIC_KEY,
            t(
                "{public_key} holds the brand's own public key; {advice}",
                public_key=table.text(_PUBLIC_KEY),
                advice=advice,
            ),
        )
    return BrandAccount(
        name=table.name,
        brand_id=table.text("brand_id") or "",
        serial_no=(table.text("serial_no") or "").upper(),
        private_key=private_key,
        public_key_id=table.text(_KEY_ID) or "",
        public_key=public_key,
        base_url=base_url,
        backup_url=url(table, "backup_url", "") or None,
        proxy=proxy_url,
        ca_bundle_file=bundle,
        secret_files=secret_files(table, _SECRETS, context),
    )
