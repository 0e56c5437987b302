"""Both transports: what they send, what they return, and how they report a lost answer."""

import gzip
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pycurl
import pytest
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from pipeline.model import Loss, Lost, Reply, SignedRequest
from pipeline.write.transport.curl_transport import CurlTransport
from pipeline.write.transport.network import Endpoint, Network
from tests.write.conftest import MakeTransport, StartServer, unused_url
from tests.write.loopback import (
    Loopback,
    Phase,
    breaks_tls,
    closes,
    drips,
    is_silent,
    resets,
    resets_at_once,
    says,
    sends,
    tunnels,
)

REQUEST = SignedRequest(
    "POST", "/v3/sync?a=%2Fb&c=%E5%A5%BD", {"X-Nonce": "n", "User-Agent": "tests"}, b'{"key":"\xe5\xa5\xbd"}'
)


def cause_of(answer: Reply | Lost) -> Loss | int:
    return answer.cause if isinstance(answer, Lost) else answer.status


def test_a_request_is_sent_byte_for_byte(start_server: StartServer, make_transport: MakeTransport) -> None:
    """Method, path, query, headers and body reach the server unchanged, and the answer comes back unchanged."""
    server = start_server(says("200 OK", b'{"a":1}', "Alipay-Trace-ID: trace", "X-Two: 1", "x-two: 2"))
    answer = make_transport(server.url).send(REQUEST)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    first, *headers = head.decode().split("\r\n")

    assert answer == Reply(200, {"content-length": "7", "alipay-trace-id": "trace", "x-two": "1, 2"}, b'{"a":1}')
    assert (first, body) == ("POST /v3/sync?a=%2Fb&c=%E5%A5%BD HTTP/1.1", REQUEST.body)
    assert sorted(headers) == sorted(
        [f"Host: 127.0.0.1:{server.port}", "X-Nonce: n", "User-Agent: tests", "Content-Length: 13",
         "Accept-Encoding: identity"]
    )  # fmt: skip


def test_head_and_body_leave_as_one(start_server: StartServer, make_transport: MakeTransport) -> None:
    """The server gets head and body in one read, over a new connection and over a kept one."""
    first: list[bytes] = []

    def peek(connection: socket.socket) -> None:
        first.append(connection.recv(65536, socket.MSG_PEEK))

    def answers(connection: socket.socket) -> None:
        says("200 OK")(connection)
        peek(connection)

    server = start_server(*[answers] * 29, says("200 OK"), greets=peek)
    transport = make_transport(server.url)

    assert [cause_of(transport.send(REQUEST)) for _ in range(30)] == [200] * 30
    assert first == server.requests


def test_a_connection_is_reused(start_server: StartServer, make_transport: MakeTransport) -> None:
    """Requests of one thread share a connection, also after an answer without a body."""
    server = start_server(says("200 OK", b"{}"), says("204 No Content"), says("200 OK", b"{}"))
    transport = make_transport(server.url)

    assert [cause_of(transport.send(REQUEST)) for _ in range(3)] == [200, 204, 200]
    assert server.connections == 1


@pytest.mark.parametrize(
    "interim",
    [
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="100"),
        pytest.param(b"HTTP/1.1 102 Processing\r\n\r\n", id="102"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", id="103"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 102 Processing\r\n\r\n" * 3, id="several"),
    ],
)
def test_an_interim_answer_is_not_the_answer(
    start_server: StartServer, make_transport: MakeTransport, interim: bytes
) -> None:
    """Interim answers are skipped, and the next request gets its own answer."""

    def says_more(connection: socket.socket) -> None:
        connection.sendall(interim)
        says("200 OK", b"first")(connection)

    server = start_server(says_more, says("200 OK", b"second"))
    transport = make_transport(server.url)

    assert [transport.send(REQUEST) for _ in range(2)] == [
        Reply(200, {"content-length": "5"}, b"first"),
        Reply(200, {"content-length": "6"}, b"second"),
    ]
    assert server.connections == 1


def test_an_idle_connection_is_replaced(start_server: StartServer, make_transport: MakeTransport) -> None:
    """A connection that was idle too long is replaced before anything is sent."""
    seconds = [0.0]
    server = start_server(*[says("200 OK")] * 3)
    transport = make_transport(server.url, seconds=seconds)
    for at in (0.0, 25.0, 51.0):
        seconds[0] = at
        transport.send(REQUEST)

    assert (len(server.requests), server.connections) == (3, 2)


def test_threads_do_not_share_connections(start_server: StartServer, make_transport: MakeTransport) -> None:
    """Two threads that send at the same time use two connections."""
    together = threading.Barrier(2)
    server = start_server(*[says("200 OK")] * 2, greets=lambda _: together.wait() and None)
    transport = make_transport(server.url)
    threads = [threading.Thread(target=transport.send, args=(REQUEST,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert server.connections == 2


def test_cookies_are_not_kept(start_server: StartServer, make_transport: MakeTransport) -> None:
    """A server's cookie is not sent back."""
    server = start_server(says("200 OK", b"", "Set-Cookie: a=1"), says("200 OK"))
    transport = make_transport(server.url)
    transport.send(REQUEST)
    transport.send(REQUEST)

    assert b"cookie" not in server.requests[1].lower()


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_is_not_followed(start_server: StartServer, make_transport: MakeTransport, status: str) -> None:
    """A redirect is returned as an answer."""
    server = start_server(says(status, b"", "Location: /elsewhere"))

    assert cause_of(make_transport(server.url).send(REQUEST)) == int(status[:3])
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("act", "loss"),
    [
        pytest.param(closes, Loss.CONNECTION_LOST, id="closed-without-an-answer"),
        pytest.param(resets, Loss.CONNECTION_LOST, id="reset"),
        pytest.param(sends(b"SSH-2.0-OpenSSH\r\n"), Loss.CONNECTION_LOST, id="no-http"),
        pytest.param(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"), Loss.CUT_SHORT, id="too-short"),
        pytest.param(
            sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}"),
            Loss.CUT_SHORT,
            id="a-chunk-cut-off",
        ),
        pytest.param(
            sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            Loss.CUT_SHORT,
            id="no-chunk",
        ),
        pytest.param(
            sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n"),
            Loss.CUT_SHORT,
            id="a-chunk-shorter-than-none",
        ),
        pytest.param(sends(b"HTTP/1.1 400 Bad Request\r\n"), Loss.CUT_SHORT, id="cut-after-its-first-line"),
        pytest.param(sends(b"HTTP/1.1 400 Bad Request\r\nX-A: 1\r\nContent-Le"), Loss.CUT_SHORT, id="cut-in-a-header"),
        pytest.param(sends(b"HTTP/1.1 4"), Loss.CONNECTION_LOST, id="cut-in-its-first-line"),
        pytest.param(
            sends(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
            Loss.CUT_SHORT,
            id="another-protocol",
        ),
        pytest.param(sends(b"HTTP/1.1 200 OK\r\n\r\n{}"), 200, id="until-the-end-of-the-connection"),
        pytest.param(says("200 OK", b"no gzip", "Content-Encoding: gzip"), Loss.CUT_SHORT, id="no-gzip"),
        pytest.param(says("200 OK", b"x" * ((1 << 20) + 1)), Loss.CUT_SHORT, id="longer-than-any-answer"),
    ],
)
def test_an_incomplete_answer_is_lost(
    start_server: StartServer, make_transport: MakeTransport, act: Phase, loss: Loss | int
) -> None:
    """An incomplete answer is lost, and the request may have been applied."""
    server = start_server(act)

    assert cause_of(make_transport(server.url).send(REQUEST)) == loss
    assert len(server.requests) == 1


def test_a_connection_that_breaks_before_the_request_is_read_is_lost(
    start_server: StartServer, make_transport: MakeTransport
) -> None:
    """A server may have read the request before it broke the connection, so the answer is lost."""

    server = start_server(greets=resets_at_once)

    assert cause_of(make_transport(server.url).send(REQUEST)) is Loss.CONNECTION_LOST


def test_a_lost_answer_is_not_retried_by_the_transport(
    start_server: StartServer, make_transport: MakeTransport
) -> None:
    """A request is sent once, also if its answer is lost."""
    server = start_server(says("200 OK"), closes, says("200 OK"))
    transport = make_transport(server.url)

    assert [cause_of(transport.send(REQUEST)) for _ in range(3)] == [200, Loss.CONNECTION_LOST, 200]
    assert len(server.requests) == 3


def test_a_get_has_no_body(start_server: StartServer, make_transport: MakeTransport) -> None:
    """A GET has no body and no content headers, also between requests with a body."""
    server = start_server(*[says("200 OK")] * 3)
    transport = make_transport(server.url)
    for request in (REQUEST, SignedRequest("GET", "/v3/certificates", {"User-Agent": "tests"}, b""), REQUEST):
        transport.send(request)
    posted, got, posted_again = server.requests

    assert got.partition(b" HTTP/")[0] == b"GET /v3/certificates"
    assert got.endswith(b"\r\n\r\n")
    assert b"content-" not in got.lower()
    assert posted_again == posted


def test_no_answer_in_time(start_server: StartServer, make_transport: MakeTransport) -> None:
    """The wait for a silent server ends at the timeout."""
    assert cause_of(make_transport(start_server(is_silent).url, timeout_seconds=0.03).send(REQUEST)) is Loss.TIMEOUT


def test_a_tiny_timeout_ends(start_server: StartServer, make_transport: MakeTransport) -> None:
    """Even the shortest timeout ends."""
    assert isinstance(make_transport(start_server(is_silent).url, timeout_seconds=0.0001).send(REQUEST), Lost)


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", *[b"."] * 5000], id="in-its-body"),
        pytest.param([b"HTTP/1.1 200 OK\r\nX-Long: ", *[b"."] * 5000], id="in-its-head"),
        pytest.param([b"HTTP/1.1 ", *[b"2"] * 5000], id="in-its-first-line"),
        pytest.param([b"HTTP/1.1 102 Processing\r\n\r\n"] * 5000, id="before-it"),
    ],
)
def test_an_answer_that_comes_too_slowly(
    start_server: StartServer, make_transport: MakeTransport, pieces: list[bytes]
) -> None:
    """A slow answer is abandoned at the timeout, although each byte comes in time."""
    dripped: list[float] = []

    def wait() -> None:
        dripped.append(time.monotonic())
        threading.Event().wait(0.001)

    server = start_server(drips(pieces, wait))

    assert cause_of(make_transport(server.url, timeout_seconds=0.1).send(REQUEST)) is Loss.TIMEOUT
    assert len(dripped) < 2500


def test_a_compressed_answer_is_read(start_server: StartServer, make_transport: MakeTransport) -> None:
    """A compressed answer is decompressed, although the request asked for none."""
    server = start_server(says("200 OK", gzip.compress(b'{"a":1}'), "Content-Encoding: gzip"))
    answer = make_transport(server.url).send(REQUEST)

    assert isinstance(answer, Reply)
    assert answer.body == b'{"a":1}'


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(b"0\r\n\r\n", id="none"),
        pytest.param(b"0\r\nX-Sum: 1\r\nX-Kind: 2\r\n\r\n", id="two"),
    ],
)
@pytest.mark.parametrize(
    "interim", [b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"], ids=["final-only", "interim-first"]
)
def test_trailers_are_no_part_of_the_answer(
    start_server: StartServer, make_transport: MakeTransport, interim: bytes, end: bytes
) -> None:
    """Trailers after a chunked body are skipped, and the answer is complete."""
    whole = interim + b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n" + end
    server = start_server(lambda connection: connection.sendall(whole), says("200 OK"))
    transport = make_transport(server.url)

    assert transport.send(REQUEST) == Reply(200, {"transfer-encoding": "chunked"}, b"{}")
    assert cause_of(transport.send(REQUEST)) == 200
    assert server.connections == 1


def test_a_refused_connection(make_transport: MakeTransport) -> None:
    """If no connection opens, nothing was sent, and the address is reported."""
    url = unused_url()

    assert make_transport(url).send(REQUEST) == Lost(
        Loss.NOT_CONNECTED, f"connection refused by {url.removeprefix('http://')}"
    )


def test_a_name_that_does_not_resolve(make_transport: MakeTransport) -> None:
    """A host name without an address means that nothing was sent."""
    answer = make_transport("http://nowhere.invalid").send(REQUEST)

    assert cause_of(answer) is Loss.NOT_CONNECTED


@pytest.mark.parametrize(
    ("act", "cause", "used"),
    [
        pytest.param(None, 200, 1, id="nobody-listens"),
        pytest.param(closes, Loss.CONNECTION_LOST, 0, id="the-request-may-have-been-read"),
        pytest.param(says("503 Unavailable"), 503, 0, id="it-answered"),
    ],
)
def test_the_backup_host_is_for_requests_that_were_not_sent(
    start_server: StartServer, make_transport: MakeTransport, act: Phase | None, cause: Loss | int, used: int
) -> None:
    """The signed request goes to the backup host only if the main host was not reached."""
    backup = start_server(says("200 OK"))
    main = unused_url() if act is None else start_server(act).url
    transport = make_transport(main, backup_url=backup.url)

    assert cause_of(transport.send(REQUEST)) == cause
    assert len(backup.requests) == used


def test_the_environment_is_ignored(
    start_server: StartServer, make_transport: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies and CA bundles of the environment are not used."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, unused_url())
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, "nowhere.pem")

    assert cause_of(make_transport(start_server(says("200 OK")).url).send(REQUEST)) == 200


def test_a_configured_proxy_is_used(start_server: StartServer, make_transport: MakeTransport) -> None:
    """The account's proxy gets the request; if it can't be reached, nothing was sent."""
    proxy, server = start_server(says("200 OK")), start_server()
    answer = make_transport(server.url, proxy=proxy.url).send(REQUEST)
    without = make_transport(server.url, proxy=unused_url()).send(REQUEST)

    assert cause_of(answer) == 200
    assert proxy.requests[0].startswith(f"POST {server.url}/v3/sync?a=%2Fb&c=%E5%A5%BD HTTP/1.1\r\n".encode())
    assert cause_of(without) is Loss.NOT_CONNECTED
    assert server.connections == 0


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(says("403 Forbidden", b"no"), id="forbidden"),
        pytest.param(says("407 Proxy Authentication Required"), id="authentication-required"),
        pytest.param(sends(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), id="bad-gateway"),
        pytest.param(closes, id="closed-without-an-answer"),
        pytest.param(sends(b"HTTP/1.1 200 OK\r\n\r\n"), id="closed-after-connect"),
    ],
)
def test_a_proxy_without_a_tunnel(start_server: StartServer, make_transport: MakeTransport, act: Phase) -> None:
    """If a proxy refuses CONNECT, nothing of the request was sent."""
    proxy = start_server(act)
    answer = make_transport("https://platform.invalid", proxy=proxy.url).send(REQUEST)

    assert cause_of(answer) is Loss.NOT_CONNECTED
    assert [request.split(b" HTTP/1.")[0] for request in proxy.requests] == [b"CONNECT platform.invalid:443"]


def test_a_bundle_with_a_unicode_path(
    start_server: StartServer, make_transport: MakeTransport, context: ssl.SSLContext, certificate: Path, tmp_path: Path
) -> None:
    """The path of a CA bundle may have any characters."""
    bundle = tmp_path / "证书.pem"
    bundle.write_bytes(certificate.read_bytes())
    server = start_server(says("200 OK"), context=context)

    assert cause_of(make_transport(server.url, ca_bundle=str(bundle)).send(REQUEST)) == 200


def test_a_server_trusted_by_the_ca_bundle(
    start_server: StartServer, make_transport: MakeTransport, context: ssl.SSLContext, certificate: Path
) -> None:
    """A server certificate is verified with the account's CA bundle."""
    server = start_server(says("200 OK"), context=context)

    assert cause_of(make_transport(server.url, ca_bundle=str(certificate)).send(REQUEST)) == 200


@pytest.mark.parametrize("trusted", [pytest.param("folder", id="folder"), pytest.param("file", id="file")])
@pytest.mark.parametrize("way", ["direct", "proxy"])
def test_libcurl_trusts_no_more_than_the_ca_bundle(
    start_server: StartServer,
    context: ssl.SSLContext,
    certificate: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trusted: str,
    way: str,
) -> None:
    """With a CA bundle, libcurl refuses servers and proxies that only its built-in bundle trusts."""
    folder = tmp_path / "hashed"
    folder.mkdir()
    # OpenSSL finds an issuer in a folder by the hash of its name, which is that of CN=TEST.
    (folder / "756b76dc.0").write_bytes(certificate.read_bytes())
    other = tmp_path / "other"
    other.mkdir()
    bundle = other if trusted == "folder" else Path(DEFAULT_CA_BUNDLE_PATH)

    def built() -> pycurl.Curl:
        made = handle()
        for file, path in ((pycurl.CAINFO, pycurl.CAPATH), (pycurl.PROXY_CAINFO, pycurl.PROXY_CAPATH)):
            made.setopt(file, str(certificate))
            made.setopt(path, str(folder))
        return made

    handle = pycurl.Curl
    monkeypatch.setattr(pycurl, "Curl", built)
    server = start_server(says("200 OK"), context=context)
    url, proxy = (server.url, None) if way == "direct" else ("http://platform.invalid", server.url)
    answer = CurlTransport(Endpoint(url, proxy=proxy, ca_bundle=str(bundle))).send(REQUEST)
    by_folder = CurlTransport(Endpoint(url, proxy=proxy, ca_bundle=str(folder))).send(REQUEST)

    assert (cause_of(answer), cause_of(by_folder)) == (Loss.TLS_REFUSED, 200)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "kind", ["requests_transport.RequestsTransport", "curl_transport.CurlTransport"], ids=["requests", "curl"]
)
def test_tls_keys_are_not_logged(
    start_server: StartServer, context: ssl.SSLContext, certificate: Path, tmp_path: Path, kind: str
) -> None:
    """TLS keys are not logged, even if SSLKEYLOGFILE is set."""
    server = start_server(says("200 OK"), context=context)
    module, _, name = kind.partition(".")
    program = f"""
from pipeline.write.transport.{module} import {name}
from pipeline.write.transport.network import Endpoint
from pipeline.model import SignedRequest
print({name}(Endpoint({server.url!r}, ca_bundle={str(certificate)!r})).send(SignedRequest("POST", "/", {{}}, b"x")))
"""
    output = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "SSLKEYLOGFILE": str(tmp_path / "keys")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert output == "Reply(status=200)\n"
    assert list(tmp_path.iterdir()) == []


def test_an_untrusted_server(start_server: StartServer, make_transport: MakeTransport, context: ssl.SSLContext) -> None:
    """Nothing is sent to a server whose certificate does not verify."""
    server = start_server(context=context)

    assert cause_of(make_transport(server.url).send(REQUEST)) is Loss.TLS_REFUSED
    assert server.requests == []


def test_a_tunnel_through_a_proxy(
    start_server: StartServer, make_transport: MakeTransport, context: ssl.SSLContext, certificate: Path
) -> None:
    """Through a proxy the platform's own certificate is verified, and the proxy's answer is skipped."""
    seen: list[bytes] = []
    proxy = start_server(tunnels(context, says("200 OK", b"{}"), seen=seen))
    answer = make_transport("https://127.0.0.1:9", proxy=proxy.url, ca_bundle=str(certificate)).send(REQUEST)

    assert answer == Reply(200, {"content-length": "2"}, b"{}")
    assert seen[0].startswith(b"POST /v3/sync?a=%2Fb&c=%E5%A5%BD HTTP/1.1\r\n")


def test_a_tunnel_to_an_untrusted_server(
    start_server: StartServer, make_transport: MakeTransport, context: ssl.SSLContext
) -> None:
    """Nothing is sent if the certificate at the end of the tunnel does not verify."""
    seen: list[bytes] = []
    proxy = start_server(tunnels(context, says("200 OK"), seen=seen))

    assert cause_of(make_transport("https://127.0.0.1:9", proxy=proxy.url).send(REQUEST)) is Loss.TLS_REFUSED
    assert b"".join(seen) == b""


def test_a_failed_handshake(start_server: StartServer, make_transport: MakeTransport) -> None:
    """If the TLS handshake fails, nothing was sent."""
    server = start_server(greets=sends(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    url = server.url.replace("http:", "https:")

    assert cause_of(make_transport(url).send(REQUEST)) is Loss.NOT_CONNECTED


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x17\x03\x03\x00\x20" + bytes(32), id="a-record-that-does-not-decrypt"),
        pytest.param(b"HTTP/1.1 502 Bad Gateway\r\n\r\n", id="plain-text"),
        pytest.param(b"\x15\x03\x03\x00\x02\x02\x28", id="an-alert"),
    ],
)
def test_tls_that_breaks_after_the_request(
    start_server: StartServer, make_transport: MakeTransport, context: ssl.SSLContext, certificate: Path, data: bytes
) -> None:
    """A TLS error after the handshake proves nothing: the request may have been applied."""
    server = start_server(breaks_tls(data), context=context)

    assert cause_of(make_transport(server.url, ca_bundle=str(certificate)).send(REQUEST)) is Loss.CONNECTION_LOST
    assert len(server.requests) == 1


@pytest.fixture(params=["plain", "tls", "through-a-proxy"])
def way(
    request: pytest.FixtureRequest,
    start_server: StartServer,
    make_transport: MakeTransport,
    context: ssl.SSLContext,
    certificate: Path,
) -> tuple[Loopback, Network, list[bytes]]:
    """A server, a transport that reaches it (plain, TLS, through a proxy), and the requests that the server saw."""
    if request.param == "through-a-proxy":
        seen: list[bytes] = []
        proxy = start_server(*[tunnels(context, says("200 OK"), seen=seen)] * 2)
        return proxy, make_transport("https://127.0.0.1:9", proxy=proxy.url, ca_bundle=str(certificate)), seen
    server = start_server(*[says("200 OK")] * 2, context=context if request.param == "tls" else None)
    return server, make_transport(server.url, ca_bundle=str(certificate)), server.requests


def test_a_request_departs_once_its_connection_is_open(way: tuple[Loopback, Network, list[bytes]]) -> None:
    """`depart` is called once: after TCP, CONNECT and TLS, and before the first byte."""
    server, transport, seen = way
    departures: list[tuple[int, int]] = []

    def depart() -> None:
        # Bytes that had left would have arrived by then.
        threading.Event().wait(0.02)
        departures.append((server.connections, len(b"".join(seen))))

    assert cause_of(transport.send(REQUEST, depart)) == 200
    assert departures == [(1, 0)]
    assert len(seen) == 1


def test_each_request_departs(start_server: StartServer, make_transport: MakeTransport) -> None:
    """`depart` is called before each request, over a new connection and over a kept one."""
    server = start_server(*[says("200 OK")] * 3)
    transport, departures = make_transport(server.url), []
    for _ in range(3):
        transport.send(REQUEST, lambda: departures.append(len(server.requests)))

    assert (departures, server.connections) == ([0, 1, 2], 1)


def test_an_exception_of_depart_is_raised(way: tuple[Loopback, Network, list[bytes]]) -> None:
    """An exception of `depart` is raised unchanged, nothing is sent, and the transport stays usable."""
    _, transport, seen = way

    def depart() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        transport.send(REQUEST, depart)
    assert b"".join(seen) == b""
    transport.send(REQUEST)


def test_a_request_that_departs_too_late_is_not_sent(start_server: StartServer, make_transport: MakeTransport) -> None:
    """If the permit comes after the timeout, nothing is sent, not even to the backup host."""

    def wait() -> None:
        threading.Event().wait(0.25)

    server, backup = start_server(says("200 OK")), start_server(says("200 OK"))
    answer = make_transport(server.url, backup_url=backup.url, timeout_seconds=0.2).send(REQUEST, wait)

    assert answer == Lost(Loss.NOT_CONNECTED, f"no permit to send to 127.0.0.1:{server.port} within 0.2 s")
    assert (server.requests, backup.connections) == ([], 0)
