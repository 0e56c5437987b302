from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificates

from pipeline.model import Api, CsvFormat, Export, Int96, RowLimit
from pipeline.settings import Account, AlipayAccount, Config, Job, WechatAccount

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
CERTIFICATES_ONLY = """\
app_cert_file = "keys/app_cert.crt"
alipay_cert_file = "keys/alipay_cert.crt"
alipay_root_cert_file = "keys/root_cert.crt"
"""
PUBLIC_KEY = 'alipay_public_key_file = "keys/alipay_public_key.pem"\n'
WECHAT_PUBLIC_KEY = """\
public_key_id = "PUB_KEY_ID_0000000000000024101100397200000006"
public_key_file = "keys/wechatpay_public_key.pem"
"""


def test_the_sample_loads_as_written(
    folder: Path, key_files: Mapping[str, bytes], sample: str, load_text: Load
) -> None:
    """The sample of the contract loads as these values."""
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
        key_files=tuple(
            folder / "keys" / name
            for name in (
                "app_private_key.pem",
                "alipay_public_key.pem",
                "apiclient_key.pem",
                "wechatpay_public_key.pem",
            )
        ),
    )


def private_pem(account: Account) -> bytes:
    """Return an account's private key as the key files of the tests hold it."""
    return account.private_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def test_certificate_mode_loads(folder: Path, key_files: Mapping[str, bytes], sample: str, load_text: Load) -> None:
    """Certificates replace the public key, an expired one beside a valid one is left out, and secrets are read."""
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


def test_several_alipay_certificates_load(
    folder: Path, key_files: Mapping[str, bytes], sample: str, load_text: Load
) -> None:
    """A list of files gives the valid certificates of all of them; each file is a key file."""
    files = ["alipay_cert.crt", "alipay_cert_past.crt", "alipay_cert_reissued.crt"]
    listed = ", ".join(f'"keys/{name}"' for name in files)
    text = sample.replace(PUBLIC_KEY, CERTIFICATES_ONLY.replace('"keys/alipay_cert.crt"', f"[{listed}]"))

    config = load_text(text)

    account = config.accounts["zhima"]
    assert isinstance(account, AlipayAccount)
    assert account.alipay_certs == tuple(
        load_pem_x509_certificates(key_files[name])[0] for name in ("alipay_cert.crt", "alipay_cert_reissued.crt")
    )
    assert [path for path in config.key_files if path.name in files] == [folder / "keys" / name for name in files]


def test_points_load_with_the_rate_of_the_platform(
    folder: Path, key_files: Mapping[str, bytes], sample_with_points: str, load_text: Load
) -> None:
    """A job of points gets the platform's 5 requests per second, and defaults for the rest."""
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
    ("given", "trusted_for", "limit_per_s"),
    [
        pytest.param("", None, 5.0, id="nobody else"),
        pytest.param("other_senders = false", None, 5.0, id="nobody else by name"),
        pytest.param("other_senders = true", timedelta(), 5.0, id="others"),
        pytest.param('other_senders = true\nunchanged_for = "90s"', timedelta(seconds=90), 5.0, id="seconds"),
        pytest.param('other_senders = true\nunchanged_for = "30m"', timedelta(minutes=30), 5.0, id="minutes"),
        pytest.param('other_senders = true\nunchanged_for = "12h"', timedelta(hours=12), 5.0, id="hours"),
        pytest.param('other_senders = true\nunchanged_for = "2d"', timedelta(days=2), 5.0, id="days"),
        pytest.param("share = 0.6", None, 3.0, id="a share of the quota"),
        pytest.param("rate = 4.3\nshare = 0.7", None, 3.01, id="a share of a rate"),
        pytest.param("share = 1", None, 5.0, id="the whole quota"),
    ],
)
def test_points_may_have_other_senders(
    sample_with_points: str, load_text: Load, given: str, trusted_for: timedelta | None, limit_per_s: float
) -> None:
    """A job of points says whether others send balances too, how long one stays, and its share of the quota."""
    text = sample_with_points.replace('account = "card"\n', f'account = "card"\n{given}\n')

    job = load_text(text, only_job="points").jobs["points"]

    assert (job.trusted_for, job.limit_per_s) == (trusted_for, limit_per_s)


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
    """An account may have platform certificates, or the key to download them, instead of the public key."""
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
    """An environment variable may hold the private key instead of a file."""
    text = sample.replace('private_key_file = "keys/app_private_key.pem"', 'private_key_env = "APP_KEY"')

    account = load_text(text, environ={"APP_KEY": shape(key_files["app_private_key.pem"])}).accounts["zhima"]

    assert (private_pem(account), account.secret_files) == (key_files["app_private_key.pem"], ())


def test_dotted_fields_count_as_one_name(sample: str, load_text: Load) -> None:
    """`biz_data.city`, quoted or not, is one field; TOML's numbers and booleans become texts."""
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


def test_the_words_of_an_export_load(sample: str, load_text: Load) -> None:
    """Words may be numbers with leading zeros; a part of biz_data has its own words, dotted or quoted."""
    states = """
        [jobs.states]
        export = "states"
        api = "alipay.state"
        account = "zhima"
        [jobs.states.values.biz_state_code]
        "01" = "SIGNED"
        "1" = 2
        "是" = true
        [jobs.states.values."biz_data.city"]
        "沪" = "上海"
        [jobs.states.values.biz_data.shop]
        "1" = ""
        [jobs.states.filter]
        "状态" = ["已完成", "已退款"]
        "0" = [""]
        [jobs.states.defaults]
        category_code = 7
        biz_data.open = true
        """

    job = load_text(sample + states).jobs["states"]

    assert job.values == {
        "biz_state_code": {"01": "SIGNED", "1": "2", "是": "true"},
        "biz_data.city": {"沪": "上海"},
        "biz_data.shop": {"1": ""},
    }
    assert job.filter == {"状态": ("已完成", "已退款"), "0": ("",)}
    assert job.defaults == {"category_code": "7", "biz_data.open": "true"}


@pytest.mark.parametrize(
    ("given", "form"),
    [
        pytest.param("", CsvFormat(), id="none"),
        pytest.param('delimiter = "\\t"\nquote = ""', CsvFormat(delimiter="\t", quote=""), id="tabs, nothing quoted"),
        pytest.param('null_values = ["NULL", "-"]', CsvFormat(null_values=("NULL", "-")), id="null values"),
        pytest.param("null_values = []", CsvFormat(null_values=()), id="no null values"),
        pytest.param('encoding = "UTF-16"', CsvFormat(encoding="UTF-16"), id="encoding"),
        pytest.param('delimiter = "^A|"', CsvFormat(delimiter="^A|"), id="a longer delimiter"),
        pytest.param('escape = "\\\\"', CsvFormat(escape="\\"), id="escape"),
        pytest.param("escape = '\"'", CsvFormat(), id="a quote as escape is a doubled quote"),
        pytest.param(
            'comment = "#"\nskip_lines = 4', CsvFormat(comment="#", skip_lines=4), id="lines that are no rows"
        ),
    ],
)
def test_csv_formats(given: str, form: CsvFormat, sample: str, load_text: Load) -> None:
    """The keys of [jobs.NAME.csv] become the reader's format."""
    text = sample.replace('encoding = "gb18030"', given)

    assert load_text(text).jobs["orders"].csv == form


def test_inputs_of_a_job(sample: str, load_text: Load) -> None:
    """A job may set a ready file, the sheet of a workbook, and how INT96 times count."""
    given = 'ready = "_SUCCESS"\nsheet = "明细"\nint96 = "local"\n[jobs.orders.csv]'

    job = load_text(sample.replace("[jobs.orders.csv]", given)).jobs["orders"]

    assert (job.ready, job.sheet, job.int96) == ("_SUCCESS", "明细", Int96.LOCAL)


@pytest.mark.parametrize(
    ("given", "formats"),
    [
        pytest.param('biz_time = "%d.%m.%Y %H:%M"', {"biz_time": ("%d.%m.%Y %H:%M",)}, id="one form"),
        pytest.param('biz_time = ["%d.%m.%Y ", "epoch_s"]', {"biz_time": ("%d.%m.%Y", "epoch_s")}, id="several"),
    ],
)
def test_forms_of_times(given: str, formats: Mapping[str, tuple[str, ...]], sample: str, load_text: Load) -> None:
    """A field has one form of times or several; blanks around a form are stripped."""
    assert load_text(f"{sample}[jobs.orders.formats]\n{given}\n").jobs["orders"].formats == formats


@pytest.mark.parametrize(("given", "sends"), [("", False), ("invalid", False), ("send", True)])
def test_ids_that_look_rounded(given: str, sends: bool, sample: str, load_text: Load) -> None:
    """Ids that look rounded are not sent unless the job says so."""
    text = sample.replace("rate = 20", f'suspicious_ids = "{given}"' if given else "rate = 20")

    assert load_text(text).jobs["orders"].sends_suspicious_ids == sends


def test_an_absolute_path_of_the_ledger(sample: str, load_text: Load) -> None:
    """A fourth slash begins an absolute path."""
    config = load_text(sample.replace("sqlite:///state/backfill.db", "sqlite:////var/lib/backfill.db"))

    assert config.ledger_path == Path("/var/lib/backfill.db")


def test_one_process_may_be_named(sample: str, load_text: Load) -> None:
    """`processes = 1` is the same as no entry."""
    named = load_text(sample.replace('account = "zhima"', 'account = "zhima"\nprocesses = 1', 1))

    assert named.jobs == load_text(sample).jobs


def test_a_config_loads_without_keys(folder: Path, sample: str, load_text: Load) -> None:
    """Without keys no key file is read, so that past runs can be shown on a machine without keys."""
    (folder / "keys/app_private_key.pem").unlink()

    config = load_text(sample, with_keys=False)

    assert (config.accounts, list(config.jobs)) == ({}, ["orders"])


def test_keys_of_other_jobs_do_not_stop_a_job(folder: Path, sample_with_points: str, load_text: Load) -> None:
    """With one job named, only the keys of its account are read."""
    (folder / "keys/apiclient_key.pem").unlink()

    assert list(load_text(sample_with_points, only_job="orders").accounts) == ["zhima"]


def test_a_byte_order_mark_and_crlf_are_accepted(sample: str, load_text: Load) -> None:
    """A config saved by a Windows editor loads the same."""
    assert load_text("\ufeff" + sample.replace("\n", "\r\n")).jobs == load_text(sample).jobs


def test_how_many_rows_may_fail_is_a_number_or_a_share(sample: str, load_text: Load) -> None:
    """A job limits its failed rows and its invalid rows, by number or share; invalid ones to 20 % by default."""
    plain = load_text(sample).jobs["orders"]

    job = load_text(sample.replace("rate = 20", 'rate = 20\nmax_failures = 100\nmax_invalid = "2.5%"')).jobs["orders"]

    assert (plain.max_failures, plain.max_invalid) == (None, RowLimit(20, in_percent=True))
    assert (job.max_failures, job.max_invalid) == (RowLimit(100), RowLimit(2.5, in_percent=True))
