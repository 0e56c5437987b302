"""The server's identity is always verified, and no other server is contacted."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests
from requests.adapters import HTTPAdapter

from pipeline.model import Lost, Reply, SignedRequest
from pipeline.simulator import FaultKind, InjectedFault, Simulator
from pipeline.write.transport.curl_transport import CurlTransport
from pipeline.write.transport.network import Endpoint, Network
from pipeline.write.transport.requests_transport import RequestsTransport
from tests.acceptance.workspace import Workspace, order
from tests.security.ends import Listener, answering, listening, relaying, write_certificate

PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
BYPASSES = ("no_proxy", "NO_PROXY")
BUNDLES = ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
REQUEST = SignedRequest("GET", "/v3/certificates", {"Accept": "application/json"}, b"")
both = pytest.mark.parametrize("kind", [RequestsTransport, CurlTransport], ids=["requests", "curl"])
OK = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=MARK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore the proxies and bundles of the machine that runs the tests."""
    for name in (*PROXIES, *BYPASSES, *BUNDLES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls") / "server.pem")


@pytest.fixture
def front(simulator: Simulator, certificate: Path) -> Iterator[Listener]:
    """A TLS server in front of the simulator, with a self-signed certificate."""
    with listening(relaying(simulator.url, certificate)) as end:
        yield end


def send_by_tls(workspace: Workspace, front: Listener, **keys: object) -> None:
    workspace.export("orders.csv", [order(1), order(2)])
    workspace.configure({"accounts.zhima": {"base_url": f"https://127.0.0.1:{front.port}", **keys}})


def assert_refused(workspace: Workspace, front: Listener) -> None:
    """Assert 2 unsent rows, exit code 4, and no byte of a request on the wire."""
    assert (workspace.summary()["state"], workspace.summary()["exit_code"]) == ("stopped", 4)
    assert workspace.results() == ["unsent stopped", "unsent stopped"]
    assert all(
        "certificate" in line["message"] and "does not verify" in line["message"] for line in workspace.outcomes()
    )
    assert any(line["message"].startswith("tls_refused: ") for line in workspace.outcomes())
    assert (bytes(front.received), workspace.requests()) == (b"", [])


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="plainly"),
        pytest.param({"CURL_CA_BUNDLE": ""}, id="empty CURL_CA_BUNDLE"),
        pytest.param({"REQUESTS_CA_BUNDLE": ""}, id="empty REQUESTS_CA_BUNDLE"),
        pytest.param({"SSL_CERT_FILE": ""}, id="empty SSL_CERT_FILE"),
    ],
)
def test_a_self_signed_certificate_stops_the_run(
    workspace: Workspace, front: Listener, environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose certificate does not verify gets no request, and each row stays unsent."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    send_by_tls(workspace, front)

    assert workspace.backfill("run", "orders").exit_code == 4
    assert_refused(workspace, front)


def test_no_variable_of_the_environment_turns_verification_off(
    workspace: Workspace, front: Listener, certificate: Path
) -> None:
    """Variables that turn verification off or name a bundle in other programs have no effect."""
    send_by_tls(workspace, front)
    environ = {
        "PYTHONHTTPSVERIFY": "0", "CURL_CA_BUNDLE": str(certificate), "REQUESTS_CA_BUNDLE": "",
        "NODE_TLS_REJECT_UNAUTHORIZED": "0", "GIT_SSL_NO_VERIFY": "1", "SSL_NO_VERIFY": "1",
    }  # fmt: skip

    assert workspace.command("run", "orders", environ=environ).exit_code == 4
    assert_refused(workspace, front)


@pytest.mark.parametrize("by", ["ca_bundle_file", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_certificate_of_the_bundle_is_accepted(
    workspace: Workspace, front: Listener, certificate: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certificates are verified with the bundle of the config or the environment."""
    send_by_tls(workspace, front, **({by: str(certificate)} if by == "ca_bundle_file" else {}))
    if by != "ca_bundle_file":
        monkeypatch.setenv(by, str(certificate))

    assert workspace.backfill("run", "orders").exit_code == 0
    assert sorted(workspace.requests()) == ["A1", "A2"]


def test_a_certificate_for_another_host_stops_the_run(
    workspace: Workspace, simulator: Simulator, tmp_path: Path
) -> None:
    """A trusted certificate must also be for this host."""
    elsewhere = write_certificate(tmp_path / "elsewhere.pem", host="127.0.0.2")
    with listening(relaying(simulator.url, elsewhere)) as front:
        send_by_tls(workspace, front, ca_bundle_file=str(elsewhere))

        assert workspace.backfill("run", "orders").exit_code == 4
    assert_refused(workspace, front)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_missing_bundle_is_an_error(
    workspace: Workspace, front: Listener, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle of the environment that cannot be read stops the command before anything is sent."""
    send_by_tls(workspace, front)
    monkeypatch.setenv(variable, "/nowhere/bundle.pem")

    ended = workspace.backfill("run", "orders")

    assert (ended.exit_code, front.connections) == (2, 0)
    assert f"the environment variable {variable}: there is no such file" in ended.stderr


@pytest.mark.parametrize(
    "key",
    ["verify", "verify_tls", "tls_verify", "insecure", "skip_verify", "ssl_verify", "trust_env", "check_hostname"],
)
def test_no_key_of_the_config_turns_verification_off(workspace: Workspace, key: str) -> None:
    """The config has no such key, in an account or in a job."""
    workspace.export("orders.csv", [order(1)])
    for table in ("accounts.zhima", "jobs.orders"):
        workspace.configure({table: {key: False}})
        ended = workspace.backfill("run", "orders")
        assert (ended.exit_code, f"[{table}] {key}: unknown key" in ended.stderr) == (2, True)
        workspace.configure({table: {key: None}})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(workspace: Workspace, status: int) -> None:
    """A redirect is judged as an answer; its target is not contacted."""
    workspace.export("orders.csv", [order(1)])
    workspace.configure({"jobs.orders": {"max_attempts": 1}})
    with listening(answering(OK)) as elsewhere:
        location = f"http://127.0.0.1:{elsewhere.port}/v3/"
        workspace.simulator.set_faults([InjectedFault(FaultKind.STATUS, status=status, location=location)])
        workspace.backfill("run", "orders")

    assert (elsewhere.connections, workspace.requests()) == (0, ["A1"])
    assert workspace.outcomes()[0]["http_status"] == str(status)
    assert workspace.outcomes()[0]["status"] != "succeeded"


@pytest.fixture
def tempting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """An environment with proxies, and a .netrc with credentials for this machine."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login MARKlogin password MARKpassword\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with listening(answering(OK)) as proxy:
        for name in PROXIES:
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        yield proxy


@both
def test_the_transport_uses_only_its_endpoint(kind: type[Network], tempting: Listener) -> None:
    """Proxies and .netrc of the environment are not used, and a cookie is not sent back."""
    with listening(answering(OK)) as server:
        transport = kind(Endpoint(f"http://127.0.0.1:{server.port}"))
        answers = [transport.send(REQUEST) for _ in range(2)]
        del transport  # and its connections with it

    assert [answer.status for answer in answers if isinstance(answer, Reply)] == [200, 200]
    sent = bytes(server.received).lower()
    assert sent.count(b"get /v3/certificates http/1.1\r\n") == 2
    assert [word for word in (b"authorization", b"cookie", b"mark", b"proxy") if word in sent] == []
    assert tempting.connections == 0


def test_the_command_contacts_this_machine_directly(workspace: Workspace, tempting: Listener) -> None:
    """A run against a server of this machine ignores proxies and .netrc."""
    workspace.export("orders.csv", [order(1)])

    assert workspace.backfill("run", "orders").exit_code == 0
    assert (workspace.requests(), tempting.connections) == (["A1"], 0)


def test_the_proxy_of_the_environment_is_used(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY is verify_given for the platform's host with its user name, and nothing bypasses it."""
    workspace.export("orders.csv", [order(1)])
    workspace.configure(
        {"accounts.zhima": {"base_url": "https://platform.invalid"}, "jobs.orders": {"max_attempts": 1}}
    )
    with listening(answering(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://etl:MARKpassword@127.0.0.1:{proxy.port}")
        ended = workspace.backfill("run", "orders", "--log-format", "json")

    assert (ended.exit_code, workspace.results()) == (3, ["unsent not_connected"])
    assert bytes(proxy.received).startswith(b"CONNECT platform.invalid:443 HTTP/1.")
    assert b"Proxy-Authorization: Basic " in bytes(proxy.received)
    said = ended.stdout + ended.stderr + json.dumps(workspace.outcomes()) + json.dumps(workspace.summary())
    assert "MARKpassword" not in said


@pytest.mark.parametrize(("bundle", "verify"), [(None, True), ("", True), ("bundle.pem", "bundle.pem")])
def test_the_library_has_to_verify(bundle: str | None, verify: bool | str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The `verify` argument of requests is the path of a bundle or True, for any endpoint."""
    given: list[object] = []

    def connection(
        _adapter: HTTPAdapter, _request: requests.PreparedRequest, verify_given: object, **_options: object
    ) -> None:
        given.append(verify_given)
        raise requests.ConnectionError

    monkeypatch.setattr(HTTPAdapter, "get_connection_with_tls_context", connection)

    RequestsTransport(Endpoint("https://platform.invalid", ca_bundle=bundle)).send(REQUEST)

    assert given == [verify]


@both
def test_a_lost_answer_names_only_hosts(kind: type[Network]) -> None:
    """Texts of the HTTP library may have URLs and passwords of proxies, so they are not passed on."""
    lost = kind(
        Endpoint("https://platform.invalid", proxy="http://etl:MARKpassword@127.0.0.1:1", timeout_seconds=1)
    ).send(REQUEST)

    assert isinstance(lost, Lost)
    assert lost.detail == "connection refused by proxy 127.0.0.1:1"
