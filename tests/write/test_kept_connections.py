"""Kept connections: when one is used again, and what is known of an answer that comes over it."""

import socket
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.model import Loss, Lost, Reply, SignedRequest
from tests.write.conftest import Reaches, Starts, unused_url
from tests.write.loopback import Phase, Unasked, closes, follows, read_request, says, sends

REQUEST = SignedRequest("POST", "/", {"User-Agent": "tests"}, b"{}")
FIRST, SECOND, THIRD = (says("200 OK", body) for body in (b"first", b"second", b"third"))
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n"
STRAY = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\n\r\nstray"


def sent(data: bytes) -> Phase:
    """Send these bytes, and keep the connection."""
    return lambda connection: connection.sendall(data)


def told(answer: Reply | Lost) -> tuple[bytes, bool] | Loss:
    """Return the body of an answer and whether it came over a fresh connection; else why there is none."""
    return (answer.body, answer.is_fresh) if isinstance(answer, Reply) else answer.cause


@pytest.fixture(params=["plain", "tls"])
def speaks(request: pytest.FixtureRequest, context: ssl.SSLContext) -> ssl.SSLContext | None:
    """With TLS and without."""
    return context if request.param == "tls" else None


def test_an_answer_says_whether_its_connection_was_fresh(
    starts: Starts, reaches: Reaches, speaks: ssl.SSLContext | None, certificate: Path
) -> None:
    """The first request over a connection is known from those that follow; who asks for a new one gets it."""
    server = starts(FIRST, SECOND, THIRD, FIRST, context=speaks)
    transport = reaches(server.url, ca_bundle=str(certificate))
    answers = [transport.send(REQUEST, fresh=fresh) for fresh in (False, False, True, False)]

    assert [told(answer) for answer in answers] == [
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
def test_what_comes_along_with_an_answer_ends_its_connection(starts: Starts, reaches: Reaches, stray: bytes) -> None:
    """Bytes behind an answer, in the same packet, are not taken for the next one: that has a connection of its own."""
    server = starts(sent(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst" + stray), SECOND, THIRD)
    transport = reaches(server.url)

    assert [told(transport.send(REQUEST)) for _ in range(3)] == [(b"first", True), (b"second", True), (b"third", False)]
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
def test_what_comes_over_an_idle_connection_ends_it(
    starts: Starts, reaches: Reaches, speaks: ssl.SSLContext | None, certificate: Path, first: Phase, stray: Phase
) -> None:
    """A connection over which anything came since its last answer, be it its end, is not used again."""
    unasked = Unasked(stray)
    server = starts(follows(first, unasked), SECOND, THIRD, context=speaks)
    transport = reaches(server.url, ca_bundle=str(certificate))
    answers = [transport.send(REQUEST)]
    unasked.now()
    answers += [transport.send(REQUEST) for _ in range(2)]

    assert [told(answer) for answer in answers] == [(b"first", True), (b"second", True), (b"third", False)]
    assert server.connections == 2


def test_what_comes_while_a_request_waits_to_leave_ends_its_connection(
    starts: Starts, reaches: Reaches, speaks: ssl.SSLContext | None, certificate: Path
) -> None:
    """A request that waits for its permit leaves over a new connection where the kept one was spoilt meanwhile."""
    unasked, asked = Unasked(sent(STRAY)), list[int]()
    server = starts(follows(FIRST, unasked), SECOND, context=speaks)
    transport = reaches(server.url, ca_bundle=str(certificate))

    def depart() -> None:
        asked.append(len(server.requests))
        unasked.now()

    answers = [transport.send(REQUEST), transport.send(REQUEST, depart)]

    assert [told(answer) for answer in answers] == [(b"first", True), (b"second", True)]
    assert (asked, len(server.requests), server.connections) == ([1, 1], 2, 2)


def test_the_backup_host_is_there_for_a_request_whose_kept_connection_was_spoilt(
    starts: Starts, reaches: Reaches
) -> None:
    """Nothing has left where a kept connection was given up: if no new one comes about, the backup host is asked."""
    unasked = Unasked(sent(STRAY))
    main, backup = starts(follows(FIRST, unasked)), starts(SECOND)
    transport = reaches(main.url, backup_url=backup.url)
    transport.send(REQUEST)

    def depart() -> None:
        main.stop()
        unasked.now()

    assert told(transport.send(REQUEST, depart)) == (b"second", True)


def test_a_stray_answer_in_flight_is_told_by_its_connection(
    starts: Starts, reaches: Reaches, speaks: ssl.SSLContext | None, certificate: Path
) -> None:
    """An answer that overtakes the request's own can't be told from it, but for the connection, which was kept."""
    server = starts(FIRST, follows(sent(STRAY), SECOND), THIRD, context=speaks)
    transport = reaches(server.url, ca_bundle=str(certificate))

    assert [told(transport.send(REQUEST)) for _ in range(3)] == [(b"first", True), (b"stray", False), (b"third", True)]


@pytest.mark.parametrize("status", ["400 Bad Request", "403 Forbidden", "408 Request Timeout", "429 Too Many", "500 X"])
def test_a_connection_is_not_kept_after_an_error(starts: Starts, reaches: Reaches, status: str) -> None:
    """An error may be no answer to this request; what comes next is heard over a connection of its own."""
    server = starts(FIRST, says(status, b"no"), THIRD)
    transport = reaches(server.url)

    assert [told(transport.send(REQUEST)) for _ in range(3)] == [(b"first", True), (b"no", False), (b"third", True)]


def test_an_answer_that_says_it_is_the_last_is(starts: Starts, reaches: Reaches) -> None:
    """After Connection: close the next request opens a connection."""
    server = starts(says("200 OK", b"first", "Connection: close"), SECOND)
    transport = reaches(server.url)

    assert [told(transport.send(REQUEST)) for _ in range(2)] == [(b"first", True), (b"second", True)]


def test_a_server_that_refuses_before_it_has_read_all_is_heard(starts: Starts, reaches: Reaches) -> None:
    """An early refusal over a fresh connection can be about no other request: it is an answer like any other."""

    def refuses_at_once(connection: socket.socket) -> None:
        connection.recv(1, socket.MSG_PEEK)
        says("413 Content Too Large", b"too large")(connection)
        read_request(connection)

    server = starts(greets=refuses_at_once)
    request = SignedRequest("POST", "/", {"User-Agent": "tests"}, b"x" * 30_000)

    assert told(reaches(server.url).send(request)) == (b"too large", True)


def test_a_tunnel_is_kept_and_given_up_like_any_connection(
    starts: Starts, reaches: Reaches, context: ssl.SSLContext, certificate: Path
) -> None:
    """Through a proxy, too, what comes unasked ends the connection; a new tunnel is then asked for."""
    unasked = Unasked(sent(STRAY))
    acts = [FIRST, follows(SECOND, unasked)], [THIRD]
    proxy = starts(*[keeps_tunnel(context, answers) for answers in acts])
    transport = reaches("https://127.0.0.1:9", proxy=proxy.url, ca_bundle=str(certificate))
    answers = [transport.send(REQUEST) for _ in range(2)]
    unasked.now()
    answers.append(transport.send(REQUEST))

    assert [told(answer) for answer in answers] == [(b"first", True), (b"second", False), (b"third", True)]
    assert proxy.connections == 2


def keeps_tunnel(context: ssl.SSLContext, acts: Sequence[Phase]) -> Phase:
    """Be a proxy and the server behind it, for several requests."""

    def granted(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as secured:
            for act in acts:
                read_request(secured)
                act(secured)

    return granted


def test_a_lost_answer_ends_its_connection(starts: Starts, reaches: Reaches) -> None:
    """After an answer that broke off nothing is sent over its connection."""
    server = starts(FIRST, closes, sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"), THIRD)
    transport = reaches(server.url)

    assert [told(transport.send(REQUEST)) for _ in range(4)] == [
        (b"first", True),
        Loss.CONNECTION_LOST,
        Loss.CUT_SHORT,
        (b"third", True),
    ]


def test_each_thread_has_its_own_fresh_connection(starts: Starts, reaches: Reaches) -> None:
    """That one thread kept a connection makes none of another thread's fresh or stale."""
    server = starts(FIRST, SECOND)
    transport = reaches(server.url)
    transport.send(REQUEST)
    heard: list[Reply | Lost] = []
    thread = threading.Thread(target=lambda: heard.append(transport.send(REQUEST)))
    thread.start()
    thread.join()

    assert [told(answer) for answer in heard] == [(b"second", True)]


def test_where_nobody_listens_any_more_nothing_is_sent(reaches: Reaches) -> None:
    """A fresh connection that does not come about is no connection, whatever was kept before."""
    assert told(reaches(unused_url()).send(REQUEST, fresh=True)) is Loss.NOT_CONNECTED
