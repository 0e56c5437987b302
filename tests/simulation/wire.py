"""
The program's own transports in a history: each answer reaches them over a real connection.

The simulated network decides when and how an exchange ends. The exchange is then repeated over a real connection in no
virtual time, and the program gets the result. So both transports must give the same history.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from greenlet import getcurrent, greenlet

from pipeline.model import Loss, Lost, Reply, SignedRequest
from pipeline.write.ports import at_once
from pipeline.write.transport.curl_transport import CurlTransport
from pipeline.write.transport.network import Endpoint, Network
from pipeline.write.transport.requests_transport import RequestsTransport
from tests.simulation.platform import Exchange, SimulatedTransport
from tests.write.loopback import Loopback, Phase, closes, deliver, follows, says, sends, serving

TRANSPORTS: dict[str, Callable[[Endpoint, Callable[[], float]], Network]] = {
    "requests": RequestsTransport,
    "curl": CurlTransport,
}


class Wire:
    """Repeats exchanges over a real connection."""

    def __init__(self, server: Loopback, open_network: Callable[[Endpoint, Callable[[], float]], Network]) -> None:
        self._server = server
        self._open_network = open_network
        self._now = 0.0
        with socket.create_server(("127.0.0.1", 0)) as unused:
            self._unused_url = f"http://127.0.0.1:{unused.getsockname()[1]}"

    def client(self, *, is_unreachable: bool = False) -> "_Client":
        """Return a client for one worker, without a connection yet."""
        url = self._unused_url if is_unreachable else self._server.url
        return _Client(self._open_network(Endpoint(url), lambda: self._now))

    def carry(self, client: "_Client", request: SignedRequest, exchange: Exchange, *, fresh: bool) -> Reply | Lost:
        """Send a request, let the server act as in the exchange, and return the transport's result."""
        server, ends = self._server, exchange.ends
        if exchange.noticed is not None:
            assert client.connection is not None
            deliver(client.connection, _act(exchange.noticed))
        own = says("200 OK", b"{}")
        server.acts[:] = [follows(_act(ends), own) if exchange.is_stray else _act(ends)]
        self._now = exchange.left_at
        answer = client.network.send(request, fresh=fresh)
        ((came, client.connection),) = zip(server.requests, server.came_over, strict=True)
        server.requests.clear()
        server.came_over.clear()
        _check(came, request)
        if isinstance(answer, Reply) and isinstance(ends, Reply):
            assert answer.is_fresh == ends.is_fresh
            # Durations are virtual.
            return replace(answer, round_trip=ends.round_trip)
        # The server closes instead of letting the client time out.
        is_late = isinstance(ends, Lost) and ends.cause is Loss.TIMEOUT
        is_lost = isinstance(answer, Lost) and answer.cause is Loss.CONNECTION_LOST
        return ends if is_late and is_lost else answer


@dataclass(slots=True)
class _Client:
    """The transport of one worker, and the server's end of its last connection."""

    network: Network
    connection: socket.socket | None = None


class WiredTransport:
    """A simulated network that ends in a real one."""

    def __init__(self, simulated: SimulatedTransport, wire: Wire) -> None:
        self._simulated = simulated
        self._wire = wire
        self._clients: dict[greenlet, _Client] = {}

    def send(
        self, request: SignedRequest, depart: Callable[[], None] = at_once, *, fresh: bool = False
    ) -> Reply | Lost:
        """Send once."""
        exchange, worker = self._simulated.exchange(request, depart, fresh=fresh), getcurrent()
        if exchange.ends == Lost(Loss.NOT_CONNECTED):
            self._clients.pop(worker, None)
            return self._wire.client(is_unreachable=True).network.send(request)
        if worker not in self._clients:
            self._clients[worker] = self._wire.client()
        return self._wire.carry(self._clients[worker], request, exchange, fresh=fresh)


@contextmanager
def wired(name: str) -> Iterator[Wire]:
    """Make a wire for one of the transports."""
    with serving(Loopback()) as server:
        yield Wire(server, TRANSPORTS[name])


def _act(ends: Reply | Lost) -> Phase:
    match ends:
        case Reply(status, headers, body):
            return says(f"{status} Said", body, *(f"{name}: {value}" for name, value in headers.items()))
        case Lost(Loss.CUT_SHORT):
            return sends(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
        case _:
            return closes


def _check(came: bytes, request: SignedRequest) -> None:
    """Assert that the bytes that came are the signed ones."""
    head, _, body = came.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert (first, body) == (f"{request.method} {request.target} HTTP/1.1", request.body)
    assert request.headers.items() <= headers.items()
