from collections.abc import Callable
from pathlib import Path

import pytest

FaultsOf = Callable[..., list[str]]

ZHIMA, CARD, ORDERS = (f"backfill.toml [{table}]" for table in ("accounts.zhima", "accounts.card", "jobs.orders"))
PUBLIC_KEY_LINE = 'alipay_public_key_file = "keys/alipay_public_key.pem"'
WECHAT_KEY_LINES = """\
public_key_id = "PUB_KEY_ID_0000000000000024101100397200000006"
public_key_file = "keys/wechatpay_public_key.pem"
"""


def certificates(app: str = "app_cert.crt", alipay: str = "alipay_cert.crt", root: str = "root_cert.crt") -> str:
    files = {"app_cert_file": app, "alipay_cert_file": alipay, "alipay_root_cert_file": root}
    return "\n".join(f'{key} = "keys/{file}"' for key, file in files.items())


def several(*alipay: str) -> str:
    """Return the lines of certificate mode with several Alipay certificates."""
    listed = ", ".join(f'"keys/{file}"' for file in alipay)
    return certificates().replace('"keys/alipay_cert.crt"', f"[{listed}]")


PRIVATE, PUBLIC = "app_private_key.pem", "alipay_public_key.pem"
FAULTS = [
    pytest.param(
        PRIVATE,
        "gone.pem",
        f"{ZHIMA} private_key_file: keys/gone.pem does not exist; paths start from the config file's folder",
        id="missing file",
    ),
    pytest.param(
        f"keys/{PRIVATE}", "keys", f"{ZHIMA} private_key_file: keys can't be read: Is a directory", id="folder"
    ),
    pytest.param(PRIVATE, "empty.pem", f"{ZHIMA} private_key_file: keys/empty.pem is empty", id="empty file"),
    pytest.param(
        PRIVATE,
        "rubbish.pem",
        f"{ZHIMA} private_key_file: keys/rubbish.pem holds nothing that can be read as a key; "
        "give the RSA private key, as PEM or bare base64",
        id="no key",
    ),
    pytest.param(
        PRIVATE,
        PUBLIC,
        f"{ZHIMA} private_key_file: keys/{PUBLIC} holds a public key; give the RSA private key, as PEM or bare base64",
        id="public key for the private one",
    ),
    pytest.param(
        PUBLIC,
        PRIVATE,
        f"{ZHIMA} alipay_public_key_file: keys/{PRIVATE} holds a private key; "
        "give the platform's RSA public key, as PEM or bare base64",
        id="private key for the public one",
    ),
    pytest.param(
        PUBLIC,
        "app_public_key.pem",
        f"{ZHIMA} alipay_public_key_file: keys/app_public_key.pem holds the app's own public key; "
        "put Alipay's public key there, which the console shows next to the app's",
        id="the app's key for Alipay's",
    ),
    pytest.param(
        "wechatpay_public_key.pem",
        "apiclient_public.pem",
        f"{CARD} public_key_file: keys/apiclient_public.pem holds the merchant's own public key; "
        "put WeChat Pay's public key there",
        id="the merchant's key for WeChat Pay's",
    ),
    pytest.param(
        WECHAT_KEY_LINES,
        'platform_cert_file = "keys/apiclient_cert.pem"\n',
        f"{CARD} platform_cert_file: keys/apiclient_cert.pem holds the merchant's own certificate; "
        "put WeChat Pay's platform certificate there",
        id="the merchant's certificate for WeChat Pay's",
    ),
    pytest.param(
        WECHAT_KEY_LINES,
        'apiv3_key_file = "keys/rubbish.pem"\n',
        f"{CARD} apiv3_key_file: keys/rubbish.pem is no APIv3 key; give the 32 characters set in the merchant console",
        id="APIv3 key",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        f'{PUBLIC_KEY_LINE}\nencrypt_key_file = "keys/rubbish.pem"',
        f"{ZHIMA} encrypt_key_file: keys/rubbish.pem is no AES key; "
        "give the base64 text of 16 bytes that the console shows",
        id="AES key",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        f'{PUBLIC_KEY_LINE}\napp_auth_token_file = "keys/rubbish.pem"',
        f"{ZHIMA} app_auth_token_file: keys/rubbish.pem is not a token; "
        "give the token alone, without blanks or line breaks",
        id="token",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        f'{PUBLIC_KEY_LINE}\nencrypt_key_env = "NO_SUCH_KEY"',
        f"{ZHIMA} encrypt_key_env: the environment variable NO_SUCH_KEY is not set",
        id="missing variable",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        certificates(app="alipay_cert.crt"),
        f"{ZHIMA} app_cert_file: keys/alipay_cert.crt does not belong to the app's private key; "
        "put the certificate there that the console issued for this key (appCertPublicKey_*.crt)",
        id="key and certificate",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        certificates(alipay="app_cert.crt"),
        f"{ZHIMA} alipay_cert_file: keys/app_cert.crt holds the app's own certificate; "
        "put Alipay's certificate there (alipayCertPublicKey_RSA2.crt)",
        id="the app's certificate for Alipay's",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        certificates(app="app_cert_past.crt"),
        f"{ZHIMA} app_cert_file: keys/app_cert_past.crt expired on 2026-02-20; "
        "fetch a new certificate from the platform",
        id="expired certificate",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        certificates(alipay="alipay_cert_past.crt"),
        f"{ZHIMA} alipay_cert_file: keys/alipay_cert_past.crt expired on 2026-02-20; "
        "fetch a new certificate from the platform",
        id="expired platform certificate",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        several("alipay_cert.crt", "app_cert.crt"),
        f"{ZHIMA} alipay_cert_file: keys/alipay_cert.crt or keys/app_cert.crt holds the app's own certificate; "
        "put Alipay's certificate there (alipayCertPublicKey_RSA2.crt)",
        id="the app's certificate among Alipay's",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        several("alipay_cert.crt", "gone.crt"),
        f"{ZHIMA} alipay_cert_file: keys/gone.crt does not exist; paths start from the config file's folder",
        id="one of several files missing",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        several("alipay_cert_past.crt", "alipay_cert_past.crt"),
        f"{ZHIMA} alipay_cert_file: keys/alipay_cert_past.crt expired on 2026-02-20; "
        "fetch a new certificate from the platform",
        id="all of several expired",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        certificates(alipay="curve_cert.crt"),
        f"{ZHIMA} alipay_cert_file: keys/curve_cert.crt holds a certificate whose key is no RSA key; "
        "give the RSA certificate",
        id="certificate of no RSA key",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        certificates(root="curve_cert.crt"),
        f"{ZHIMA} alipay_root_cert_file: keys/curve_cert.crt holds no RSA root certificate; "
        "put Alipay's there (alipayRootCert.crt)",
        id="no RSA root",
    ),
]


@pytest.mark.parametrize(("old", "new", "fault"), FAULTS)
def test_a_fault_of_a_key_is_one_sentence(
    old: str, new: str, fault: str, sample_with_points: str, faults_of: FaultsOf
) -> None:
    """An unusable key gives one sentence with table, key and file."""
    assert old in sample_with_points

    assert faults_of(sample_with_points.replace(old, new, 1)) == [fault]


def test_all_faults_are_reported_together(sample_with_points: str, faults_of: FaultsOf) -> None:
    """One error holds the faults of structure, the contradictions and the faults of keys, each once."""
    text = (
        sample_with_points.replace("concurrency", "concurency")
        .replace("rate = 20", 'rate = "20"')
        .replace('"Asia/Shanghai"', '"Mars"')
        .replace("app_private_key.pem", "gone.pem")
        .replace("apiclient_key.pem", "empty.pem")
        .replace('account = "card"', 'account = "card"\nrate = 50')
    )

    assert faults_of(text) == [
        f"{ORDERS} concurency: unknown key; did you mean concurrency?",
        f"{ORDERS} rate: must be a number above 0, 10000 at most (requests per second); it is text",
        f"{ORDERS} timezone: no time zone has the name Mars; write an IANA name, an area and a city, such as "
        "Asia/Shanghai for UTC+8",
        "backfill.toml [jobs.points] rate: WeChat Pay allows 5 requests per second for points; write that or less",
        f"{ZHIMA} private_key_file: keys/gone.pem does not exist; paths start from the config file's folder",
        f"{CARD} private_key_file: keys/empty.pem is empty",
    ]


def test_an_unreadable_key_file_is_reported(folder: Path, sample: str, faults_of: FaultsOf) -> None:
    """A key file that can't be opened is reported with the system's reason."""
    key = folder / "keys/app_private_key.pem"
    key.unlink()
    key.symlink_to(key)

    assert faults_of(sample) == [
        f"{ZHIMA} private_key_file: keys/app_private_key.pem can't be read: Too many levels of symbolic links"
    ]
