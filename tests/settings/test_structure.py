from collections.abc import Callable

import pytest

FaultsOf = Callable[..., list[str]]

ZHIMA, CARD, ORDERS = (f"backfill.toml [{table}]" for table in ("accounts.zhima", "accounts.card", "jobs.orders"))
POINTS = "backfill.toml [jobs.points]"

FAULTS = [
    pytest.param(
        "concurrency =", "concurency =", f"{ORDERS} concurency: unknown key; did you mean concurrency?", id="misspelt"
    ),
    pytest.param("rate = 20", "rate = 20\nfoo = 1", f"{ORDERS} foo: unknown key", id="unknown"),
    *(
        pytest.param(
            "rate = 20",
            f"rate = 20\n{name} = {value}",
            f"{ORDERS} {name}: must be a number of rows such as 100, or a share in quotes such as "
            f'"5%", 100% at most{it}',
            id=f"{name} of {value}",
        )
        for name in ("max_failures", "max_invalid")
        for value, it in (("-1", ""), ('"5 %"', ""), ("0.2", "; it is a number"), ("true", "; it is true or false"))
    ),
    pytest.param(
        "[jobs.orders.csv]", "[jobs.orders.cvs]", f"{ORDERS} cvs: unknown table; did you mean csv?", id="table"
    ),
    pytest.param("[ledger]", "[leger]", "backfill.toml leger: unknown table; did you mean ledger?", id="top table"),
    pytest.param(
        'encoding = "gb18030"',
        'encoding = "gb18030"\nrate = 3',
        "backfill.toml [jobs.orders.csv] rate: unknown key here; it belongs in [jobs.orders], above [jobs.orders.csv]",
        id="a job's key below its tables",
    ),
    pytest.param(
        "rate = 20",
        'rate = 20\ndelimiter = ";"',
        f"{ORDERS} delimiter: unknown key here; it belongs in [jobs.orders.csv]",
        id="a key of csv above it",
    ),
    pytest.param('api = "alipay.cumulation"\n', "", f"{ORDERS} api: missing", id="required key of a job"),
    pytest.param('app_id = "2021000000000001"\n', "", f"{ZHIMA} app_id: missing", id="required key of an account"),
    pytest.param('platform = "alipay"\n', "", f"{ZHIMA} platform: missing", id="no platform"),
    pytest.param(
        'platform = "alipay"',
        'platform = "AliPay"',
        f"{ZHIMA} platform: must be alipay or wechatpay; did you mean alipay?",
        id="platform",
    ),
    pytest.param(
        'export = "orders"',
        'export = "order"',
        f"{ORDERS} export: must be orders, tasks, points or states; did you mean orders?",
        id="enum",
    ),
    *(
        pytest.param(
            'alipay_public_key_file = "keys/alipay_public_key.pem"',
            f'app_cert_file = "keys/app_cert.crt"\nalipay_cert_file = {value}\n'
            'alipay_root_cert_file = "keys/root_cert.crt"',
            f"{ZHIMA} alipay_cert_file: must be the path of a file{what}",
            id=f"alipay_cert_file of {value}",
        )
        for value, what in (
            ("7", " or a list of paths, relative to the config file; it is a whole number"),
            ("[]", " or a list of paths, relative to the config file"),
            ("[7]", ", relative to the config file; it is a whole number"),
        )
    ),
    pytest.param(
        "concurrency = 16",
        "concurrency = 257",
        f"{ORDERS} concurrency: must be a whole number from 1 to 256 (requests in flight at most)",
        id="above",
    ),
    pytest.param(
        "max_attempts = 6",
        "max_attempts = 0",
        f"{ORDERS} max_attempts: must be a whole number from 1 to 50",
        id="below",
    ),
    pytest.param(
        "max_attempts = 6",
        "max_attempts = 1.5",
        f"{ORDERS} max_attempts: must be a whole number from 1 to 50; it is a number",
        id="fraction",
    ),
    pytest.param(
        "rate = 20",
        'order = "newst"',
        f"{ORDERS} order: must be source or newest; did you mean newest?",
        id="order",
    ),
    *(
        pytest.param(
            'input = "exports/points.parquet"',
            f"other_senders = true\nunchanged_for = {value}",
            f"{POINTS} unchanged_for: must be a whole number from 1 to 99999 with a unit, in quotes: s, m, h or d, "
            f'such as "12h"{it}',
            id=f"unchanged_for of {value}",
        )
        for value, it in (("12", "; it is a whole number"), ('"0h"', ""), ('"12"', ""), ('"1.5h"', ""), ('"1w"', ""))
    ),
    *(
        pytest.param(
            'input = "exports/points.parquet"',
            f"share = {value}",
            f"{POINTS} share: must be a number above 0, 1 at most (the share of rate that this program uses){it}",
            id=f"share of {value}",
        )
        for value, it in (("0", ""), ("1.01", ""), ('"50%"', "; it is text"))
    ),
    pytest.param(
        "rate = 20",
        "rate = 0",
        f"{ORDERS} rate: must be a number above 0, 10000 at most (requests per second)",
        id="no rate",
    ),
    pytest.param(
        "max_attempts = 6",
        'max_attempts = 6\ntransport = "crul"',
        f"{ORDERS} transport: must be requests or curl; did you mean curl?",
        id="transport",
    ),
    pytest.param(
        "timeout_s = 10",
        "timeout_s = inf",
        f"{ORDERS} timeout_s: must be a number of seconds above 0, 3600 at most; it is not finite",
        id="endless",
    ),
    pytest.param(
        "timeout_s = 10",
        'timeout_s = "10"',
        f"{ORDERS} timeout_s: must be a number of seconds above 0, 3600 at most; it is text",
        id="text",
    ),
    pytest.param(
        "timeout_s = 10",
        "timeout_s = 2026-01-01",
        f"{ORDERS} timeout_s: must be a number of seconds above 0, 3600 at most; it is a date or time",
        id="date",
    ),
    pytest.param(
        '["exports/{date}/orders-*.csv.gz"]',
        "[1]",
        f"{ORDERS} input: must be a path: a glob, a folder or a URI; it is a whole number",
        id="item of a list",
    ),
    pytest.param(
        '["exports/{date}/orders-*.csv.gz"]',
        "[]",
        f"{ORDERS} input: must be a path or a list of paths: globs, folders or URIs",
        id="empty list",
    ),
    pytest.param(
        'trade_amount = "fen"',
        'trade_amount = "cent"',
        "backfill.toml [jobs.orders.units] trade_amount: must be yuan or fen",
        id="unit",
    ),
    pytest.param(
        'trade_amount = "paid_fen"',
        "trade_amount = 5",
        "backfill.toml [jobs.orders.columns] trade_amount: must be the name of a column, in quotes; "
        "it is a whole number",
        id="column",
    ),
    pytest.param(
        'partner_id = "2088000000000000"',
        "partner_id = 1.5",
        "backfill.toml [jobs.orders.constants] partner_id: must be text in quotes, a whole number, true or false; "
        "it is a number",
        id="constant",
    ),
    pytest.param(
        "[jobs.orders.units]",
        "[jobs.orders.defaults]\ntrade_amount = 1.5\n[jobs.orders.units]",
        "backfill.toml [jobs.orders.defaults] trade_amount: must be text in quotes, a whole number, true or false; "
        "it is a number",
        id="default",
    ),
    pytest.param(
        "[jobs.orders.units]",
        '[jobs.orders.values]\nbiz_action = "退款"\n[jobs.orders.units]',
        "backfill.toml [jobs.orders.values] biz_action: must be a table of words, each with its meaning in quotes; "
        "it is text",
        id="values without words",
    ),
    pytest.param(
        "[jobs.orders.units]",
        '[jobs.orders.values.biz_action]\n"01" = ["ORDER_PAID"]\n[jobs.orders.units]',
        "backfill.toml [jobs.orders.values.biz_action] 01: must be text in quotes, a whole number, true or false; "
        "it is a list",
        id="meaning",
    ),
    pytest.param(
        "[jobs.orders.units]",
        '[jobs.orders.values.biz_action]\n"" = "ORDER_PAID"\n[jobs.orders.units]',
        'backfill.toml [jobs.orders.values.biz_action] "": not a valid key; rename it',
        id="empty word",
    ),
    pytest.param(
        "rate = 20",
        'rate = 20\nfilter = "已完成"',
        f"{ORDERS} filter: must be a table of columns, each with a list of texts in quotes; it is text",
        id="filter without columns",
    ),
    pytest.param(
        "[jobs.orders.units]",
        '[jobs.orders.filter]\n"状态" = "已完成"\n[jobs.orders.units]',
        'backfill.toml [jobs.orders.filter] 状态: must be a list of texts in quotes, such as ["已完成"]; it is text',
        id="filter of one text",
    ),
    pytest.param(
        "[jobs.orders.units]",
        '[jobs.orders.filter]\n"007" = ["1", 2]\n[jobs.orders.units]',
        'backfill.toml [jobs.orders.filter] 007: must be a list of texts in quotes, such as ["已完成"]; '
        "it holds a whole number",
        id="filter of a number",
    ),
    pytest.param(
        "[jobs.orders.units]",
        "[jobs.orders.filter]\nstate = []\n[jobs.orders.units]",
        'backfill.toml [jobs.orders.filter] state: must be a list of texts in quotes, such as ["已完成"]; it is empty',
        id="filter of nothing",
    ),
    pytest.param(
        '"2021000000000001"',
        "2021000000000001",
        f"{ZHIMA} app_id: must be the app's id in quotes, 1 to 32 digits; it is a whole number",
        id="id as number",
    ),
    pytest.param(
        "4A1B2C3D4E5F",
        "4A:1B:2C",
        f"{CARD} serial_no: "
        "must be the serial number of the merchant's certificate in quotes, 1 to 40 hexadecimal digits",
        id="serial",
    ),
    pytest.param(
        "PUB_KEY_ID_0000000000000024101100397200000006",
        "0000000000000024101100397200000006",
        f"{CARD} public_key_id: must be the id of WeChat Pay's public key, PUB_KEY_ID_ and what follows it",
        id="public key id",
    ),
    pytest.param(
        "[jobs.orders]",
        '[jobs."a/b"]\nexport = "orders"\napi = "alipay.cumulation"\naccount = "zhima"\n[jobs.orders]',
        'backfill.toml [jobs] "a/b": the name must be letters, digits, blanks and the signs . _ - only, 100 at most',
        id="name of a job",
    ),
    pytest.param("rate = 20", 'rate = 20\n"" = 1', f'{ORDERS} "": not a valid key; rename it', id="empty name"),
]


@pytest.mark.parametrize(("old", "new", "fault"), FAULTS)
def test_a_fault_of_structure_is_one_sentence(
    old: str, new: str, fault: str, sample_with_points: str, faults_of: FaultsOf
) -> None:
    """A value that breaks the schema gives one sentence with file, table, key and rule."""
    assert old in sample_with_points

    assert faults_of(sample_with_points.replace(old, new, 1)) == [fault]


def test_an_empty_config_lacks_everything(faults_of: FaultsOf) -> None:
    """The faults of an empty config name the required tables."""
    assert faults_of("") == ["backfill.toml accounts: missing", "backfill.toml jobs: missing"]
