"""The network: what is sent, what comes back, and what is known where nothing does."""

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
from tests.write.conftest import Reaches, Starts, unused_url
from tests.write.loopback import Loopback, Phase, breaks_tls, closes, drips, is_silent, resets, says, sends, tunnels

REQUEST = SignedRequest(
    "POST", "/v3/sync?a=%2Fb&c=%E5%A5%BD", {"X-Nonce": "n", "User-Agent": "tests"}, b'{"key":"\xe5\xa5\xbd"}'
)


def cause_of(answer: Reply | Lost) -> Loss | int:
    return answer.cause if isinstance(answer, Lost) else answer.status


def test_what_was_signed_is_what_is_sent(starts: Starts, reaches: Reaches) -> None:
    """Method, path, query, headers and body reach the server byte for byte, and the answer comes back as it is."""
    server = starts(says("200 OK", b'{"a":1}', "Alipay-Trace-ID: trace", "X-Two: 1", "x-two: 2"))
    answer = reaches(server.url).send(REQUEST)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    first, *headers = head.decode().split("\r\n")

    assert answer == Reply(200, {"content-length": "7", "alipay-trace-id": "trace", "x-two": "1, 2"}, b'{"a":1}')
    assert (first, body) == ("POST /v3/sync?a=%2Fb&c=%E5%A5%BD HTTP/1.1", REQUEST.body)
    assert sorted(headers) == sorted(
        [f"Host: 127.0.0.1:{server.port}", "X-Nonce: n", "User-Agent: tests", "Content-Length: 13",
         "Accept-Encoding: identity"]
    )  # fmt: skip


def test_head_and_body_leave_as_one(starts: Starts, reaches: Reaches) -> None:
    """What the server hears first is the whole request, over a new connection as over a kept one."""
    first: list[bytes] = []

    def hears(connection: socket.socket) -> None:
        first.append(connection.recv(65536, socket.MSG_PEEK))

    def answers(connection: socket.socket) -> None:
        says("200 OK")(connection)
        hears(connection)

    server = starts(*[answers] * 29, says("200 OK"), greets=hears)
    transport = reaches(server.url)

    assert [cause_of(transport.send(REQUEST)) for _ in range(30)] == [200] * 30
    assert first == server.requests


def test_a_connection_is_used_again(starts: Starts, reaches: Reaches) -> None:
    """Requests of one thread go over one connection, also after an answer without a body."""
    server = starts(says("200 OK", b"{}"), says("204 No Content"), says("200 OK", b"{}"))
    transport = reaches(server.url)

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
def test_an_interim_answer_is_not_the_answer(starts: Starts, reaches: Reaches, interim: bytes) -> None:
    """What a server says before it answers is passed over, and the next request gets its own answer."""

    def says_more(connection: socket.socket) -> None:
        connection.sendall(interim)
        says("200 OK", b"first")(connection)

    server = starts(says_more, says("200 OK", b"second"))
    transport = reaches(server.url)

    assert [transport.send(REQUEST) for _ in range(2)] == [
        Reply(200, {"content-length": "5"}, b"first"),
        Reply(200, {"content-length": "6"}, b"second"),
    ]
    assert server.connections == 1


def test_an_idle_connection_is_not_trusted(starts: Starts, reaches: Reaches) -> None:
    """A connection that the server may have closed meanwhile is opened anew before anything is sent over it."""
    seconds = [0.0]
    server = starts(*[says("200 OK")] * 3)
    transport = reaches(server.url, seconds=seconds)
    for at in (0.0, 25.0, 51.0):
        seconds[0] = at
        transport.send(REQUEST)

    assert (len(server.requests), server.connections) == (3, 2)


def test_threads_do_not_share_connections(starts: Starts, reaches: Reaches) -> None:
    """Two threads that send at once each have a connection of their own."""
    together = threading.Barrier(2)
    server = starts(*[says("200 OK")] * 2, greets=lambda _: together.wait() and None)
    transport = reaches(server.url)
    threads = [threading.Thread(target=transport.send, args=(REQUEST,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert server.connections == 2


def test_nothing_is_kept_of_an_answer(starts: Starts, reaches: Reaches) -> None:
    """A cookie that a server sets is not sent back."""
    server = starts(says("200 OK", b"", "Set-Cookie: a=1"), says("200 OK"))
    transport = reaches(server.url)
    transport.send(REQUEST)
    transport.send(REQUEST)

    assert b"cookie" not in server.requests[1].lower()


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_is_not_followed(starts: Starts, reaches: Reaches, status: str) -> None:
    """A signed request goes where it was meant to go; that it should go elsewhere is an answer."""
    server = starts(says(status, b"", "Location: /elsewhere"))

    assert cause_of(reaches(server.url).send(REQUEST)) == int(status[:3])
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("act", "loss"),
    [
        pytest.param(closes, Loss.CONNECTION_LOST, id="closed-without-a-word"),
        pytest.param(resets, Loss.CONNECTION_LOST, id="reset"),
        pytest.param(sends(b"SSH-2.0-OpenSSH\r\n"), Loss.CONNECTION_LOST, id="no-http"),
        pytest.param(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"), Loss.CUT_SHORT, id="shorter-than-told"),
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
        pytest.param(sends(b"HTTP/1.1 200 OK\r\n\r\n{}"), 200, id="as-long-as-it-lasts"),
        pytest.param(says("200 OK", b"no gzip", "Content-Encoding: gzip"), Loss.CUT_SHORT, id="no-gzip"),
        pytest.param(says("200 OK", b"x" * ((1 << 20) + 1)), Loss.CUT_SHORT, id="longer-than-any-answer"),
    ],
)
def test_what_is_known_of_an_answer_that_did_not_come(
    starts: Starts, reaches: Reaches, act: Phase, loss: Loss | int
) -> None:
    """An answer that is not whole is lost, and the request may have been carried out."""
    server = starts(act)

    assert cause_of(reaches(server.url).send(REQUEST)) == loss
    assert len(server.requests) == 1


def test_a_connection_that_breaks_before_the_request_is_read_is_lost(starts: Starts, reaches: Reaches) -> None:
    """Whether the server read a request before it broke the connection can't be told."""

    def resets_at_once(connection: socket.socket) -> None:
        connection.recv(1)
        resets(connection)

    server = starts(greets=resets_at_once)

    assert cause_of(reaches(server.url).send(REQUEST)) is Loss.CONNECTION_LOST


def test_a_lost_answer_is_not_asked_for_again(starts: Starts, reaches: Reaches) -> None:
    """A request is sent once, whatever becomes of it."""
    server = starts(says("200 OK"), closes, says("200 OK"))
    transport = reaches(server.url)

    assert [cause_of(transport.send(REQUEST)) for _ in range(3)] == [200, Loss.CONNECTION_LOST, 200]
    assert len(server.requests) == 3


def test_a_question_without_a_body(starts: Starts, reaches: Reaches) -> None:
    """A GET carries no body and no word of one, also after a request that had one; and the next has its own again."""
    server = starts(*[says("200 OK")] * 3)
    transport = reaches(server.url)
    for request in (REQUEST, SignedRequest("GET", "/v3/certificates", {"User-Agent": "tests"}, b""), REQUEST):
        transport.send(request)
    posted, asked, posted_again = server.requests

    assert asked.partition(b" HTTP/")[0] == b"GET /v3/certificates"
    assert asked.endswith(b"\r\n\r\n")
    assert b"content-" not in asked.lower()
    assert posted_again == posted


def test_no_answer_in_time(starts: Starts, reaches: Reaches) -> None:
    """A server that says nothing is not waited for longer than told."""
    assert cause_of(reaches(starts(is_silent).url, timeout_seconds=0.03).send(REQUEST)) is Loss.TIMEOUT


def test_hardly_any_time(starts: Starts, reaches: Reaches) -> None:
    """However short the time is, it does end."""
    assert isinstance(reaches(starts(is_silent).url, timeout_seconds=0.0001).send(REQUEST), Lost)


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", *[b"."] * 5000], id="in-its-body"),
        pytest.param([b"HTTP/1.1 200 OK\r\nX-Long: ", *[b"."] * 5000], id="in-its-head"),
        pytest.param([b"HTTP/1.1 ", *[b"2"] * 5000], id="in-its-first-line"),
        pytest.param([b"HTTP/1.1 102 Processing\r\n\r\n"] * 5000, id="before-it"),
    ],
)
def test_an_answer_that_comes_too_slowly(starts: Starts, reaches: Reaches, pieces: list[bytes]) -> None:
    """An answer that comes byte by byte is given up when the time is up, although each byte comes in time."""
    dripped: list[float] = []

    def later() -> None:
        dripped.append(time.monotonic())
        threading.Event().wait(0.001)

    server = starts(drips(pieces, later))

    assert cause_of(reaches(server.url, timeout_seconds=0.1).send(REQUEST)) is Loss.TIMEOUT
    assert len(dripped) < 2500


def test_a_compressed_answer_is_read(starts: Starts, reaches: Reaches) -> None:
    """A server that compresses although it was asked not to is understood."""
    server = starts(says("200 OK", gzip.compress(b'{"a":1}'), "Content-Encoding: gzip"))
    answer = reaches(server.url).send(REQUEST)

    assert isinstance(answer, Reply)
    assert answer.body == b'{"a":1}'


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(b"0\r\n\r\n", id="none"),
        pytest.param(b"0\r\nX-Sum: 1\r\nX-Kind: 2\r\n\r\n", id="two"),
    ],
)
@pytest.mark.parametrize("interim", [b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"], ids=["soon", "later"])
def test_trailers_are_no_part_of_the_answer(starts: Starts, reaches: Reaches, interim: bytes, end: bytes) -> None:
    """Headers that come behind a chunked body are passed over: nothing is missing of the answer."""
    whole = interim + b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n" + end
    server = starts(lambda connection: connection.sendall(whole), says("200 OK"))
    transport = reaches(server.url)

    assert transport.send(REQUEST) == Reply(200, {"transfer-encoding": "chunked"}, b"{}")
    assert cause_of(transport.send(REQUEST)) == 200
    assert server.connections == 1


def test_nobody_listens(reaches: Reaches) -> None:
    """Where no connection comes about nothing was sent, and the address is told."""
    url = unused_url()

    assert reaches(url).send(REQUEST) == Lost(
        Loss.NOT_CONNECTED, f"connection refused by {url.removeprefix('http://')}"
    )


def test_a_name_that_does_not_resolve(reaches: Reaches) -> None:
    """A host without an address was not connected to."""
    answer = reaches("http://nowhere.invalid").send(REQUEST)

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
    starts: Starts, reaches: Reaches, act: Phase | None, cause: Loss | int, used: int
) -> None:
    """The same signed request goes to the backup host only where the main one was not reached."""
    backup = starts(says("200 OK"))
    main = unused_url() if act is None else starts(act).url
    transport = reaches(main, backup_url=backup.url)

    assert cause_of(transport.send(REQUEST)) == cause
    assert len(backup.requests) == used


def test_the_environment_is_not_looked_at(starts: Starts, reaches: Reaches, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy or CA bundle that only the environment names is not used."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, unused_url())
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, "nowhere.pem")

    assert cause_of(reaches(starts(says("200 OK")).url).send(REQUEST)) == 200


def test_a_proxy_is_used_where_it_is_named(starts: Starts, reaches: Reaches) -> None:
    """The account's proxy gets the request; one that can't be reached means that nothing was sent."""
    proxy, server = starts(says("200 OK")), starts()
    answer = reaches(server.url, proxy=proxy.url).send(REQUEST)
    without = reaches(server.url, proxy=unused_url()).send(REQUEST)

    assert cause_of(answer) == 200
    assert proxy.requests[0].startswith(f"POST {server.url}/v3/sync?a=%2Fb&c=%E5%A5%BD HTTP/1.1\r\n".encode())
    assert cause_of(without) is Loss.NOT_CONNECTED
    assert server.connections == 0


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(says("403 Forbidden", b"no"), id="forbidden"),
        pytest.param(says("407 Proxy Authentication Required"), id="who-are-you"),
        pytest.param(sends(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), id="nothing-behind-it"),
        pytest.param(closes, id="closed-without-a-word"),
        pytest.param(sends(b"HTTP/1.1 200 OK\r\n\r\n"), id="closed-once-granted"),
    ],
)
def test_a_proxy_that_does_not_let_through(starts: Starts, reaches: Reaches, act: Phase) -> None:
    """A proxy is asked for a way and told no more: where it gives none, nothing of the request was sent."""
    proxy = starts(act)
    answer = reaches("https://platform.invalid", proxy=proxy.url).send(REQUEST)

    assert cause_of(answer) is Loss.NOT_CONNECTED
    assert [request.split(b" HTTP/1.")[0] for request in proxy.requests] == [b"CONNECT platform.invalid:443"]


def test_a_bundle_in_any_folder(
    starts: Starts, reaches: Reaches, context: ssl.SSLContext, certificate: Path, tmp_path: Path
) -> None:
    """The path of a CA bundle may hold any letters."""
    bundle = tmp_path / "证书.pem"
    bundle.write_bytes(certificate.read_bytes())
    server = starts(says("200 OK"), context=context)

    assert cause_of(reaches(server.url, ca_bundle=str(bundle)).send(REQUEST)) == 200


def test_a_server_that_the_ca_bundle_vouches_for(
    starts: Starts, reaches: Reaches, context: ssl.SSLContext, certificate: Path
) -> None:
    """A certificate is checked against the account's CA bundle."""
    server = starts(says("200 OK"), context=context)

    assert cause_of(reaches(server.url, ca_bundle=str(certificate)).send(REQUEST)) == 200


@pytest.mark.parametrize("trusted", [pytest.param("folder", id="folder"), pytest.param("file", id="file")])
@pytest.mark.parametrize("way", ["direct", "proxy"])
def test_libcurl_trusts_no_more_than_the_ca_bundle(
    starts: Starts,
    context: ssl.SSLContext,
    certificate: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trusted: str,
    way: str,
) -> None:
    """Where the account names whom it trusts, a server or proxy that libcurl was built to trust is refused."""
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
    server = starts(says("200 OK"), context=context)
    url, proxy = (server.url, None) if way == "direct" else ("http://platform.invalid", server.url)
    answer = CurlTransport(Endpoint(url, proxy=proxy, ca_bundle=str(bundle))).send(REQUEST)
    by_folder = CurlTransport(Endpoint(url, proxy=proxy, ca_bundle=str(folder))).send(REQUEST)

    assert (cause_of(answer), cause_of(by_folder)) == (Loss.TLS_REFUSED, 200)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "kind", ["requests_transport.RequestsTransport", "curl_transport.CurlTransport"], ids=["requests", "curl"]
)
def test_keys_of_connections_are_not_written_down(
    starts: Starts, context: ssl.SSLContext, certificate: Path, tmp_path: Path, kind: str
) -> None:
    """Where the environment asks for the keys of TLS connections to be logged, none is: who has them reads it all."""
    server = starts(says("200 OK"), context=context)
    module, _, name = kind.partition(".")
    program = f"""
from pipeline.write.transport.{module} import {name}
from pipeline.write.transport.network import Endpoint
from pipeline.model import SignedRequest
print({name}(Endpoint({server.url!r}, ca_bundle={str(certificate)!r})).send(SignedRequest("POST", "/", {{}}, b"x")))
"""
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "SSLKEYLOGFILE": str(tmp_path / "keys")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert said == "Reply(status=200)\n"
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_nobody_vouches_for(starts: Starts, reaches: Reaches, context: ssl.SSLContext) -> None:
    """To a server whose certificate does not verify nothing is sent."""
    server = starts(context=context)

    assert cause_of(reaches(server.url).send(REQUEST)) is Loss.TLS_REFUSED
    assert server.requests == []


def test_a_tunnel_through_a_proxy(starts: Starts, reaches: Reaches, context: ssl.SSLContext, certificate: Path) -> None:
    """Through a proxy the platform's own certificate is checked, and what the proxy says is no part of the answer."""
    seen: list[bytes] = []
    proxy = starts(tunnels(context, says("200 OK", b"{}"), seen=seen))
    answer = reaches("https://127.0.0.1:9", proxy=proxy.url, ca_bundle=str(certificate)).send(REQUEST)

    assert answer == Reply(200, {"content-length": "2"}, b"{}")
    assert seen[0].startswith(b"POST /v3/sync?a=%2Fb&c=%E5%A5%BD HTTP/1.1\r\n")


def test_a_tunnel_to_somebody_else(starts: Starts, reaches: Reaches, context: ssl.SSLContext) -> None:
    """Where another answers at the end of the tunnel nothing is sent."""
    seen: list[bytes] = []
    proxy = starts(tunnels(context, says("200 OK"), seen=seen))

    assert cause_of(reaches("https://127.0.0.1:9", proxy=proxy.url).send(REQUEST)) is Loss.TLS_REFUSED
    assert b"".join(seen) == b""


def test_a_handshake_that_fails(starts: Starts, reaches: Reaches) -> None:
    """Where TLS does not come about nothing was sent."""
    server = starts(greets=sends(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    url = server.url.replace("http:", "https:")

    assert cause_of(reaches(url).send(REQUEST)) is Loss.NOT_CONNECTED


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x17\x03\x03\x00\x20" + bytes(32), id="a-record-that-does-not-decrypt"),
        pytest.param(b"HTTP/1.1 502 Bad Gateway\r\n\r\n", id="plain-text"),
        pytest.param(b"\x15\x03\x03\x00\x02\x02\x28", id="an-alert"),
    ],
)
def test_tls_that_breaks_after_the_request(
    starts: Starts, reaches: Reaches, context: ssl.SSLContext, certificate: Path, data: bytes
) -> None:
    """A TLS error after the handshake proves nothing: the request may have been carried out."""
    server = starts(breaks_tls(data), context=context)

    assert cause_of(reaches(server.url, ca_bundle=str(certificate)).send(REQUEST)) is Loss.CONNECTION_LOST
    assert len(server.requests) == 1


@pytest.fixture(params=["plain", "tls", "through-a-proxy"])
def way(
    request: pytest.FixtureRequest, starts: Starts, reaches: Reaches, context: ssl.SSLContext, certificate: Path
) -> tuple[Loopback, Network, list[bytes]]:
    """A server, a transport that reaches it one way or another, and what of requests the server has seen."""
    if request.param == "through-a-proxy":
        seen: list[bytes] = []
        proxy = starts(*[tunnels(context, says("200 OK"), seen=seen)] * 2)
        return proxy, reaches("https://127.0.0.1:9", proxy=proxy.url, ca_bundle=str(certificate)), seen
    server = starts(*[says("200 OK")] * 2, context=context if request.param == "tls" else None)
    return server, reaches(server.url, ca_bundle=str(certificate)), server.requests


def test_a_request_departs_once_its_connection_stands(way: tuple[Loopback, Network, list[bytes]]) -> None:
    """Whoever may still hold a request back is asked once, after TCP, CONNECT and TLS, before its first byte leaves."""
    server, transport, seen = way
    asked: list[tuple[int, int]] = []

    def depart() -> None:
        # What had left would be there by then.
        threading.Event().wait(0.02)
        asked.append((server.connections, len(b"".join(seen))))

    assert cause_of(transport.send(REQUEST, depart)) == 200
    assert asked == [(1, 0)]
    assert len(seen) == 1


def test_a_request_over_a_kept_connection_is_asked_for_as_well(starts: Starts, reaches: Reaches) -> None:
    """Each request is asked for before it leaves, whether its connection is new or not."""
    server = starts(*[says("200 OK")] * 3)
    transport, asked = reaches(server.url), []
    for _ in range(3):
        transport.send(REQUEST, lambda: asked.append(len(server.requests)))

    assert (asked, server.connections) == ([0, 1, 2], 1)


def test_what_keeps_a_request_from_departing_is_raised(way: tuple[Loopback, Network, list[bytes]]) -> None:
    """A request that may not leave after all is not sent, the reason comes out as it is, and the transport goes on."""
    _, transport, seen = way

    def depart() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        transport.send(REQUEST, depart)
    assert b"".join(seen) == b""
    transport.send(REQUEST)


def test_a_request_whose_time_is_up_before_it_departs_is_not_sent(starts: Starts, reaches: Reaches) -> None:
    """Where the right to leave comes after the time is up nothing is sent, not even to the backup host."""

    def later() -> None:
        threading.Event().wait(0.25)

    server, backup = starts(says("200 OK")), starts(says("200 OK"))
    answer = reaches(server.url, backup_url=backup.url, timeout_seconds=0.2).send(REQUEST, later)

    assert answer == Lost(Loss.NOT_CONNECTED, f"no right to send to 127.0.0.1:{server.port} within 0.2 s")
    assert (server.requests, backup.connections) == ([], 0)
