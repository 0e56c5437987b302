"""What the system tells of how requests travelled."""

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

pytestmark = pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="this system does not say")


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serving(Loopback([says("200 OK", b"{}")] * 3)) as started:
        yield started


@pytest.fixture(params=[RequestsTransport, CurlTransport], ids=["requests", "curl"])
def reaches(request: pytest.FixtureRequest) -> Callable[[Endpoint], Network]:
    """Each transport in turn."""
    made: Callable[[Endpoint], Network] = request.param
    return made


def round_trips(transport: Network, times: int) -> list[RoundTrip]:
    answers = [transport.send(REQUEST) for _ in range(times)]
    return [answer.round_trip for answer in answers if isinstance(answer, Reply)]


def test_a_reply_says_when_its_request_had_left(server: Loopback, reaches: Callable[[Endpoint], Network]) -> None:
    """A request has left after it was given to the transport, and before its answer is here."""
    before = time.monotonic()
    (round_trip,) = round_trips(reaches(Endpoint(server.url)), 1)

    assert round_trip.left_at is not None
    assert before < round_trip.left_at < time.monotonic()
    assert 0.0 < round_trip.shortest < 1.0


def test_a_handshake_is_told_once_for_each_connection(server: Loopback, reaches: Callable[[Endpoint], Network]) -> None:
    """The first request over a connection tells how long its handshake took, those that follow tell nothing of it."""
    first, *others = round_trips(reaches(Endpoint(server.url)), 3)

    assert (server.connections, [round_trip.handshake for round_trip in others]) == (1, [0.0, 0.0])
    assert 0.0 < first.handshake < 1.0


def test_what_is_measured_over_a_proxy_ends_there(server: Loopback, reaches: Callable[[Endpoint], Network]) -> None:
    """Through a proxy nothing is known of how requests reach the platform, but that it is no nearer than the proxy."""
    (round_trip,) = round_trips(reaches(Endpoint("http://127.0.0.1:9", proxy=server.url)), 1)

    assert (round_trip.left_at, round_trip.handshake) == (None, 0.0)
    assert 0.0 < round_trip.shortest < 1.0


def test_what_was_sent_again_left_at_no_known_time() -> None:
    """A request of which a packet was sent again may have arrived long after it first left; the next one is known."""
    meter = Meter(Measured(0.02, 0.03, 0))
    told = []
    for left_at, resent in ((5.0, 0), (6.0, 1), (7.0, 1)):
        meter.left(left_at)
        told.append(meter.round_trip(Measured(0.02, 0.05, resent)))

    assert told == [RoundTrip(5.0, 0.02, 0.03), RoundTrip(None, 0.02), RoundTrip(7.0, 0.02)]


def test_a_handshake_that_was_repeated_is_not_told() -> None:
    """A connection whose first packet was sent again says nothing of how long one takes."""
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
def test_nothing_is_told_of_what_is_no_tcp_connection(connection: socket.socket | None) -> None:
    """Where the system does not measure nothing is known."""
    meter = Meter(measured(connection))
    meter.left(5.0)

    assert meter.round_trip(measured(connection)) == RoundTrip()


def test_a_connection_that_measured_nothing_yet_says_so() -> None:
    """A socket that is not connected has no shortest round trip."""
    with closing(socket.socket()) as connection:
        assert measured(connection) == Measured(0.0, 0.0, 0)
