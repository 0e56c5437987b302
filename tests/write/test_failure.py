"""Texts for broken connections: the same with both transports, with the cause and the place."""

import errno
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.model import Loss, Lost, Reply, SignedRequest
from pipeline.write.transport.failure import Failure, by_errno, by_verify_code, route_to
from pipeline.write.transport.network import Network
from tests.write.certificates import context_of, write_certificate
from tests.write.conftest import MakeTransport, StartServer, unused_url
from tests.write.loopback import Phase, breaks_tls, closes, is_silent, resets, resets_at_once, says, sends, tunnels

REQUEST = SignedRequest("POST", "/", {"User-Agent": "tests"}, b"{}")
OK = says("200 OK")


def detail_of(transport: Network, loss: Loss) -> str:
    """Return the text for a request that is lost this way."""
    answer = transport.send(REQUEST)
    assert isinstance(answer, Lost)
    assert answer.cause is loss
    return answer.detail


def peer(url: str) -> str:
    return url.partition("://")[2]


@pytest.mark.parametrize("way", ["direct", "proxy"])
def test_refused(make_transport: MakeTransport, way: str) -> None:
    """A refused connection names the platform, or the proxy."""
    url = unused_url()
    direct, proxied = (
        make_transport(url),
        make_transport("https://platform.invalid", proxy=f"http://me:secret@{peer(url)}"),
    )
    text = detail_of(direct if way == "direct" else proxied, Loss.NOT_CONNECTED)

    assert text == f"connection refused by {'' if way == 'direct' else 'proxy '}{peer(url)}"


@pytest.mark.parametrize(
    ("url", "proxy", "text"),
    [
        ("http://nowhere.invalid", None, "name not found: nowhere.invalid:80"),
        ("https://nowhere.invalid:8443", None, "name not found: nowhere.invalid:8443"),
        ("https://platform.invalid", "http://nowhere.invalid:3128", "name not found: proxy nowhere.invalid:3128"),
    ],
)
def test_name_not_found(make_transport: MakeTransport, url: str, proxy: str | None, text: str) -> None:
    """A host without an address is reported with its port."""
    assert detail_of(make_transport(url, proxy=proxy), Loss.NOT_CONNECTED) == text


@pytest.mark.parametrize(
    ("act", "greets", "loss"),
    [
        pytest.param(resets, None, Loss.CONNECTION_LOST, id="reset"),
        pytest.param(closes, None, Loss.CONNECTION_LOST, id="closed"),
        pytest.param(None, resets_at_once, Loss.NOT_CONNECTED, id="reset-in-the-handshake"),
        pytest.param(None, closes, Loss.NOT_CONNECTED, id="closed-in-the-handshake"),
    ],
)
def test_reset(
    start_server: StartServer, make_transport: MakeTransport, act: Phase | None, greets: Phase | None, loss: Loss
) -> None:
    """A reset is reported as such, before the request left and after."""
    server = start_server(*[act] if act else [], greets=greets)
    url = server.url if act else server.url.replace("http:", "https:")

    assert detail_of(make_transport(url), loss) == f"connection reset or closed by {peer(url)}"


@pytest.mark.parametrize("act", [closes, resets])
def test_reset_of_a_kept_connection(start_server: StartServer, make_transport: MakeTransport, act: Phase) -> None:
    """A kept connection that breaks after the request left is reported like any other."""
    server = start_server(OK, act)
    transport = make_transport(server.url)
    transport.send(REQUEST)

    assert detail_of(transport, Loss.CONNECTION_LOST) == f"connection reset or closed by {peer(server.url)}"


@pytest.mark.parametrize(
    ("act", "loss", "text"),
    [
        pytest.param(is_silent, Loss.TIMEOUT, "no answer from {peer} within 0.1 s", id="silent"),
        pytest.param(
            sends(b"SSH-2.0-OpenSSH\r\n"), Loss.CONNECTION_LOST, "{peer} did not answer with HTTP",
            id="no-http",
        ),
        pytest.param(
            sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"), Loss.CUT_SHORT,
            "the answer of {peer} broke off or is malformed", id="cut",
        ),
    ],
)  # fmt: skip
def test_a_lost_answer(
    start_server: StartServer, make_transport: MakeTransport, act: Phase, loss: Loss, text: str
) -> None:
    """The text has the fault of the answer, and its server."""
    server = start_server(act)

    assert detail_of(make_transport(server.url, timeout_seconds=0.1), loss) == text.format(peer=peer(server.url))


@pytest.fixture
def serves(start_server: StartServer, tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Start a server with a self-signed certificate; return its URL and the bundle that trusts it."""

    def served(*, host: str = "127.0.0.1", since: int = -1, until: int = 1) -> tuple[str, str]:
        certificate = write_certificate(tmp_path / "server.pem", host=host, since=since, until=until)
        return start_server(OK, context=context_of(certificate)).url, str(certificate)

    return served


@pytest.mark.parametrize(
    ("how", "trusted", "text"),
    [
        pytest.param({"since": -3, "until": -1}, True, "has expired", id="expired"),
        pytest.param({"since": 1, "until": 3}, True, "is not valid yet; check this machine's clock", id="not-yet"),
        pytest.param({"host": "127.0.0.2"}, True, "is for another host name", id="wrong-name"),
        pytest.param({}, False, "has an unknown issuer", id="unknown-issuer"),
    ],
)
def test_a_certificate_that_does_not_verify(
    serves: Callable[..., tuple[str, str]], make_transport: MakeTransport, how: dict[str, int], trusted: bool, text: str
) -> None:
    """The text has the fault of the certificate, and its server."""
    url, bundle = serves(**how)
    transport = make_transport(url, ca_bundle=bundle if trusted else None)

    assert detail_of(transport, Loss.TLS_REFUSED) == f"the TLS certificate of {peer(url)} {text}"


def test_a_certificate_at_the_end_of_a_tunnel(
    start_server: StartServer, make_transport: MakeTransport, context: ssl.SSLContext
) -> None:
    """Through a proxy, the text names the platform's certificate and the proxy."""
    proxy = start_server(tunnels(context, OK, seen=[]))
    text = detail_of(make_transport("https://127.0.0.1:9", proxy=proxy.url), Loss.TLS_REFUSED)

    assert text == (f"the TLS certificate of 127.0.0.1:9 has an unknown issuer (through proxy 127.0.0.1:{proxy.port})")


def test_a_certificate_of_the_proxy(
    start_server: StartServer, make_transport: MakeTransport, context: ssl.SSLContext
) -> None:
    """A TLS proxy has its own certificate."""
    proxy = start_server(OK, context=context)
    text = detail_of(make_transport("https://127.0.0.1:9", proxy=proxy.url), Loss.TLS_REFUSED)

    assert text == f"the TLS certificate of proxy 127.0.0.1:{proxy.port} has an unknown issuer"


@pytest.mark.parametrize("greets", [sends(b"HTTP/1.1 400 Bad Request\r\n\r\n")])
def test_no_tls(start_server: StartServer, make_transport: MakeTransport, greets: Phase) -> None:
    """A server without TLS fails the handshake."""
    server = start_server(greets=greets)
    text = detail_of(make_transport(server.url.replace("http:", "https:")), Loss.NOT_CONNECTED)

    assert text == f"the TLS handshake with 127.0.0.1:{server.port} failed"


@pytest.mark.parametrize("data", [b"\x17\x03\x03\x00\x20" + bytes(32), b"\x15\x03\x03\x00\x02\x02\x28"])
def test_tls_that_breaks(
    start_server: StartServer, make_transport: MakeTransport, context: ssl.SSLContext, certificate: Path, data: bytes
) -> None:
    """A TLS connection that breaks after the request left has its own text."""
    server = start_server(breaks_tls(data), context=context)
    text = detail_of(make_transport(server.url, ca_bundle=str(certificate)), Loss.CONNECTION_LOST)

    assert text == f"the TLS connection to 127.0.0.1:{server.port} broke"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("407 Proxy Authentication Required", "status 407, it asks for a user and password"),
        ("403 Forbidden", "status 403"),
        ("502 Bad Gateway", "status 502"),
    ],
)
def test_a_proxy_that_refuses(
    start_server: StartServer, make_transport: MakeTransport, status: str, reason: str
) -> None:
    """A refusal of the proxy is reported with its status and the requested host."""
    proxy = start_server(says(status))
    text = detail_of(make_transport("https://platform.invalid", proxy=proxy.url), Loss.NOT_CONNECTED)

    assert text == f"proxy 127.0.0.1:{proxy.port} refused the connection to platform.invalid:443 ({reason})"


def test_a_proxy_that_forwards_and_wants_a_password(start_server: StartServer, make_transport: MakeTransport) -> None:
    """Status 407 is always the proxy's, also without a tunnel: nothing reached the platform."""
    proxy = start_server(says("407 Proxy Authentication Required"), says("407 Proxy Authentication Required"))
    text = detail_of(make_transport("http://127.0.0.1:9", proxy=proxy.url), Loss.NOT_CONNECTED)
    without = make_transport(proxy.url).send(REQUEST)

    assert text == (
        f"proxy 127.0.0.1:{proxy.port} refused the connection to 127.0.0.1:9 "
        "(status 407, it asks for a user and password)"
    )
    assert isinstance(without, Reply)


@pytest.mark.parametrize(
    ("act", "text"),
    [
        pytest.param(closes, "connection reset or closed by proxy 127.0.0.1:{port}", id="closes"),
        pytest.param(is_silent, "timeout while connecting to proxy 127.0.0.1:{port}, after 0.2 s", id="is-silent"),
        pytest.param(
            sends(b"HTTP/1.1 200 OK\r\n\r\n"),
            "connection reset or closed by platform.invalid:443 (through proxy 127.0.0.1:{port})",
            id="grants-and-closes",
        ),
    ],
)
def test_a_proxy_that_closes(start_server: StartServer, make_transport: MakeTransport, act: Phase, text: str) -> None:
    """The text says whether the connection broke at the proxy or behind it."""
    proxy = start_server(act)
    transport = make_transport("https://platform.invalid", proxy=proxy.url, timeout_seconds=0.2)

    assert detail_of(transport, Loss.NOT_CONNECTED) == text.format(port=proxy.port)


@pytest.mark.parametrize(
    ("number", "failure"),
    [
        (errno.ECONNREFUSED, Failure.REFUSED),
        (errno.ECONNRESET, Failure.RESET),
        (errno.EPIPE, Failure.RESET),
        (errno.EHOSTUNREACH, Failure.NO_ROUTE),
        (errno.ENETUNREACH, Failure.NO_ROUTE),
        (errno.ENOENT, None),
        (None, None),
    ],
)
def test_errors_of_the_system(number: int | None, failure: Failure | None) -> None:
    """A system error has its failure."""
    assert by_errno(number) is failure


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (10, Failure.TLS_EXPIRED),
        (62, Failure.TLS_WRONG_NAME),
        (20, Failure.TLS_UNKNOWN_ISSUER),
        (23, Failure.TLS_NOT_TRUSTED),
    ],
)
def test_errors_of_openssl(code: int, failure: Failure) -> None:
    """A verification error of OpenSSL has its failure; the rare ones are `not trusted`."""
    assert by_verify_code(code) is failure


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://api.mch.weixin.qq.com", "no route to api.mch.weixin.qq.com:443"),
        ("http://127.0.0.1:8700/x", "no route to 127.0.0.1:8700"),
        ("https://[::1]:8443", "no route to [::1]:8443"),
    ],
)
def test_where_it_broke(url: str, text: str) -> None:
    """A peer is reported as host and port; the port defaults to that of the scheme."""
    assert route_to(url, None, 1.0).describe(Failure.NO_ROUTE, at_platform=True) == text
