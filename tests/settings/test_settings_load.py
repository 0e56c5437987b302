from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificates

from pipeline.model import Api, CsvFormat, Export
from pipeline.settings import AlipayAccount, Config, Job, WechatAccount

Load = Callable[..., Config]

CERTIFICATES = """\
app_cert_file = "keys/app_cert.crt"
alipay_cert_file = "keys/alipay_cert_past_and_new.crt"
alipay_root_cert_file = "keys/root_cert.crt"
encrypt_key_env = "AES_KEY"
app_auth_token_env = "APP_TOKEN"
gateway_url = "https://gateway.example/api/gateway.do"
charset = "gbk"
"""
PUBLIC_KEY = 'alipay_public_key_file = "keys/alipay_public_key.pem"\n'
WECHAT_PUBLIC_KEY = """\
public_key_id = "PUB_KEY_ID_0000000000000024101100397200000006"
public_key_file = "keys/wechatpay_public_key.pem"
"""


def test_the_sample_loads_as_written(
    folder: Path, key_files: Mapping[str, bytes], sample: str, load_text: Load
) -> None:
    """The sample of the contract turns into these values."""
    config = load_text(sample)

    account = config.accounts["zhima"]
    assert isinstance(account, AlipayAccount)
    assert private_pem(account) == key_files["app_private_key.pem"]
    assert config == Config(
        path=folder / "backfill.toml",
        ledger_path=folder / "state/backfill.db",
        accounts={
            "zhima": AlipayAccount(
                name="zhima",
                app_id="2021000000000001",
                private_key=account.private_key,
                public_key=load_pem_public_key(key_files["alipay_public_key.pem"]),  # type: ignore[arg-type]  # is RSA
                app_cert=None,
                alipay_certs=(),
                root_certs=(),
                encrypt_key=None,
                app_auth_token=None,
                base_url="https://openapi.alipay.com",
                gateway_url="https://openapi.alipay.com/gateway.do",
                charset="utf-8",
                sign_type="RSA2",
                proxy=None,
                ca_bundle_file=None,
                secret_files=(folder / "keys/app_private_key.pem",),
            )
        },
        jobs={
            "orders": Job(
                name="orders",
                export=Export.ORDERS,
                api=Api.CUMULATION,
                account="zhima",
                inputs=("exports/{date}/orders-*.csv.gz",),
                rate=20.0,
                concurrency=16,
                timeout_s=10.0,
                max_attempts=6,
                outage_limit_s=900.0,
                timezone=ZoneInfo("Asia/Shanghai"),
                csv=CsvFormat(encoding="gb18030"),
                columns={"out_biz_no": "order_id", "trade_amount": "paid_fen"},
                units={"trade_amount": "fen"},
                constants={"partner_id": "2088000000000000", "amount_name": "消费金额"},
            )
        },
        unused_accounts=("card",),
    )


def private_pem(account: AlipayAccount | WechatAccount) -> bytes:
    """Return an account's private key as the key files of the tests hold it."""
    return account.private_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def test_certificate_mode_loads(folder: Path, key_files: Mapping[str, bytes], sample: str, load_text: Load) -> None:
    """Certificates take the public key's place, an expired one beside a valid one is left out, secrets are read."""
    environ = {"AES_KEY": "MDEyMzQ1Njc4OWFiY2RlZg==", "APP_TOKEN": " 202601BBtoken\n"}
    plain = load_text(sample).accounts["zhima"]

    account = load_text(sample.replace(PUBLIC_KEY, CERTIFICATES), environ=environ).accounts["zhima"]

    assert isinstance(plain, AlipayAccount)
    assert account == replace(
        plain,
        private_key=account.private_key,
        public_key=None,
        app_cert=load_pem_x509_certificates(key_files["app_cert.crt"])[0],
        alipay_certs=(load_pem_x509_certificates(key_files["alipay_cert_past_and_new.crt"])[1],),
        root_certs=tuple(load_pem_x509_certificates(key_files["root_cert.crt"])),
        encrypt_key=b"0123456789abcdef",
        app_auth_token="202601BBtoken",
        gateway_url="https://gateway.example/api/gateway.do",
        charset="gbk",
    )


def test_points_load_with_the_rate_of_the_platform(
    folder: Path, key_files: Mapping[str, bytes], sample_with_points: str, load_text: Load
) -> None:
    """A job of points has the platform's 5 requests per second, and all else by default."""
    config = load_text(sample_with_points, only_job="points")

    account = config.accounts["card"]
    assert isinstance(account, WechatAccount)
    assert private_pem(account) == key_files["apiclient_key.pem"]
    assert config.accounts == {
        "card": WechatAccount(
            name="card",
            mchid="1900000001",
            serial_no="4A1B2C3D4E5F60718293A4B5C6D7E8F901234567",
            private_key=account.private_key,
            public_key_id="PUB_KEY_ID_0000000000000024101100397200000006",
            public_key=load_pem_public_key(key_files["wechatpay_public_key.pem"]),  # type: ignore[arg-type]  # is RSA
            platform_certs=(),
            apiv3_key=None,
            base_url="https://api.mch.weixin.qq.com",
            backup_url=None,
            proxy=None,
            ca_bundle_file=None,
            secret_files=(folder / "keys/apiclient_key.pem",),
        )
    }
    assert config.jobs["points"] == Job(
        name="points",
        export=Export.POINTS,
        api=Api.POINTS,
        account="card",
        inputs=("exports/points.parquet",),
        rate=5.0,
        concurrency=16,
        timeout_s=10.0,
        max_attempts=6,
        outage_limit_s=900.0,
        timezone=ZoneInfo("Asia/Shanghai"),
        csv=CsvFormat(),
        columns={},
        units={},
        constants={},
    )


@pytest.mark.parametrize(
    ("given", "certificates", "apiv3_key"),
    [
        pytest.param('platform_cert_file = "keys/platform_cert.pem"\n', 1, None, id="platform certificate"),
        pytest.param(
            'apiv3_key_file = "keys/apiv3.txt"\n', 0, b"0123456789abcdef0123456789abcdeF", id="certificates to fetch"
        ),
        pytest.param('apiv3_key_env = "V3"\n', 0, b"v" * 32, id="key in the environment"),
    ],
)
def test_wechat_pay_is_verified_by_certificates_too(
    given: str, certificates: int, apiv3_key: bytes | None, sample_with_points: str, load_text: Load
) -> None:
    """Instead of the public key an account may have platform certificates, or the key to fetch them with."""
    text = sample_with_points.replace(WECHAT_PUBLIC_KEY, given)

    account = load_text(text, environ={"V3": "v" * 32}).accounts["card"]

    assert isinstance(account, WechatAccount)
    assert (account.public_key, len(account.platform_certs), account.apiv3_key) == (None, certificates, apiv3_key)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(lambda pem: pem.decode(), id="PEM"),
        pytest.param(lambda pem: pem.decode().replace("\n", "\\n"), id="PEM in one line"),
        pytest.param(lambda pem: "".join(pem.decode().splitlines()[1:-1]), id="bare base64"),
    ],
)
def test_a_private_key_comes_from_the_environment(
    shape: Callable[[bytes], str], key_files: Mapping[str, bytes], sample: str, load_text: Load
) -> None:
    """An environment variable holds a private key as a file would, and then no file is named."""
    text = sample.replace('private_key_file = "keys/app_private_key.pem"', 'private_key_env = "APP_KEY"')

    account = load_text(text, environ={"APP_KEY": shape(key_files["app_private_key.pem"])}).accounts["zhima"]

    assert (private_pem(account), account.secret_files) == (key_files["app_private_key.pem"], ())


def test_dotted_fields_count_as_one_name(sample: str, load_text: Load) -> None:
    """`biz_data.city`, quoted or not, is one field; numbers and truths of TOML turn into texts."""
    states = """
        [jobs.states]
        export = "states"
        api = "alipay.state"
        account = "zhima"
        [jobs.states.columns]
        biz_data.shop = "shop_name"
        [jobs.states.constants]
        "biz_data.city" = "杭州"
        biz_data.times = 3
        biz_data.open = true
        """

    job = load_text(sample + states).jobs["states"]

    assert job.columns == {"biz_data.shop": "shop_name"}
    assert job.constants == {"biz_data.city": "杭州", "biz_data.times": "3", "biz_data.open": "true"}


@pytest.mark.parametrize(
    ("given", "form"),
    [
        pytest.param("", CsvFormat(), id="none"),
        pytest.param('delimiter = "\\t"\nquote = ""', CsvFormat(delimiter="\t", quote=""), id="tabs, nothing quoted"),
        pytest.param('null_values = ["NULL", "-"]', CsvFormat(null_values=("NULL", "-")), id="null values"),
        pytest.param('encoding = "UTF-16"', CsvFormat(encoding="UTF-16"), id="encoding"),
    ],
)
def test_csv_formats(given: str, form: CsvFormat, sample: str, load_text: Load) -> None:
    """The words of [jobs.NAME.csv] turn into the reader's format."""
    text = sample.replace('encoding = "gb18030"', given)

    assert load_text(text).jobs["orders"].csv == form


def test_an_absolute_path_of_the_ledger(sample: str, load_text: Load) -> None:
    """A fourth slash begins an absolute path."""
    config = load_text(sample.replace("sqlite:///state/backfill.db", "sqlite:////var/lib/backfill.db"))

    assert config.ledger_path == Path("/var/lib/backfill.db")


def test_one_process_may_be_named(sample: str, load_text: Load) -> None:
    """`processes = 1` of a job is what it is without."""
    named = load_text(sample.replace('account = "zhima"', 'account = "zhima"\nprocesses = 1', 1))

    assert named.jobs == load_text(sample).jobs


def test_a_config_without_keys_is_enough_to_look_back(folder: Path, sample: str, load_text: Load) -> None:
    """Without keys nothing of them is read, so that past runs can be shown where no key is."""
    (folder / "keys/app_private_key.pem").unlink()

    config = load_text(sample, with_keys=False)

    assert (config.accounts, list(config.jobs)) == ({}, ["orders"])


def test_keys_of_other_jobs_do_not_stop_a_job(folder: Path, sample_with_points: str, load_text: Load) -> None:
    """With one job asked for, only the keys of its account are read."""
    (folder / "keys/apiclient_key.pem").unlink()

    assert list(load_text(sample_with_points, only_job="orders").accounts) == ["zhima"]


def test_a_byte_order_mark_and_crlf_are_taken(sample: str, load_text: Load) -> None:
    """A config that a Windows editor saved loads alike."""
    assert load_text("\ufeff" + sample.replace("\n", "\r\n")).jobs == load_text(sample).jobs
