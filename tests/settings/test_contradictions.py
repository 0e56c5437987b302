from collections.abc import Callable

import pytest

FaultsOf = Callable[..., list[str]]

ZHIMA, CARD, ORDERS = (f"backfill.toml [{table}]" for table in ("accounts.zhima", "accounts.card", "jobs.orders"))
ALL_CERTIFICATES = "app_cert_file, alipay_cert_file and alipay_root_cert_file"
PUBLIC_KEY_LINE = 'alipay_public_key_file = "keys/alipay_public_key.pem"'
CERTIFICATES = """\
app_cert_file = "keys/app_cert.crt"
alipay_cert_file = "keys/alipay_cert.crt"
alipay_root_cert_file = "keys/root_cert.crt"
"""
WECHAT_KEY_LINES = """\
public_key_id = "PUB_KEY_ID_0000000000000024101100397200000006"
public_key_file = "keys/wechatpay_public_key.pem"
"""

ACCOUNT_OF_THE_SAME_APP = """\
[accounts.other]
platform = "alipay"
app_id = "2021000000000001"
private_key_file = "keys/app_private_key.pem"
alipay_public_key_file = "keys/alipay_public_key.pem"
base_url = "https://openapi.alipay.com"
"""


def again(account: str, rate: int) -> str:
    """Return a second job that sends orders, at this rate."""
    return (
        f'[jobs.again]\nexport = "orders"\napi = "alipay.cumulation"\naccount = "{account}"\ninput = "x.csv"\n'
        f"rate = {rate}\n"
    )


POINTS_AGAIN = '[jobs.again]\nexport = "points"\napi = "wechatpay.points"\naccount = "card"\ninput = "x.csv"\n'

FAULTS = [
    pytest.param(
        'api = "alipay.cumulation"',
        'api = "alipay.state"',
        f"{ORDERS} api: orders go to alipay.cumulation; change api or export",
        id="export and api",
    ),
    pytest.param(
        'account = "zhima"',
        'account = "card"',
        f"{ORDERS} account: card is an account of wechatpay with mchid, and api is alipay.cumulation, which needs one "
        "of alipay",
        id="api and platform",
    ),
    pytest.param(
        'account = "zhima"',
        'account = "zhima"\nprocesses = 2',
        f"{ORDERS} processes: with a SQLite ledger only one process sends; write 1, leave it out, or use "
        "a PostgreSQL ledger",
        id="several processes",
    ),
    pytest.param(
        'account = "zhima"',
        'account = "zhma"',
        f"{ORDERS} account: no account has the name zhma; did you mean zhima?",
        id="near no account",
    ),
    pytest.param(
        'account = "zhima"',
        'account = "x"',
        f"{ORDERS} account: no account has the name x; the config has zhima and card",
        id="no account",
    ),
    pytest.param(
        '"Asia/Shanghai"',
        '"Asia/Shanghia"',
        f'{ORDERS} timezone: no time zone has the name "Asia/Shanghia"; did you mean "Asia/Shanghai"?',
        id="zone",
    ),
    pytest.param(
        '"Asia/Shanghai"',
        '"GMT+8"',
        f'{ORDERS} timezone: no time zone has the name "GMT+8"; for China\'s time write Asia/Shanghai',
        id="offset for a zone",
    ),
    pytest.param(
        'trade_amount = "fen"',
        'trade_amount = "fen"\n[jobs.orders.formats]\nbiz_tme = "epoch_s"',
        "backfill.toml [jobs.orders.formats] biz_tme: no field of orders; did you mean biz_time?",
        id="form of no field",
    ),
    pytest.param(
        'timezone = "Asia/Shanghai"',
        'timezone = "Asia/Shanghai"\nmax_failures = "100.5%"',
        f"{ORDERS} max_failures: '100.5%' is more than all rows; name a share of 100% at most",
        id="more than all rows",
    ),
    pytest.param(
        '"gb18030"',
        '"gb18O30"',
        "backfill.toml [jobs.orders.csv] encoding: unknown encoding; did you mean gb18030?",
        id="encoding",
    ),
    pytest.param(
        '"gb18030"',
        '"hex"',
        "backfill.toml [jobs.orders.csv] encoding: unknown encoding; auto detects the usual ones",
        id="codec of no text",
    ),
    pytest.param(
        'encoding = "gb18030"',
        "delimiter = '\"'",
        "backfill.toml [jobs.orders.csv] quote: must differ from delimiter and not be a part of it",
        id="delimiter and quote",
    ),
    pytest.param(
        'encoding = "gb18030"',
        'delimiter = "||"\nescape = "|"',
        "backfill.toml [jobs.orders.csv] escape: must differ from delimiter and not be a part of it",
        id="delimiter and escape",
    ),
    pytest.param(
        'account = "card"\n',
        'account = "card"\nrate = 6\n',
        "backfill.toml [jobs.points] rate: WeChat Pay allows 5 requests per second for points; write that or less",
        id="rate of points",
    ),
    pytest.param(
        "[jobs.points]",
        f"{again('zhima', 21)}[jobs.points]",
        "backfill.toml [jobs.again] rate: 21, but job orders has 20 for the same quota (alipay.cumulation, merchant "
        "2021000000000001); write one rate in both jobs",
        id="two rates of one account",
    ),
    pytest.param(
        "[jobs.points]",
        f"{again('other', 19)}{ACCOUNT_OF_THE_SAME_APP}[jobs.points]",
        "backfill.toml [jobs.again] rate: 19, but job orders has 20 for the same quota (alipay.cumulation, merchant "
        "2021000000000001); write one rate in both jobs",
        id="two rates of one merchant",
    ),
    pytest.param(
        "[jobs.points]",
        f"{again('other', 19)}{ACCOUNT_OF_THE_SAME_APP.replace('alipay.com', 'alipay.com/')}[jobs.points]",
        "backfill.toml [jobs.again] rate: 19, but job orders has 20 for the same quota (alipay.cumulation, merchant "
        "2021000000000001); write one rate in both jobs",
        id="two rates of one merchant at two spellings of its address",
    ),
    pytest.param(
        "[jobs.points]",
        f"{POINTS_AGAIN}share = 0.5\n[jobs.points]",
        "backfill.toml [jobs.points] share: 1, but job again has 0.5 for the same quota (wechatpay.points, merchant "
        "1900000001); write one share in both jobs",
        id="two shares of one merchant",
    ),
    *(
        pytest.param(
            "rate = 20",
            f"rate = 20\n{key} = {value}",
            f"{ORDERS} {key}: is for points only; leave it out",
            id=f"{key} of orders",
        )
        for key, value in (("other_senders", "true"), ("other_senders", "false"), ("share", "0.5"))
    ),
    *(
        pytest.param(
            'account = "card"\n',
            f'account = "card"\nunchanged_for = "12h"\n{given}',
            "backfill.toml [jobs.points] unchanged_for: is for points that others send too; add other_senders = true, "
            "or leave it out",
            id=f"unchanged_for with {given or 'nothing'}",
        )
        for given in ("", "other_senders = false\n")
    ),
    pytest.param(
        "rate = 20",
        'order = "newest"',
        f"{ORDERS} order: newest is for points only; leave it out, or write source",
        id="order of what has no time",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        f"{PUBLIC_KEY_LINE}\n{CERTIFICATES}",
        f"{ZHIMA} alipay_public_key_file: a public key and certificates exclude each other; "
        f"remove this or {ALL_CERTIFICATES}",
        id="both modes",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        "",
        f"{ZHIMA} alipay_public_key_file: missing; name Alipay's public key here, or give {ALL_CERTIFICATES} instead",
        id="no mode",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        CERTIFICATES.replace("alipay_cert_file", "# alipay_cert_file"),
        f"{ZHIMA} alipay_cert_file: missing; certificate mode needs {ALL_CERTIFICATES}",
        id="part of the certificates",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        f'{CERTIFICATES}\nsign_type = "RSA"',
        f"{ZHIMA} sign_type: certificates work with RSA2 only; remove sign_type",
        id="certificates and RSA",
    ),
    pytest.param(
        'private_key_file = "keys/app_private_key.pem"\n',
        "",
        f"{ZHIMA} private_key_file: missing; name a file here, or an environment variable in private_key_env",
        id="no private key",
    ),
    pytest.param(
        PUBLIC_KEY_LINE,
        f'{PUBLIC_KEY_LINE}\nprivate_key_env = "KEY"',
        f"{ZHIMA} private_key_env: given together with private_key_file; keep one of the two",
        id="two private keys",
    ),
    pytest.param(
        WECHAT_KEY_LINES,
        "",
        f"{CARD} public_key_file: missing; its public key verifies WeChat Pay's answers: name the key here with "
        "public_key_id, or give platform_cert_file, apiv3_key_file or apiv3_key_env",
        id="nothing to verify with",
    ),
    pytest.param(
        WECHAT_KEY_LINES.splitlines()[0],
        "",
        f"{CARD} public_key_id: missing; public_key_file goes with it",
        id="public key without id",
    ),
    pytest.param(
        WECHAT_KEY_LINES.splitlines()[1],
        "",
        f"{CARD} public_key_file: missing; public_key_id goes with it",
        id="id without public key",
    ),
    pytest.param(
        "sqlite:///state/backfill.db",
        "mysql://x/y",
        "backfill.toml [ledger] url: must be sqlite:///PATH, or postgresql://USER@HOST/DB",
        id="ledger",
    ),
    pytest.param(
        "sqlite:///state/backfill.db",
        "sqlite:///",
        "backfill.toml [ledger] url: names no file; write sqlite:///PATH, such as sqlite:///state/backfill.db",
        id="no ledger file",
    ),
    pytest.param(
        "sqlite:///state/backfill.db",
        "sqlite:///:memory:",
        "backfill.toml [ledger] url: a ledger in memory would forget what was delivered; name a file",
        id="ledger in memory",
    ),
    pytest.param(
        "sqlite:///state/backfill.db",
        "postgresql://etl@db.example",
        "backfill.toml [ledger] url: must be postgresql://USER@HOST/DB or postgresql://USER@HOST:PORT/DB",
        id="no database of a ledger on a server",
    ),
]

FIELDS = [
    pytest.param(
        '[jobs.points.columns]\nuser_card_cod = "card"',
        "backfill.toml [jobs.points.columns] user_card_cod: no field of points; did you mean user_card_code?",
        id="columns",
    ),
    pytest.param(
        '[jobs.points.constants]\nfoo = "x"',
        "backfill.toml [jobs.points.constants] foo: no field of points",
        id="constants",
    ),
    pytest.param(
        '[jobs.points.units]\ntrade_amount = "fen"',
        "backfill.toml [jobs.points.units] trade_amount: no field of points",
        id="field of another export",
    ),
    pytest.param(
        '[jobs.points.defaults]\npoint_balanc = "0"',
        "backfill.toml [jobs.points.defaults] point_balanc: no field of points; did you mean point_balance?",
        id="defaults",
    ),
    pytest.param(
        '[jobs.points.values.brand]\n"甲" = "B001"',
        "backfill.toml [jobs.points.values] brand: no field of points; did you mean brand_id?",
        id="values",
    ),
    pytest.param(
        '[jobs.points.constants]\nbiz_data.city = "x"',
        'backfill.toml [jobs.points.constants] "biz_data.city": no field of points',
        id="part of biz_data that states alone have",
    ),
    pytest.param(
        """[jobs.s]\nexport = "states"\napi = "alipay.state"\naccount = "zhima"\ncolumns."biz_data." = "x\"""",
        'backfill.toml [jobs.s.columns] "biz_data.": no field of states; did you mean biz_data?',
        id="part of biz_data without a name",
    ),
]


@pytest.mark.parametrize(("added", "fault"), FIELDS)
def test_an_unknown_field_of_any_job_is_refused(
    added: str, fault: str, sample_with_points: str, faults_of: FaultsOf
) -> None:
    """A field that the export does not have is a fault, also in a job that does not run."""
    assert faults_of(f"{sample_with_points}\n{added}\n", only_job="orders") == [fault]


@pytest.mark.parametrize(("old", "new", "fault"), FAULTS)
def test_a_contradiction_is_one_sentence(
    old: str, new: str, fault: str, sample_with_points: str, faults_of: FaultsOf
) -> None:
    """A contradiction that fits the schema gives one sentence with file, table, key and advice."""
    assert old in sample_with_points

    assert faults_of(sample_with_points.replace(old, new, 1)) == [fault]


def test_structure_faults_of_other_jobs_stop_a_job(sample_with_points: str, faults_of: FaultsOf) -> None:
    """With one job named, the rest of the config is still checked, except its key files."""
    text = sample_with_points.replace("apiclient_key.pem", "gone.pem").replace('account = "card"', 'account = "carb"')

    assert faults_of(text, only_job="orders") == [
        "backfill.toml [jobs.points] account: no account has the name carb; did you mean card?"
    ]


@pytest.mark.parametrize(
    ("job", "hint"),
    [
        pytest.param("ordres", "did you mean orders?", id="near"),
        pytest.param("x", "the config has orders and points", id="far"),
    ],
)
def test_an_unknown_job_is_reported_with_the_known_ones(
    job: str, hint: str, sample_with_points: str, faults_of: FaultsOf
) -> None:
    """An unknown job is a fault with the nearest name, or with all names."""
    assert faults_of(sample_with_points, only_job=job) == [f"backfill.toml [jobs]: no job has the name {job}; {hint}"]
