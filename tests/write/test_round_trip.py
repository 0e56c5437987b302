"""Round trips: the system's measurements of connections."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from pipeline.model import Reply, RoundTrip, SignedRequest
from pipeline.write.transport.curl_transport import CurlTransport
from pipeline.write.transport.network import Endpoint, Network
from pipeline.write.transport.requests_transport import RequestsTransport
from pipeline.write.transport.round_trip import Measured, Meter, measured
from tests.write.loopback import Loopback, says, serving

REQUEST = SignedRequest("POST", "/", {}, b"{}")


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serving(Loopback([says("200 OK", b"{}")] * 3)) as started:
        yield started


@pytest.fixture(params=[RequestsTransport, CurlTransport], ids=["requests", "curl"])
def make_transport(request: pytest.FixtureRequest) -> Callable[[Endpoint], Network]:
    """Each transport in turn."""
    made: Callable[[Endpoint], Network] = request.param
    return made


def round_trips(transport: Network, times: int) -> list[RoundTrip]:
    answers = [transport.send(REQUEST) for _ in range(times)]
    return [answer.round_trip for answer in answers if isinstance(answer, Reply)]


def test_a_reply_has_the_time_its_request_left(server: Loopback, make_transport: Callable[[Endpoint], Network]) -> None:
    """A request leaves after the call of `send`, and before its answer arrives."""
    before = time.monotonic()
    (round_trip,) = round_trips(make_transport(Endpoint(server.url)), 1)

    assert round_trip.left_at is not None
    assert before < round_trip.left_at < time.monotonic()
    assert 0.0 < round_trip.shortest < 1.0


def test_a_handshake_is_reported_once_per_connection(
    server: Loopback, make_transport: Callable[[Endpoint], Network]
) -> None:
    """The first request over a connection reports its handshake; later requests do not."""
    first, *others = round_trips(make_transport(Endpoint(server.url)), 3)

    assert (server.connections, [round_trip.handshake for round_trip in others]) == (1, [0.0, 0.0])
    assert 0.0 < first.handshake < 1.0


def test_a_measurement_over_a_proxy_ends_there(server: Loopback, make_transport: Callable[[Endpoint], Network]) -> None:
    """Through a proxy, only the shortest round trip is known, as a lower bound."""
    (round_trip,) = round_trips(make_transport(Endpoint("http://127.0.0.1:9", proxy=server.url)), 1)

    assert (round_trip.left_at, round_trip.handshake) == (None, 0.0)
    assert 0.0 < round_trip.shortest < 1.0


def test_a_retransmitted_request_has_no_departure() -> None:
    """A retransmitted request may arrive late, so its departure is unknown. The next request has one."""
    meter = Meter(Measured(0.02, 0.03, 0))
    reported = []
    for left_at, resent in ((5.0, 0), (6.0, 1), (7.0, 1)):
        meter.left(left_at)
        reported.append(meter.round_trip(Measured(0.02, 0.05, resent)))

    assert reported == [RoundTrip(5.0, 0.02, 0.03), RoundTrip(None, 0.02), RoundTrip(7.0, 0.02)]


def test_a_retransmitted_handshake_is_not_reported() -> None:
    """A retransmitted first packet hides how long the handshake takes."""
    meter = Meter(Measured(0.02, 0.03, 1))
    meter.left(5.0)

    assert meter.round_trip(Measured(0.02, 0.03, 1)) == RoundTrip(5.0, 0.02)


@pytest.mark.parametrize(
    "connection",
    [
        pytest.param(None, id="none"),
        pytest.param(socket.socket(socket.AF_UNIX), id="no-tcp"),
        pytest.param(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), id="no-connection"),
    ],
)
def test_only_tcp_connections_are_measured(connection: socket.socket | None) -> None:
    """Without TCP the round trip is empty."""
    meter = Meter(measured(connection))
    meter.left(5.0)

    assert meter.round_trip(measured(connection)) == RoundTrip()


def test_an_unconnected_socket_has_no_round_trip() -> None:
    """A socket without a connection has no shortest round trip."""
    with closing(socket.socket()) as connection:
        assert measured(connection) == Measured(0.0, 0.0, 0)
