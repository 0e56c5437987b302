"""Files for a client of the simulator: the merchant's keys, and the accounts of a config."""

import base64
from pathlib import Path

from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.simulator.identities import KEYS, Identities, default_identities

_FILES = {
    "app_private_key.pem": "alipay-app-private-pkcs8",
    "app_cert.pem": "alipay-app-cert",
    "alipay_public_key.pem": "alipay-platform-public",
    "alipay_cert.pem": "alipay-platform-cert",
    "alipay_cert_reissued.pem": "alipay-platform-reissued-cert",
    "apiclient_key.pem": "wechatpay-merchant-private-pkcs8",
    "apiclient_cert.pem": "wechatpay-merchant-cert",
    "wechatpay_public_key.pem": "wechatpay-pubkey-public",
    "wechatpay_cert.pem": "wechatpay-platform-1-cert",
    "brand_key.pem": "wechatpay-brand-private-pkcs8",
    "brand_cert.pem": "wechatpay-brand-cert",
    "brand_wechatpay_public_key.pem": "wechatpay-brand-pubkey-public",
}
_ALIPAY_KEY = 'alipay_public_key_file = "keys/alipay_public_key.pem"'
_ALIPAY_CERTIFICATES = """\
app_cert_file = "keys/app_cert.pem"
alipay_cert_file = "keys/alipay_cert.pem"
alipay_root_cert_file = "keys/alipay_root_cert.pem\""""
_WECHATPAY_CERTIFICATES = 'apiv3_key_file = "keys/apiv3_key.txt"'


def write_client_keys(folder: Path) -> None:
    """
    Write the merchant's test keys into a folder, with `encrypt_key.txt` (base64) and `apiv3_key.txt`.

    Raises SettingsError if a file of such a name has other content, because it may be a real key.
    """
    wanted = {name: _pem(source) for name, source in _FILES.items()}
    # No private key of the bundle's roots is here, so the reissued certificate has a root of its own.
    wanted["alipay_root_cert.pem"] = _pem("alipay-root-bundle") + _pem("alipay-reissue-root")
    wanted["encrypt_key.txt"] = base64.b64encode(default_identities().encrypt_key)
    wanted["apiv3_key.txt"] = default_identities().apiv3_key
    foreign = [name for name, data in wanted.items() if _holds_other(folder / name, data)]
    if foreign:
        raise SettingsError(
            [
                t("{folder} exists and is not a test key; choose another folder", folder=folder / name)
                for name in foreign
            ]
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in wanted.items():
        (folder / name).write_bytes(data)
        # A client may require this mode of a private key.
        (folder / name).chmod(0o600)


def client_config(url: str, *, certificates: bool = False, brand: bool = False) -> str:
    """
    Return the accounts `zhima` and `card`, and maybe `brand`, for a simulator at that URL, as TOML.

    The keys are those of `write_client_keys`, in a folder `keys` beside the config. With `certificates`, the first two
    use certificates instead of public keys; a brand has none.
    """
    known = default_identities()
    alipay = _ALIPAY_CERTIFICATES if certificates else _ALIPAY_KEY
    wechatpay = _WECHATPAY_CERTIFICATES if certificates else _public_key(known)
    return f"""\
[accounts.zhima]
platform = "alipay"
app_id = "{known.app_id}"
private_key_file = "keys/app_private_key.pem"
{alipay}
base_url = "{url}"

[accounts.card]
platform = "wechatpay"
mchid = "{known.mchid}"
serial_no = "{known.merchant_serial}"
private_key_file = "keys/apiclient_key.pem"
{wechatpay}
base_url = "{url}"
{_brand(known, url) if brand else ""}"""


def _brand(known: Identities, url: str) -> str:
    return f"""
[accounts.brand]
platform = "wechatpay"
brand_id = "{known.brand_id}"
serial_no = "{known.brand_serial}"
private_key_file = "keys/brand_key.pem"
public_key_id = "{known.brand_public.name}"
public_key_file = "keys/brand_wechatpay_public_key.pem"
base_url = "{url}"
"""


def _public_key(known: Identities) -> str:
    return f'public_key_id = "{known.wechatpay_public.name}"\npublic_key_file = "keys/wechatpay_public_key.pem"'


def _pem(name: str) -> bytes:
    return (KEYS / f"TEST-A-{name}.pem").read_bytes()


def _holds_other(path: Path, data: bytes) -> bool:
    return path.exists() and path.read_bytes() != data
