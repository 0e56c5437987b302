"""Alipay accounts: a check of which keys go together, and the account with its keys read."""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.settings.accounts.certificates import find_certificates
from pipeline.settings.accounts.network import ca_bundle_file, check_url, proxy, url
from pipeline.settings.key_material import (
    LoadContext,
    check_named_once,
    load_file,
    load_secret,
    load_token,
    secret_files,
)
from pipeline.settings.model import AlipayAccount
from pipeline.settings.table import Table
from pipeline.settings.wording import listed
from pipeline.signing.certificates import root_sn
from pipeline.signing.keys import load_certificates, load_encrypt_key, load_private_key, load_public_key, matches

DEFAULT_BASE_URL = "https://openapi.alipay.com"
_PUBLIC_KEY = "alipay_public_key_file"
_APP_CERT, _ALIPAY_CERT, _ROOT_CERT = _CERTIFICATES = ("app_cert_file", "alipay_cert_file", "alipay_root_cert_file")
_SECRETS = ("private_key", "encrypt_key", "app_auth_token")

_Chain = tuple[x509.Certificate, ...]


def check_alipay(table: Table) -> None:
    """Report the faults that can be found without opening a key file."""
    for name in _SECRETS:
        check_named_once(table, name, needed=name == "private_key")
    _check_mode(table)
    check_url(table, "base_url")
    check_url(table, "gateway_url")


def _check_mode(table: Table) -> None:
    given = [key for key in _CERTIFICATES if key in table]
    if _PUBLIC_KEY in table and given:
        names = listed(given, t("and"))
        table.fault(
            _PUBLIC_KEY, t("a public key and certificates exclude each other; remove this or {names}", names=names)
        )
    elif _PUBLIC_KEY not in table and not given:
        names = listed(_CERTIFICATES, t("and"))
        table.fault(_PUBLIC_KEY, t("missing; name Alipay's public key here, or give {names} instead", names=names))
    elif given:
        for key in _CERTIFICATES:
            if key not in table:
                table.fault(
                    key,
                    t("missing; certificate mode needs {certificates}", certificates=listed(_CERTIFICATES, t("and"))),
                )
    # alipay-gateway-state-sync.md, section 6: only RSA2 works with certificates.
    if given and table.text("sign_type") == "RSA":
        table.fault("sign_type", t("certificates work with RSA2 only; remove sign_type"))


def open_alipay(table: Table, context: LoadContext) -> AlipayAccount | None:
    """Return the account with its keys read, and report faults; return None without a private key."""
    private_key = load_secret(table, "private_key", context, load_private_key)
    public_key = _public_key(table, context, private_key)
    app_cert, alipay_certs, root_certs = _certificates(table, context, private_key)
    encrypt_key = load_secret(table, "encrypt_key", context, load_encrypt_key)
    app_auth_token = load_secret(table, "app_auth_token", context, load_token)
    base_url = url(table, "base_url", DEFAULT_BASE_URL)
    proxy_url, bundle = proxy(table, base_url, context), ca_bundle_file(table, context)
    if private_key is None:
        return None
    return AlipayAccount(
        name=table.name,
        app_id=table.text("app_id") or "",
        private_key=private_key,
        public_key=public_key,
        app_cert=app_cert,
        alipay_certs=alipay_certs,
        root_certs=root_certs,
        encrypt_key=encrypt_key,
        app_auth_token=app_auth_token,
        base_url=base_url,
        gateway_url=url(table, "gateway_url", f"{base_url}/gateway.do"),
        charset=table.text("charset") or "utf-8",
        sign_type=table.text("sign_type") or "RSA2",
        proxy=proxy_url,
        ca_bundle_file=bundle,
        secret_files=secret_files(table, _SECRETS, context),
    )


def _public_key(table: Table, context: LoadContext, private_key: RSAPrivateKey | None) -> RSAPublicKey | None:
    public_key = load_file(table, _PUBLIC_KEY, context, load_public_key)
    if private_key is not None and public_key is not None and matches(private_key, public_key):
        advice = t("put Alipay's public key there, which the console shows next to the app's")
        table.fault(
            _PUBLIC_KEY,
            t(
                "{public_key} holds the app's own public key; {advice}",
                public_key=table.text(_PUBLIC_KEY),
                advice=advice,
            ),
        )
    return public_key


def _certificates(
    table: Table, context: LoadContext, private_key: RSAPrivateKey | None
) -> tuple[x509.Certificate | None, _Chain, _Chain]:
    app_certs, alipay_certs = (find_certificates(table, key, context) for key in (_APP_CERT, _ALIPAY_CERT))
    root_certs = load_file(table, _ROOT_CERT, context, _load_roots) or ()
    if private_key is None:
        return None, alipay_certs, root_certs
    app_cert = next((one for one in app_certs if matches(private_key, one)), None)
    if any(matches(private_key, one) for one in alipay_certs):
        advice = t("put Alipay's certificate there (alipayCertPublicKey_RSA2.crt)")
        files = listed(table.texts(_ALIPAY_CERT), t("or"))
        table.fault(_ALIPAY_CERT, t("{files} holds the app's own certificate; {advice}", files=files, advice=advice))
    if app_certs and app_cert is None:
        advice = t("put the certificate there that the console issued for this key (appCertPublicKey_*.crt)")
        table.fault(
            _APP_CERT,
            t(
                "{app_cert} does not belong to the app's private key; {advice}",
                app_cert=table.text(_APP_CERT),
                advice=advice,
            ),
        )
    return app_cert, alipay_certs, root_certs


def _load_roots(data: bytes, name: str) -> _Chain:
    roots = load_certificates(data, name)
    if not root_sn(roots):
        raise SettingsError(
            [t("{name} holds no RSA root certificate; put Alipay's there (alipayRootCert.crt)", name=name)]
        )
    return roots
