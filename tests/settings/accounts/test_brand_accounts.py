"""Accounts of brands that call WeChat Pay themselves."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from pipeline.settings import BrandAccount, Config, secrets, warnings
from tests.settings.conftest import NOW

Load = Callable[..., Config]
FaultsOf = Callable[..., list[str]]

BRAND = """
[accounts.brand]
platform = "wechatpay"
brand_id = "1004"
serial_no = "4a1b2c3d4e5f"
private_key_file = "keys/apiclient_key.pem"
public_key_id = "PUB_KEY_ID_00000000000000241011003972000000"
public_key_file = "keys/wechatpay_public_key.pem"
"""
JOB = """
[jobs.brand]
export = "points"
api = "wechatpay.brand_points"
account = "brand"
input = "exports/points.parquet"
"""
HERE, ITS_JOB = "backfill.toml [accounts.brand]", "backfill.toml [jobs.brand]"


def test_a_brand_account_loads_with_the_rate_of_its_api(
    folder: Path, key_files: Mapping[str, bytes], sample: str, load_text: Load
) -> None:
    """A brand has brand_id in place of mchid, and a job of it gets the platform's 10 requests per second."""
    config = load_text(sample + BRAND + JOB, only_job="brand")

    account = config.accounts["brand"]
    assert account == BrandAccount(
        name="brand",
        brand_id="1004",
        serial_no="4A1B2C3D4E5F",
        private_key=account.private_key,
        public_key_id="PUB_KEY_ID_00000000000000241011003972000000",
        public_key=load_pem_public_key(key_files["wechatpay_public_key.pem"]),  # type: ignore[arg-type]  # is RSA
        base_url="https://api.mch.weixin.qq.com",
        backup_url=None,
        proxy=None,
        ca_bundle_file=None,
        secret_files=(folder / "keys/apiclient_key.pem",),
    )
    assert config.jobs["brand"].rate == 10.0
    assert secrets(config) == ()


def test_a_brand_account_gets_the_warnings_of_any_account(folder: Path, load_text: Load) -> None:
    """A private key that others can read is reported; there is no certificate that could expire."""
    (folder / "keys/apiclient_key.pem").chmod(0o644)
    config = load_text(BRAND + JOB)

    where = f"{folder}/backfill.toml [accounts.brand]"
    assert warnings(config, at=NOW) == [
        f"{where}: users other than its owner may open {folder}/keys/apiclient_key.pem; run chmod 600 on it"
    ]


PUBLIC_KEY_LINE = 'public_key_file = "keys/wechatpay_public_key.pem"\n'
NO_CERTIFICATES = (
    "the brand API has no platform certificates; remove it; public_key_id and public_key_file verify the answers"
)
FAULTS = [
    pytest.param(
        PUBLIC_KEY_LINE,
        f'{PUBLIC_KEY_LINE}platform_cert_file = "keys/platform_cert.pem"\n',
        [f"{HERE} platform_cert_file: {NO_CERTIFICATES}"],
        id="platform certificate",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        f'{PUBLIC_KEY_LINE}apiv3_key_env = "V3"\n',
        [f"{HERE} apiv3_key_env: {NO_CERTIFICATES}"],
        id="download of certificates",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        "",
        [f"{HERE} public_key_file: missing; the brand's WeChat Pay public key and its id verify the answers"],
        id="no public key",
    ),
    pytest.param(
        "wechatpay_public_key.pem",
        "apiclient_public.pem",
        [
            f"{HERE} public_key_file: keys/apiclient_public.pem holds the brand's own public key; "
            "put the brand's WeChat Pay public key there"
        ],
        id="the brand's key for the platform's",
    ),
    pytest.param(
        'brand_id = "1004"\n',
        'brand_id = "1004"\nmchid = "1900000001"\n',
        [
            f"{HERE} brand_id: mchid and brand_id exclude each other: a brand has a certificate and keys of its own; "
            "give it an account of its own"
        ],
        id="a merchant too",
    ),
    pytest.param(
        'brand_id = "1004"\n',
        "",
        [
            f"{HERE} mchid: missing; a brand that calls WeChat Pay itself has brand_id instead",
            f"{ITS_JOB} account: brand is an account of wechatpay with mchid, and api is wechatpay.brand_points, "
            "which needs one of wechatpay with brand_id",
        ],
        id="neither merchant nor brand",
    ),
    pytest.param(
        '"1004"',
        "1004",
        [f"{HERE} brand_id: must be the brand's id in quotes, 1 to 16 digits or letters; it is a whole number"],
        id="no quotes",
    ),
    pytest.param(
        '"wechatpay.brand_points"',
        '"wechatpay.points"',
        [
            f"{ITS_JOB} account: brand is an account of wechatpay with brand_id, and api is wechatpay.points, "
            "which needs one of wechatpay with mchid"
        ],
        id="a brand's account for the provider's API",
    ),
    pytest.param(
        'account = "brand"\n',
        'account = "brand"\nrate = 10.5\n',
        [
            f"{ITS_JOB} rate: WeChat Pay allows 10 requests per second for points that the brand itself sends; "
            "write that or less"
        ],
        id="too fast",
    ),
    pytest.param(
        "[jobs.brand]",
        JOB.replace("jobs.brand", "jobs.again").replace('account = "brand"', 'account = "brand"\nrate = 9')
        + "[jobs.brand]",
        [
            f"{ITS_JOB} rate: 10, but job again has 9 for the same quota (wechatpay.brand_points, merchant 1004); "
            "write one rate in both jobs"
        ],
        id="two rates of one brand",
    ),
]


@pytest.mark.parametrize(("old", "new", "faults"), FAULTS)
def test_a_wrong_brand_account_is_refused(old: str, new: str, faults: list[str], faults_of: FaultsOf) -> None:
    """Each contradiction is one sentence with file, table, key and advice."""
    text = BRAND + JOB
    assert old in text

    assert faults_of(text.replace(old, new, 1)) == faults
