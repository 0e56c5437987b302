"""The transport of a job."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.assemble.parts.opening import open_config
from pipeline.assemble.parts.platform import transport_of
from pipeline.clock import SystemClock
from pipeline.errors import SettingsError
from pipeline.model import Api
from pipeline.settings import TransportName
from pipeline.simulator import client_config, write_client_keys
from pipeline.write.transport.curl_transport import CurlTransport
from pipeline.write.transport.requests_transport import RequestsTransport
from tests.assemble.parts.test_platform import ALIPAY, job

JOB = """
[jobs.orders]
export = "orders"
api = "alipay.cumulation"
account = "zhima"
"""
ADVICE = '"curl" needs pycurl 7.45.7 or newer; install it with `pip install loyalty-backfill[curl]`, or remove this key'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a config whose only job uses libcurl."""
    write_client_keys(tmp_path / "keys")
    path = tmp_path / "backfill.toml"
    path.write_text(client_config("http://127.0.0.1:8") + JOB + 'transport = "curl"\n', encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "kind"), [(TransportName.REQUESTS, RequestsTransport), (TransportName.CURL, CurlTransport)]
)
def test_the_transport_is_the_one_that_the_job_names(name: TransportName, kind: type) -> None:
    """Each name of the config has its transport; the default is `requests`."""
    assert type(transport_of(ALIPAY, replace(job(Api.CUMULATION), transport=name))) is kind
    assert job(Api.CUMULATION).transport is TransportName.REQUESTS


def test_a_config_may_choose_libcurl(config: Path) -> None:
    """`transport = "curl"` is accepted if pycurl is installed."""
    assert open_config(config, {}, SystemClock()).jobs["orders"].transport is TransportName.CURL


def test_a_missing_library_is_a_fault_of_the_config(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pycurl, the fault names file, table and key, and the command that installs it."""
    monkeypatch.setitem(sys.modules, "pipeline.write.transport.curl_transport", None)

    with pytest.raises(SettingsError) as raised:
        open_config(config, {}, SystemClock())

    assert raised.value.faults == (f"{config} [jobs.orders] transport: {ADVICE}",)
