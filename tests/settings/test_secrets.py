import base64
from collections.abc import Callable, Mapping

import pytest

from pipeline.settings import Config, secrets

Load = Callable[..., Config]
FaultsOf = Callable[..., list[str]]

APIV3, AES, TOKEN = "apiv3SECRETapiv3SECRETapiv3SECRE", base64.b64encode(b"AESsecretAESsecr").decode(), "201512BBtoken"
ENVIRON = {"V3": APIV3, "AES": AES, "TOKEN": TOKEN, "HTTPS_PROXY": "http://etl:p%40ss@proxy.example:3128"}


@pytest.fixture
def full(sample_with_points: str) -> str:
    """A config with every kind of secret."""
    alipay = 'app_id = "2021000000000001"\nencrypt_key_env = "AES"\napp_auth_token_env = "TOKEN"'
    return sample_with_points.replace('app_id = "2021000000000001"', alipay).replace(
        'mchid = "1900000001"', 'mchid = "1900000001"\napiv3_key_env = "V3"'
    )


def test_no_repr_shows_a_secret(full: str, load_text: Load) -> None:
    """The repr of a config shows none of its secrets or keys."""
    config = load_text(full, environ=ENVIRON)

    assert secrets(config) == (AES, TOKEN, "p%40ss", "p@ss", APIV3)
    assert [text for text in (*secrets(config), "AESsecret", "etl:", "PrivateKey") if text in repr(config)] == []


@pytest.mark.parametrize(
    ("name", "table"),
    [
        pytest.param("private_key", "accounts.zhima", id="private key"),
        pytest.param("encrypt_key", "accounts.zhima", id="AES key"),
        pytest.param("app_auth_token", "accounts.zhima", id="token"),
        pytest.param("apiv3_key", "accounts.card", id="APIv3 key"),
    ],
)
def test_a_secret_in_the_config_is_refused_with_advice(name: str, table: str, sample: str, faults_of: FaultsOf) -> None:
    """A secret in the TOML is refused with advice, and not shown."""
    text = sample.replace(f"[{table}]", f'[{table}]\n{name} = "SECRET"')

    assert faults_of(text) == [
        f"backfill.toml [{table}] {name}: a secret must not be in the config; put it into a file and name the file in "
        f"{name}_file, or into an environment variable and name the variable in {name}_env"
    ]


@pytest.mark.parametrize(
    "pasted",
    [
        pytest.param(AES, id="AES key"),
        pytest.param("7a8b9c0d7a8b9c0d7a8b9c0d7a8b9c0d", id="APIv3 key"),
        pytest.param("-----BEGIN PRIVATE KEY-----SECRET-----END PRIVATE KEY-----", id="PEM"),
        pytest.param("MIIEvQ+SECRET/" * 99, id="bare base64"),
    ],
)
@pytest.mark.parametrize("key", ["private_key_file", "private_key_env"])
def test_a_secret_pasted_in_the_place_of_its_name_is_not_shown(
    key: str, pasted: str, sample: str, faults_of: FaultsOf
) -> None:
    """A secret given in place of its file or variable gives a fault that does not show it."""
    faults = faults_of(sample.replace('private_key_file = "keys/app_private_key.pem"', f'{key} = "{pasted}"'))

    assert len(faults) == 1
    assert faults[0].startswith(f"backfill.toml [accounts.zhima] {key}: ")
    assert pasted not in faults[0]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param(
            "sqlite:///state/backfill.db",
            "postgresql://etl:SECRET@db.example/backfill",
            "[ledger] url: must not hold the password; libpq reads it from PGPASSFILE (~/.pgpass) or PGPASSWORD",
            id="password of the ledger",
        ),
        pytest.param(
            "sqlite:///state/backfill.db",
            "postgresql://etl@db.example/backfill?password=SECRET",
            "[ledger] url: must not hold the password; libpq reads it from PGPASSFILE (~/.pgpass) or PGPASSWORD",
            id="password of the ledger as a parameter",
        ),
        pytest.param(
            'base_url = "https://openapi.alipay.com"',
            'proxy = "http://etl:SECRET@proxy.example:3128"',
            "[accounts.zhima] proxy: must be http://HOST:PORT, without user and password; "
            "a proxy that asks for them goes into the environment variable HTTPS_PROXY",
            id="password of a proxy",
        ),
        pytest.param(
            "https://openapi.alipay.com",
            "https://etl:SECRET@openapi.alipay.com",
            "[accounts.zhima] base_url: must be https://HOST or https://HOST:PORT, without user, path or query",
            id="password of a base URL",
        ),
    ],
)
def test_a_password_within_a_url_is_refused(old: str, new: str, fault: str, sample: str, faults_of: FaultsOf) -> None:
    """A URL with a password is refused, and not shown."""
    assert faults_of(sample.replace(old, new)) == [f"backfill.toml {fault}"]


def test_faults_of_secrets_do_not_show_them(full: str, faults_of: FaultsOf) -> None:
    """A secret of the wrong kind is reported by the name of its variable only."""
    environ: Mapping[str, str] = {
        "V3": "SECRET",
        "AES": "SECRET",
        "TOKEN": "SEC RET",
        "HTTPS_PROXY": "socks5://u:SECRET@p",
    }

    faults = faults_of(full, environ=environ)

    assert [fault for fault in faults if "SECRET" in fault or "SEC RET" in fault] == []
    assert len(faults) == 5
