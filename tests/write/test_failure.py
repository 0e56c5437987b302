"""What a broken connection says of its cause: the same words with either transport, and where it broke."""

import errno
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.model import Loss, Lost, Reply, SignedRequest
from pipeline.write.transport.failure import Failure, by_errno, by_verify_code, route_to
from pipeline.write.transport.network import Network
from tests.write.certificates import context_of, write_certificate
from tests.write.conftest import Reaches, Starts, unused_url
from tests.write.loopback import Phase, breaks_tls, closes, is_silent, resets, says, sends, tunnels

REQUEST = SignedRequest("POST", "/", {"User-Agent": "tests"}, b"{}")
OK = says("200 OK")


def detail_of(transport: Network, loss: Loss) -> str:
    """Return what is told of a request that is lost in this way."""
    answer = transport.send(REQUEST)
    assert isinstance(answer, Lost)
    assert answer.cause is loss
    return answer.detail


def peer(url: str) -> str:
    return url.partition("://")[2]


@pytest.mark.parametrize("way", ["direct", "proxy"])
def test_refused(reaches: Reaches, way: str) -> None:
    """Where nobody listens, the platform or the proxy is told that refuses."""
    url = unused_url()
    direct, proxied = reaches(url), reaches("https://platform.invalid", proxy=f"http://me:secret@{peer(url)}")
    messages = detail_of(direct if way == "direct" else proxied, Loss.NOT_CONNECTED)

    assert messages == f"connection refused by {'' if way == 'direct' else 'proxy '}{peer(url)}"


@pytest.mark.parametrize(
    ("url", "proxy", "messages"),
    [
        ("http://nowhere.invalid", None, "name not found: nowhere.invalid:80"),
        ("https://nowhere.invalid:8443", None, "name not found: nowhere.invalid:8443"),
        ("https://platform.invalid", "http://nowhere.invalid:3128", "name not found: proxy nowhere.invalid:3128"),
    ],
)
def test_name_not_found(reaches: Reaches, url: str, proxy: str | None, messages: str) -> None:
    """A name that has no address is told with its port."""
    assert detail_of(reaches(url, proxy=proxy), Loss.NOT_CONNECTED) == messages


@pytest.mark.parametrize(
    ("act", "greets", "loss"),
    [
        pytest.param(resets, None, Loss.CONNECTION_LOST, id="reset"),
        pytest.param(closes, None, Loss.CONNECTION_LOST, id="closed"),
        pytest.param(None, resets, Loss.NOT_CONNECTED, id="reset-in-the-handshake"),
        pytest.param(None, closes, Loss.NOT_CONNECTED, id="closed-in-the-handshake"),
    ],
)
def test_reset(starts: Starts, reaches: Reaches, act: Phase | None, greets: Phase | None, loss: Loss) -> None:
    """A connection that the other end breaks is told as such, before the request left and after."""
    server = starts(*[act] if act else [], greets=greets)
    url = server.url if act else server.url.replace("http:", "https:")

    assert detail_of(reaches(url), loss) == f"connection reset or closed by {peer(url)}"


@pytest.mark.parametrize("act", [closes, resets])
def test_reset_while_it_was_kept(starts: Starts, reaches: Reaches, act: Phase) -> None:
    """A kept connection that breaks once the request has left is told as any other."""
    server = starts(OK, act)
    transport = reaches(server.url)
    transport.send(REQUEST)

    assert detail_of(transport, Loss.CONNECTION_LOST) == f"connection reset or closed by {peer(server.url)}"


@pytest.mark.parametrize(
    ("act", "loss", "messages"),
    [
        pytest.param(is_silent, Loss.TIMEOUT, "no answer from {peer} within 0.1 s", id="silent"),
        pytest.param(
            sends(b"SSH-2.0-OpenSSH\r\n"), Loss.CONNECTION_LOST, "{peer} answered with something that is no HTTP",
            id="no-http",
        ),
        pytest.param(
            sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"), Loss.CUT_SHORT,
            "the answer of {peer} broke off or is malformed", id="cut",
        ),
    ],
)  # fmt: skip
def test_an_answer_that_does_not_come(starts: Starts, reaches: Reaches, act: Phase, loss: Loss, messages: str) -> None:
    """What was wrong with an answer is told, and whose it was."""
    server = starts(act)

    assert detail_of(reaches(server.url, timeout_seconds=0.1), loss) == messages.format(peer=peer(server.url))


@pytest.fixture
def serves(starts: Starts, tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Start a server with such a certificate, which is its own issuer; return its URL and the bundle that trusts it."""

    def served(*, host: str = "127.0.0.1", since: int = -1, until: int = 1) -> tuple[str, str]:
        certificate = write_certificate(tmp_path / "server.pem", host=host, since=since, until=until)
        return starts(OK, context=context_of(certificate)).url, str(certificate)

    return served


@pytest.mark.parametrize(
    ("how", "trusted", "messages"),
    [
        pytest.param({"since": -3, "until": -1}, True, "has expired", id="expired"),
        pytest.param({"since": 1, "until": 3}, True, "is not valid yet; check this machine's clock", id="not-yet"),
        pytest.param({"host": "127.0.0.2"}, True, "is for another host name", id="wrong-name"),
        pytest.param({}, False, "has an unknown issuer", id="unknown-issuer"),
    ],
)
def test_a_certificate_that_does_not_verify(
    serves: Callable[..., tuple[str, str]], reaches: Reaches, how: dict[str, int], trusted: bool, messages: str
) -> None:
    """What is wrong with a certificate is told, and whose it is."""
    url, bundle = serves(**how)
    transport = reaches(url, ca_bundle=bundle if trusted else None)

    assert detail_of(transport, Loss.TLS_REFUSED) == f"the TLS certificate of {peer(url)} {messages}"


def test_a_certificate_at_the_end_of_a_tunnel(starts: Starts, reaches: Reaches, context: ssl.SSLContext) -> None:
    """Through a proxy it is the platform's certificate that is told, and the proxy it came through."""
    proxy = starts(tunnels(context, OK, seen=[]))
    messages = detail_of(reaches("https://127.0.0.1:9", proxy=proxy.url), Loss.TLS_REFUSED)

    assert messages == (
        f"the TLS certificate of 127.0.0.1:9 has an unknown issuer (through proxy 127.0.0.1:{proxy.port})"
    )


def test_a_certificate_of_the_proxy(starts: Starts, reaches: Reaches, context: ssl.SSLContext) -> None:
    """A proxy that speaks TLS has a certificate of its own."""
    proxy = starts(OK, context=context)
    messages = detail_of(reaches("https://127.0.0.1:9", proxy=proxy.url), Loss.TLS_REFUSED)

    assert messages == f"the TLS certificate of proxy 127.0.0.1:{proxy.port} has an unknown issuer"


@pytest.mark.parametrize("greets", [sends(b"HTTP/1.1 400 Bad Request\r\n\r\n")])
def test_no_tls(starts: Starts, reaches: Reaches, greets: Phase) -> None:
    """A server that speaks no TLS where it should is told."""
    server = starts(greets=greets)
    messages = detail_of(reaches(server.url.replace("http:", "https:")), Loss.NOT_CONNECTED)

    assert messages == f"the TLS handshake with 127.0.0.1:{server.port} failed"


@pytest.mark.parametrize("data", [b"\x17\x03\x03\x00\x20" + bytes(32), b"\x15\x03\x03\x00\x02\x02\x28"])
def test_tls_that_breaks(
    starts: Starts, reaches: Reaches, context: ssl.SSLContext, certificate: Path, data: bytes
) -> None:
    """A TLS connection that breaks after the request left is told apart from one that never came about."""
    server = starts(breaks_tls(data), context=context)
    messages = detail_of(reaches(server.url, ca_bundle=str(certificate)), Loss.CONNECTION_LOST)

    assert messages == f"the TLS connection to 127.0.0.1:{server.port} broke"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("407 Proxy Authentication Required", "status 407, it asks for a user and password"),
        ("403 Forbidden", "status 403"),
        ("502 Bad Gateway", "status 502"),
    ],
)
def test_a_proxy_that_refuses(starts: Starts, reaches: Reaches, status: str, said: str) -> None:
    """A proxy that does not let through is told with its status, and the host it was asked for."""
    proxy = starts(says(status))
    messages = detail_of(reaches("https://platform.invalid", proxy=proxy.url), Loss.NOT_CONNECTED)

    assert messages == f"proxy 127.0.0.1:{proxy.port} refused the connection to platform.invalid:443 ({said})"


def test_a_proxy_that_forwards_and_wants_a_password(starts: Starts, reaches: Reaches) -> None:
    """Status 407 is never the platform's: nothing reached that, also where the proxy needs no tunnel."""
    proxy = starts(says("407 Proxy Authentication Required"), says("407 Proxy Authentication Required"))
    messages = detail_of(reaches("http://127.0.0.1:9", proxy=proxy.url), Loss.NOT_CONNECTED)
    without = reaches(proxy.url).send(REQUEST)

    assert messages == (
        f"proxy 127.0.0.1:{proxy.port} refused the connection to 127.0.0.1:9 "
        "(status 407, it asks for a user and password)"
    )
    assert isinstance(without, Reply)


@pytest.mark.parametrize(
    ("act", "messages"),
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
def test_a_proxy_that_breaks_off(starts: Starts, reaches: Reaches, act: Phase, messages: str) -> None:
    """Whether it broke at the proxy or behind it is told."""
    proxy = starts(act)
    transport = reaches("https://platform.invalid", proxy=proxy.url, timeout_seconds=0.2)

    assert detail_of(transport, Loss.NOT_CONNECTED) == messages.format(port=proxy.port)


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
    """What the system says of a connection is told in our words."""
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
    """What OpenSSL finds wrong with a certificate is told in our words; the rare ones as not trusted."""
    assert by_verify_code(code) is failure


@pytest.mark.parametrize(
    ("url", "messages"),
    [
        ("https://api.mch.weixin.qq.com", "no route to api.mch.weixin.qq.com:443"),
        ("http://127.0.0.1:8700/x", "no route to 127.0.0.1:8700"),
        ("https://[::1]:8443", "no route to [::1]:8443"),
    ],
)
def test_where_it_broke(url: str, messages: str) -> None:
    """A peer is told as host and port, with the port that the scheme has where the URL names none."""
    assert route_to(url, None, 1.0).say(Failure.NO_ROUTE, at_platform=True) == messages
