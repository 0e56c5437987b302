"""
The program's own transports within a history: each answer reaches it over a real connection, from a server in here.

When and how an exchange ends is for the simulated network to say. It is then done once more, for real, in no virtual
time: what the transport makes of it is what the program gets. So either transport has to come to the same history.
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
    """Carries one exchange after another; how each ends was said before."""

    def __init__(self, server: Loopback, open_network: Callable[[Endpoint, Callable[[], float]], Network]) -> None:
        self._server = server
        self._open_network = open_network
        self._now = 0.0
        with socket.create_server(("127.0.0.1", 0)) as unheard:
            self._nobody = f"http://127.0.0.1:{unheard.getsockname()[1]}"

    def way(self, *, leads_nowhere: bool = False) -> "_Way":
        """Return a way of one worker's own, with nothing kept yet."""
        url = self._nobody if leads_nowhere else self._server.url
        return _Way(self._open_network(Endpoint(url), lambda: self._now))

    def carry(self, way: "_Way", request: SignedRequest, exchange: Exchange, *, fresh: bool) -> Reply | Lost:
        """Send a request, have the exchange go like that, and return what the transport makes of it."""
        server, ends = self._server, exchange.ends
        if exchange.noticed is not None:
            assert way.connection is not None
            deliver(way.connection, _act(exchange.noticed))
        own = says("200 OK", b"{}")
        server.acts[:] = [follows(_act(ends), own) if exchange.is_stray else _act(ends)]
        self._now = exchange.left_at
        answer = way.network.send(request, fresh=fresh)
        ((came, way.connection),) = zip(server.requests, server.came_over, strict=True)
        server.requests.clear()
        server.came_over.clear()
        _check(came, request)
        if isinstance(answer, Reply) and isinstance(ends, Reply):
            assert answer.is_fresh == ends.is_fresh
            # How long it took is virtual.
            return replace(answer, round_trip=ends.round_trip)
        # Nobody waits for what never comes: the server ends the wait.
        is_late = isinstance(ends, Lost) and ends.cause is Loss.TIMEOUT
        is_lost = isinstance(answer, Lost) and answer.cause is Loss.CONNECTION_LOST
        return ends if is_late and is_lost else answer


@dataclass(slots=True)
class _Way:
    """The transport of one worker, and the server's end of the connection that it used last."""

    network: Network
    connection: socket.socket | None = None


class WiredTransport:
    """A simulated network at whose end there is a real one."""

    def __init__(self, simulated: SimulatedTransport, wire: Wire) -> None:
        self._simulated = simulated
        self._wire = wire
        self._ways: dict[greenlet, _Way] = {}

    def send(
        self, request: SignedRequest, depart: Callable[[], None] = at_once, *, fresh: bool = False
    ) -> Reply | Lost:
        """Send once."""
        exchange, worker = self._simulated.exchange(request, depart, fresh=fresh), getcurrent()
        if exchange.ends == Lost(Loss.NOT_CONNECTED):
            self._ways.pop(worker, None)
            return self._wire.way(leads_nowhere=True).network.send(request)
        if worker not in self._ways:
            self._ways[worker] = self._wire.way()
        return self._wire.carry(self._ways[worker], request, exchange, fresh=fresh)


@contextmanager
def wired(name: str) -> Iterator[Wire]:
    """Set up a wire for one of the transports."""
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
    """Make sure that what came is what was signed."""
    head, _, body = came.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert (first, body) == (f"{request.method} {request.target} HTTP/1.1", request.body)
    assert request.headers.items() <= headers.items()
