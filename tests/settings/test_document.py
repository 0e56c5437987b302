import json
import string
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import SettingsError
from pipeline.resources import schema
from pipeline.settings import load

FaultsOf = Callable[..., list[str]]
AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param("a = 1\nb 2\n", "line 2, column 3", id="no ="),
        pytest.param("a = 1\r\nb = [\r\n", "line 3, column 1", id="unclosed, at the end"),
        pytest.param("a = 1\na = 2", "line 2, column 6", id="twice"),
        pytest.param("a = 1979-02-30", "line 1, column 5", id="no date"),
    ],
)
def test_bad_toml_is_reported_with_line_and_column(text: str, place: str, faults_of: FaultsOf) -> None:
    """Invalid TOML is reported with line and column."""
    found = [fault.rpartition(": ")[0] for fault in faults_of(text)]

    assert found == [f"backfill.toml {place}: not valid TOML"]


@pytest.mark.parametrize(
    "text",
    [pytest.param("a = " + "9" * 5000, id="endless number"), pytest.param("a = " + "[" * 5000, id="endless nesting")],
)
def test_toml_that_breaks_the_parser_is_reported(text: str, faults_of: FaultsOf) -> None:
    """A file that breaks the parser itself is reported as a fault of the file."""
    assert faults_of(text) == ["backfill.toml: not valid TOML: a number is too long, or values are nested too deep"]


def test_another_encoding_is_reported_with_its_line(tmp_path: Path) -> None:
    """A config that is not UTF-8 is reported with the line."""
    path = tmp_path / "backfill.toml"
    path.write_bytes(b"a = 1\nb = '" + "消费".encode("gbk") + b"'\n")

    assert faults(path) == [f"{path} line 2: not UTF-8; save the file as UTF-8"]


def test_a_missing_config_is_reported_with_advice(tmp_path: Path) -> None:
    """The fault of a missing config names its full path and how to get one."""
    path = tmp_path / "backfill.toml"

    assert faults(path) == [
        f"{path}: no config file at {path}; name it with --config or BACKFILL_CONFIG, "
        "or write one to start from with `backfill init DIR`"
    ]


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    """A path that can't be read is reported with the system's reason."""
    assert faults(tmp_path) == [f"{tmp_path}: the config file can't be read: Is a directory"]


def faults(path: Path, environ: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(path, environ=environ, at=AT)
    return list(caught.value.faults)


def names_in(part: Any) -> Iterator[str]:
    """Yield every name and every enum word of the config's schema."""
    if isinstance(part, dict):
        yield from part.get("properties", {})
        yield from part.get("enum", ())
        for inner in part.values():
            yield from names_in(inner)


NAMES = sorted({*names_in(schema("config.json")), "007", "+1", "", "zhima", "a b", "\u0000", "biz_data.x"})
TEXTS = st.sampled_from(
    [
        *NAMES,
        "keys",
        "keys/x.pem",
        "sqlite:///x.db",
        "postgresql://u@h/d",
        "https://h",
        "https://h:99999",
        "http://[::1",
        "Asia",
    ]
)
VALUES = st.recursive(
    TEXTS
    | st.text(max_size=20)
    | st.integers()
    | st.booleans()
    | st.floats().map(lambda number: float(f"{number:.3g}"))
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)
VARIABLES = st.sampled_from(["HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "keys"])
TABLES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8)
PLATFORMS = st.sampled_from(["alipay", "wechatpay"])
ACCOUNTS = st.dictionaries(
    st.sampled_from(["zhima", "007", ""]),
    st.builds(lambda table, name: table | {"platform": name}, TABLES, PLATFORMS) | VALUES,
)
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "accounts": ACCOUNTS | VALUES,
        "jobs": st.dictionaries(st.sampled_from(NAMES), TABLES) | VALUES,
        "ledger": TABLES,
        "x": VALUES,
    },
)


def toml(value: Any) -> str:
    """Return a value as inline TOML."""
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case datetime():
            return value.isoformat()
        case float():
            return str(value) if "e" in str(value) or "." in str(value) or not value.is_integer() else f"{value}.0"
        case _:
            return json.dumps(value)


FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(config=CONFIGS, environ=st.dictionaries(VARIABLES, st.text(max_size=20) | TEXTS))
def test_any_toml_loads_or_gives_faults(config: dict[str, Any], environ: dict[str, str], tmp_path: Path) -> None:
    """A config of any content, in any environment, loads or raises SettingsError."""
    path = tmp_path / "backfill.toml"
    path.write_text("\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in config.items()), encoding="utf-8")

    messages = faults(path, environ)

    assert messages == list(dict.fromkeys(messages))
    assert all(fault.startswith(str(path)) and "\n" not in fault for fault in messages)


@FUZZ
@given(data=st.binary() | st.text(alphabet=string.printable).map(str.encode))
def test_any_bytes_give_faults(data: bytes, tmp_path: Path) -> None:
    """A file of any bytes raises nothing but SettingsError."""
    path = tmp_path / "backfill.toml"
    path.write_bytes(data)

    assert all(fault.startswith(str(path)) for fault in faults(path))
