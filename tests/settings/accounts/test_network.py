from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pipeline.settings import Config

Load = Callable[..., Config]
FaultsOf = Callable[..., list[str]]

ZHIMA = "backfill.toml [accounts.zhima]"
BASE = 'base_url = "https://openapi.alipay.com"'
OUT = {"HTTPS_PROXY": "http://out.example:3128"}


@pytest.mark.parametrize(
    ("given", "base_url"),
    [
        pytest.param("http://127.0.0.1:8080", "http://127.0.0.1:8080", id="loopback"),
        pytest.param("http://127.8.9.10", "http://127.8.9.10", id="all of 127.0.0.0/8"),
        pytest.param("http://[::1]:8080/", "http://[::1]:8080", id="IPv6"),
        pytest.param("http://LocalHost:1", "http://LocalHost:1", id="localhost"),
        pytest.param(
            "https://openapi-sandbox.dl.alipaydev.com/", "https://openapi-sandbox.dl.alipaydev.com", id="https"
        ),
    ],
)
def test_base_urls_that_are_safe(given: str, base_url: str, sample: str, load_text: Load) -> None:
    """https is accepted for any host, http for this machine only; the gateway is below the base URL."""
    account = load_text(sample.replace(BASE, f'base_url = "{given}"')).accounts["zhima"]

    assert (account.base_url, getattr(account, "gateway_url", None)) == (base_url, f"{base_url}/gateway.do")


@pytest.mark.parametrize(
    "host",
    ["openapi.alipay.com", "127.0.0.1.evil.example", "localhost.example", "127.1", "0.0.0.0", "10.0.0.1", "[fe80::1]"],
)
@pytest.mark.parametrize("key", ["base_url", "gateway_url"])
def test_http_to_another_machine_is_refused(key: str, host: str, sample: str, faults_of: FaultsOf) -> None:
    """http is refused for every host but the loopback, also for names that look like it."""
    assert faults_of(sample.replace(BASE, f'{key} = "http://{host}"')) == [
        f"{ZHIMA} {key}: http is for this machine only (localhost, 127.0.0.0/8, ::1); write https"
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://h/path",
        "https://h?a=1",
        "https://h#f",
        "https://u@h",
        "ftp://h",
        "h",
        "https://",
        "https://h h",
        "https://h\\\\@localhost",
    ],
)
def test_a_base_url_is_a_host_and_no_more(url: str, sample: str, faults_of: FaultsOf) -> None:
    """A base URL with a path, query, fragment or user is refused."""
    assert faults_of(sample.replace(BASE, f'base_url = "{url}"')) == [
        f"{ZHIMA} base_url: must be https://HOST or https://HOST:PORT, without user, path or query"
    ]


@pytest.mark.parametrize("url", ["https://h:0", "https://h:65536", "https://[::::]"])
def test_a_base_url_names_a_host_and_a_port_that_can_be(url: str, sample: str, faults_of: FaultsOf) -> None:
    """A base URL without a host, or with an impossible port, is refused."""
    assert faults_of(sample.replace(BASE, f'base_url = "{url}"'), environ=OUT) == [
        f"{ZHIMA} base_url: must name a host, and a port from 1 to 65535 if any"
    ]


@pytest.mark.parametrize(
    ("given", "environ", "proxy"),
    [
        pytest.param(BASE, {}, None, id="none"),
        pytest.param(
            f'{BASE}\nproxy = "http://own.example:1"', OUT, "http://own.example:1", id="the account's own first"
        ),
        pytest.param(BASE, OUT, "http://out.example:3128", id="environment"),
        pytest.param(BASE, {"https_proxy": "out.example:3128"}, "http://out.example:3128", id="without a scheme"),
        pytest.param(
            BASE, OUT | {"https_proxy": "http://low:1"}, "http://low:1", id="lower case first, as curl has it"
        ),
        pytest.param(BASE, {"HTTP_PROXY": "http://out.example:3128"}, None, id="not for https"),
        pytest.param(BASE, OUT | {"NO_PROXY": "x.example, .alipay.com"}, None, id="domain without proxy"),
        pytest.param(BASE, OUT | {"no_proxy": "openapi.alipay.com:443"}, None, id="host and port without proxy"),
        pytest.param(BASE, OUT | {"NO_PROXY": "*"}, None, id="nothing by proxy"),
        pytest.param(
            BASE, OUT | {"NO_PROXY": "pay.com"}, "http://out.example:3128", id="part of a name is another name"
        ),
        pytest.param('base_url = "http://127.0.0.1:8080"', OUT, None, id="this machine needs no proxy"),
    ],
)
def test_the_proxy_is_chosen_at_load_time(
    given: str, environ: Mapping[str, str], proxy: str | None, sample: str, load_text: Load
) -> None:
    """An account's own proxy comes before HTTPS_PROXY, and NO_PROXY switches HTTPS_PROXY off."""
    assert load_text(sample.replace(BASE, given), environ=environ).accounts["zhima"].proxy == proxy


@pytest.mark.parametrize("proxy", ["socks5://p.example:1", "http://", "http://p:99999"])
def test_a_proxy_of_the_environment_is_checked(proxy: str, sample: str, faults_of: FaultsOf) -> None:
    """An unusable proxy is reported when the config is loaded."""
    assert faults_of(sample, environ={"HTTPS_PROXY": proxy}) == [
        f"{ZHIMA} proxy: the environment variable HTTPS_PROXY must be http://HOST:PORT; fix it or unset it"
    ]


def test_the_ca_bundle_is_chosen_at_load_time(folder: Path, sample: str, load_text: Load) -> None:
    """An account's own CA bundle comes before REQUESTS_CA_BUNDLE, and that before SSL_CERT_FILE."""
    own = sample.replace(BASE, f'{BASE}\nca_bundle_file = "keys/root_cert.crt"')
    first, second = folder / "keys/app_cert.crt", folder / "keys/alipay_cert.crt"
    both = {"SSL_CERT_FILE": str(second), "REQUESTS_CA_BUNDLE": str(first)}

    found = [
        load_text(text, environ=environ).accounts["zhima"].ca_bundle_file
        for text, environ in ((own, both), (sample, both), (sample, {"SSL_CERT_FILE": str(second)}), (sample, {}))
    ]

    assert found == [folder / "keys/root_cert.crt", first, second, None]


@pytest.mark.parametrize(
    ("file", "messages"),
    [
        pytest.param("keys/gone.pem", "there is no such file", id="missing"),
        pytest.param(
            "keys/rubbish.pem", "the file holds no certificate; give CA certificates as PEM", id="no certificate"
        ),
    ],
)
def test_a_ca_bundle_is_checked(file: str, messages: str, sample: str, faults_of: FaultsOf) -> None:
    """A CA bundle that is missing, or holds no certificate, is a fault."""
    assert faults_of(sample.replace(BASE, f'ca_bundle_file = "{file}"')) == [
        f"{ZHIMA} ca_bundle_file: {file}: {messages}"
    ]
