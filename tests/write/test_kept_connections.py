"""Kept connections: when they are reused, and what an answer over them proves."""

import socket
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.model import Loss, Lost, Reply, SignedRequest
from tests.write.conftest import MakeTransport, StartServer, unused_url
from tests.write.loopback import OnDemand, Phase, closes, follows, read_request, says, sends

REQUEST = SignedRequest("POST", "/", {"User-Agent": "tests"}, b"{}")
FIRST, SECOND, THIRD = (says("200 OK", body) for body in (b"first", b"second", b"third"))
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n"
STRAY = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\n\r\nstray"


def sent(data: bytes) -> Phase:
    """Send these bytes, and keep the connection."""
    return lambda connection: connection.sendall(data)


def result_of(answer: Reply | Lost) -> tuple[bytes, bool] | Loss:
    """Return the body of an answer and whether its connection was fresh; or the kind of loss."""
    return (answer.body, answer.is_fresh) if isinstance(answer, Reply) else answer.cause


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest, context: ssl.SSLContext) -> ssl.SSLContext | None:
    """With TLS and without."""
    return context if request.param == "tls" else None


def test_an_answer_says_whether_its_connection_was_fresh(
    start_server: StartServer, make_transport: MakeTransport, tls: ssl.SSLContext | None, certificate: Path
) -> None:
    """The first answer over a connection is marked fresh. A new connection can be requested."""
    server = start_server(FIRST, SECOND, THIRD, FIRST, context=tls)
    transport = make_transport(server.url, ca_bundle=str(certificate))
    answers = [transport.send(REQUEST, fresh=fresh) for fresh in (False, False, True, False)]

    assert [result_of(answer) for answer in answers] == [
        (b"first", True),
        (b"second", False),
        (b"third", True),
        (b"first", False),
    ]
    assert server.connections == 2


@pytest.mark.parametrize(
    "stray",
    [
        pytest.param(STRAY, id="whole"),
        pytest.param(STRAY[:20], id="in-its-head"),
        pytest.param(STRAY[:-2], id="in-its-body"),
        pytest.param(b"x" * 30_000, id="no-answer-at-all"),
        pytest.param(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", id="408"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="an-interim-answer"),
        pytest.param(b"\r\n", id="a-line"),
    ],
)
def test_bytes_behind_an_answer_end_its_connection(
    start_server: StartServer, make_transport: MakeTransport, stray: bytes
) -> None:
    """Bytes behind an answer in the same packet are not read as the next answer, which uses a new connection."""
    server = start_server(sent(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst" + stray), SECOND, THIRD)
    transport = make_transport(server.url)

    assert [result_of(transport.send(REQUEST)) for _ in range(3)] == [
        (b"first", True),
        (b"second", True),
        (b"third", False),
    ]
    assert server.connections == 2


@pytest.mark.parametrize(
    ("first", "stray"),
    [
        pytest.param(FIRST, sent(STRAY), id="an-answer"),
        pytest.param(sent(CHUNKED), sent(STRAY), id="an-answer-behind-chunks"),
        pytest.param(FIRST, sent(b"x"), id="a-byte"),
        pytest.param(FIRST, lambda connection: connection.shutdown(socket.SHUT_WR), id="its-end"),
    ],
)
def test_bytes_over_an_idle_connection_end_it(
    start_server: StartServer,
    make_transport: MakeTransport,
    tls: ssl.SSLContext | None,
    certificate: Path,
    first: Phase,
    stray: Phase,
) -> None:
    """A connection that got bytes, or its end, since its last answer is not reused."""
    on_demand = OnDemand(stray)
    server = start_server(follows(first, on_demand), SECOND, THIRD, context=tls)
    transport = make_transport(server.url, ca_bundle=str(certificate))
    answers = [transport.send(REQUEST)]
    on_demand.now()
    answers += [transport.send(REQUEST) for _ in range(2)]

    assert [result_of(answer) for answer in answers] == [(b"first", True), (b"second", True), (b"third", False)]
    assert server.connections == 2


def test_bytes_during_the_wait_for_a_permit_end_the_connection(
    start_server: StartServer, make_transport: MakeTransport, tls: ssl.SSLContext | None, certificate: Path
) -> None:
    """If the kept connection gets bytes while a request waits for its permit, the request uses a new connection."""
    on_demand, departures = OnDemand(sent(STRAY)), list[int]()
    server = start_server(follows(FIRST, on_demand), SECOND, context=tls)
    transport = make_transport(server.url, ca_bundle=str(certificate))

    def depart() -> None:
        departures.append(len(server.requests))
        on_demand.now()

    answers = [transport.send(REQUEST), transport.send(REQUEST, depart)]

    assert [result_of(answer) for answer in answers] == [(b"first", True), (b"second", True)]
    assert (departures, len(server.requests), server.connections) == ([1, 1], 2, 2)


def test_the_backup_host_replaces_a_kept_connection_with_stray_bytes(
    start_server: StartServer, make_transport: MakeTransport
) -> None:
    """If a kept connection is abandoned before the request left, and no new one opens, the backup host is used."""
    on_demand = OnDemand(sent(STRAY))
    main, backup = start_server(follows(FIRST, on_demand)), start_server(SECOND)
    transport = make_transport(main.url, backup_url=backup.url)
    transport.send(REQUEST)

    def depart() -> None:
        main.stop()
        on_demand.now()

    assert result_of(transport.send(REQUEST, depart)) == (b"second", True)


def test_a_stray_answer_in_flight_is_marked_as_kept(
    start_server: StartServer, make_transport: MakeTransport, tls: ssl.SSLContext | None, certificate: Path
) -> None:
    """A stray answer that precedes the request's own looks the same, but it is marked as over a kept connection."""
    server = start_server(FIRST, follows(sent(STRAY), SECOND), THIRD, context=tls)
    transport = make_transport(server.url, ca_bundle=str(certificate))

    assert [result_of(transport.send(REQUEST)) for _ in range(3)] == [
        (b"first", True),
        (b"stray", False),
        (b"third", True),
    ]


@pytest.mark.parametrize("status", ["400 Bad Request", "403 Forbidden", "408 Request Timeout", "429 Too Many", "500 X"])
def test_a_connection_is_not_kept_after_an_error(
    start_server: StartServer, make_transport: MakeTransport, status: str
) -> None:
    """An error may answer another request, so the next request uses a new connection."""
    server = start_server(FIRST, says(status, b"no"), THIRD)
    transport = make_transport(server.url)

    assert [result_of(transport.send(REQUEST)) for _ in range(3)] == [
        (b"first", True),
        (b"no", False),
        (b"third", True),
    ]


def test_connection_close_is_obeyed(start_server: StartServer, make_transport: MakeTransport) -> None:
    """After `Connection: close` the next request opens a connection."""
    server = start_server(says("200 OK", b"first", "Connection: close"), SECOND)
    transport = make_transport(server.url)

    assert [result_of(transport.send(REQUEST)) for _ in range(2)] == [(b"first", True), (b"second", True)]


def test_an_early_refusal_is_an_answer(start_server: StartServer, make_transport: MakeTransport) -> None:
    """An early refusal over a fresh connection belongs to this request, so it is an answer."""

    def refuses_at_once(connection: socket.socket) -> None:
        connection.recv(1, socket.MSG_PEEK)
        says("413 Content Too Large", b"too large")(connection)
        read_request(connection)

    server = start_server(greets=refuses_at_once)
    request = SignedRequest("POST", "/", {"User-Agent": "tests"}, b"x" * 30_000)

    assert result_of(make_transport(server.url).send(request)) == (b"too large", True)


def test_a_tunnel_is_kept_and_abandoned_like_a_connection(
    start_server: StartServer, make_transport: MakeTransport, context: ssl.SSLContext, certificate: Path
) -> None:
    """Stray bytes through a proxy also end the connection; the next request opens a new tunnel."""
    on_demand = OnDemand(sent(STRAY))
    acts = [FIRST, follows(SECOND, on_demand)], [THIRD]
    proxy = start_server(*[keeps_tunnel(context, answers) for answers in acts])
    transport = make_transport("https://127.0.0.1:9", proxy=proxy.url, ca_bundle=str(certificate))
    answers = [transport.send(REQUEST) for _ in range(2)]
    on_demand.now()
    answers.append(transport.send(REQUEST))

    assert [result_of(answer) for answer in answers] == [(b"first", True), (b"second", False), (b"third", True)]
    assert proxy.connections == 2


def keeps_tunnel(context: ssl.SSLContext, acts: Sequence[Phase]) -> Phase:
    """Act as a proxy with the server behind it, for several requests."""

    def granted(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as secured:
            for act in acts:
                read_request(secured)
                act(secured)

    return granted


def test_a_lost_answer_ends_its_connection(start_server: StartServer, make_transport: MakeTransport) -> None:
    """After a lost answer nothing is sent over its connection."""
    server = start_server(FIRST, closes, sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"), THIRD)
    transport = make_transport(server.url)

    assert [result_of(transport.send(REQUEST)) for _ in range(4)] == [
        (b"first", True),
        Loss.CONNECTION_LOST,
        Loss.CUT_SHORT,
        (b"third", True),
    ]


def test_each_thread_has_its_own_fresh_connection(start_server: StartServer, make_transport: MakeTransport) -> None:
    """A kept connection of one thread does not affect another thread."""
    server = start_server(FIRST, SECOND)
    transport = make_transport(server.url)
    transport.send(REQUEST)
    answers: list[Reply | Lost] = []
    thread = threading.Thread(target=lambda: answers.append(transport.send(REQUEST)))
    thread.start()
    thread.join()

    assert [result_of(answer) for answer in answers] == [(b"second", True)]


def test_a_fresh_connection_that_does_not_open(make_transport: MakeTransport) -> None:
    """If a requested fresh connection does not open, nothing is sent."""
    assert result_of(make_transport(unused_url()).send(REQUEST, fresh=True)) is Loss.NOT_CONNECTED
