"""Any config or fault script is accepted, or refused with SettingsError."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.errors import SettingsError
from pipeline.settings import load
from pipeline.simulator import client_config, write_client_keys
from pipeline.simulator.faults.fault_script import load_faults, parse_faults
from tests.security.planted import secrets

AT = datetime(2026, 3, 1, tzinfo=UTC)
CONFIG = f"""\
[ledger]
url = "sqlite:///state/backfill.db"
{client_config("http://127.0.0.1:8700")}
[jobs.orders]
export = "orders"
api = "alipay.cumulation"
account = "zhima"
input = ["exports/{{date}}/orders-*.csv.gz"]
rate = 20
timezone = "Asia/Shanghai"
[jobs.orders.csv]
encoding = "gb18030"
delimiter = ","
[jobs.orders.columns]
out_biz_no = "order_id"
biz_data.city = "city"
[jobs.orders.units]
trade_amount = "fen"
[jobs.orders.constants]
amount_name = "消费金额"
"""
FAULTS = """\
[[fault]]
kind = "status"
status = 500
key = "A*"
retry_after = 3
[[fault]]
kind = "slow"
seconds = 0.5
probability = 0.1
each_key = true
"""
# TOML values of a wrong type, out of bounds, or with a path to another place.
SCALARS = st.sampled_from(
    [
        *("0", "-1", "1e400", "nan", "inf", "-inf", "true", '""', "[]", "{}", "[[]]", '["a", 1]', "{a = {b = {}}}"),
        *("9" * 5000, "0x" + "f" * 4000, "2026-03-01", "07:00:00", "1979-05-27T00:32:00.999999-07:00"),
        *('"\\u0000"', '"\\U0010FFFF"', '"../../x"', '"/dev/null"', '"keys"', '"file\\nname"', f'"{"k" * 70_000}"'),
    ]
)
FRAGMENTS = st.sampled_from(["[", "]", "[[", "{", '"', "'''", "=", ".", "\n", "a", "1", "#", "\\", "jobs", "fault"])


@st.composite
def mutated(draw: st.DrawFn, text: str) -> str:
    """Give the text with some lines dropped, doubled, or with another name or value."""
    lines = text.splitlines()
    for at in sorted(draw(st.sets(st.integers(0, len(lines) - 1), max_size=4)), reverse=True):
        name, _, value = lines[at].partition("=")
        lines[at : at + 1] = draw(
            st.sampled_from([[], [lines[at]] * 2])
            | SCALARS.map(lambda scalar, name=name: [f"{name}= {scalar}"])  # type: ignore[misc]
            | st.text(max_size=20).map(lambda word, value=value: [f"{word}={value}"])  # type: ignore[misc]
        )
    return "\n".join(lines)


def tomls(text: str) -> st.SearchStrategy[bytes]:
    texts = mutated(text) | mutated(text) | st.text(max_size=60) | st.lists(FRAGMENTS, max_size=30).map("".join)
    return st.binary(max_size=60) | texts.map(lambda one: one.encode("utf-8", "replace"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config")
    write_client_keys(folder / "keys")
    return folder


def assert_faults_without_secrets(refused: SettingsError, folder: Path) -> None:
    assert refused.faults
    assert all(fault and "Traceback" not in fault for fault in refused.faults)
    assert [secret for secret in secrets(folder) if secret in str(refused)] == []


@given(data=tomls(CONFIG))
@example(data=CONFIG.encode())
@example(data=CONFIG.replace('"消费金额"', "0x" + "f" * 4000).encode())
@example(data=b"a = " + b"[" * 100_000)
@example(data=b"a." * 5000 + b"b = 1")
@example(data=b"[jobs." + b"x." * 400 + b"y]")
@settings(max_examples=200, deadline=None)
def test_a_config_loads_or_is_refused(folder: Path, data: bytes) -> None:
    """Any file is a config or raises SettingsError, whose faults contain no key."""
    path = folder / "backfill.toml"
    path.write_bytes(data)

    try:
        load(path, environ={}, at=AT)
    except SettingsError as refused:
        assert_faults_without_secrets(refused, folder)
    else:
        assert b"accounts" in data


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("abcdefghijklmnopqrstuv==", id="AES key without a digit"),
        pytest.param("abcdefghijklmnopqrstuvwxyzABCDEF", id="APIv3 key without a digit"),
        pytest.param("201512BBMARKtoken0077MARKtoken", id="token"),
    ],
)
@pytest.mark.parametrize("key", ["private_key_file", "encrypt_key_file", "encrypt_key_env"])
def test_a_secret_in_the_place_of_its_file_is_not_repeated(folder: Path, key: str, secret: str) -> None:
    """A key that was pasted in place of its file or variable is not in the fault."""
    path = folder / "pasted.toml"
    lines = [line for line in CONFIG.splitlines() if not line.startswith(key)]
    lines.insert(lines.index("[accounts.zhima]") + 1, f'{key} = "{secret}"')
    path.write_text("\n".join(lines), encoding="utf-8")

    with pytest.raises(SettingsError) as refused:
        load(path, environ={}, at=AT)

    assert (key in str(refused.value), secret in str(refused.value)) == (True, False)


@given(name=st.text(min_size=1, max_size=40), value=st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_an_environment_loads_or_is_refused(folder: Path, name: str, value: str) -> None:
    """Any environment variables for secrets, proxies and bundles raise SettingsError or nothing."""
    path = folder / "environment.toml"
    text = CONFIG.replace('private_key_file = "keys/app_private_key.pem"', 'private_key_env = "KEY"')
    path.write_text(text, encoding="utf-8")
    environ = {"KEY": value, "HTTPS_PROXY": name, "SSL_CERT_FILE": value, "no_proxy": name}

    with contextlib.suppress(SettingsError):
        load(path, environ=environ, at=AT)


@given(data=tomls(FAULTS))
@example(data=FAULTS.encode())
@example(data=b"a = " + b"[" * 100_000)
@example(data=b"[[fault]]\nkind = " + b"9" * 5000)
@settings(max_examples=200, deadline=None)
def test_a_fault_script_loads_or_is_refused(folder: Path, data: bytes) -> None:
    """Any file is a fault script of the simulator or raises SettingsError."""
    path = folder / "faults.toml"
    path.write_bytes(data)

    try:
        faults = load_faults(path)
    except SettingsError as refused:
        assert_faults_without_secrets(refused, folder)
    else:
        assert faults == parse_faults(path.read_text(encoding="utf-8"), "again")
