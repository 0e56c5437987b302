"""
The program's own transports within a history: each answer reaches it over a real connection, from a server in here.

When and how an exchange ends is for the simulated network to say. It is then done once more, for real, in no virtual
time: what the transport makes of it is what the program gets. So either transport has to come to the same history.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from pipeline.model import Loss, Lost, Reply, SignedRequest
from pipeline.write.curl import CurlTransport
from pipeline.write.http import RequestsTransport
from pipeline.write.network import Endpoint, Network
from pipeline.write.ports import Transport, at_once
from tests.write.loopback import Act, Loopback, closes, says, sends, serving

TRANSPORTS: dict[str, Callable[[Endpoint], Network]] = {"requests": RequestsTransport, "curl": CurlTransport}


class Wire:
    """Carries one exchange after another; how each ends was said before."""

    def __init__(self, server: Loopback, open_network: Callable[[Endpoint], Network], nobody: str) -> None:
        self._server = server
        self._network = open_network(Endpoint(server.url))
        self._nowhere = open_network(Endpoint(nobody))

    def carry(self, request: SignedRequest, ends: Reply | Lost) -> Reply | Lost:
        """Send a request, have the exchange end like that, and return what the transport makes of it."""
        if ends == Lost(Loss.NOT_CONNECTED):
            return self._nowhere.send(request)
        before = len(self._server.requests)
        self._server.acts[:] = [_act(ends)]
        answer = self._network.send(request)
        (came,) = self._server.requests[before:]
        self._server.requests.clear()
        _check(came, request)
        if isinstance(answer, Reply) and isinstance(ends, Reply):
            # How long it took is virtual.
            return replace(answer, trip=ends.trip)
        # Nobody waits for what never comes: the server ends the wait.
        is_late = ends == Lost(Loss.TIMEOUT) and isinstance(answer, Lost) and answer.cause is Loss.CONNECTION_LOST
        return ends if is_late else answer


class WiredTransport:
    """A simulated network at whose end there is a real one."""

    def __init__(self, simulated: Transport, wire: Wire) -> None:
        self._simulated = simulated
        self._wire = wire

    def send(self, request: SignedRequest, depart: Callable[[], None] = at_once) -> Reply | Lost:
        """Send once."""
        return self._wire.carry(request, self._simulated.send(request, depart))


@contextmanager
def wired(name: str) -> Iterator[Wire]:
    """Set up a wire for one of the transports."""
    with serving(Loopback()) as server, socket.create_server(("127.0.0.1", 0)) as unheard:
        port = unheard.getsockname()[1]
        unheard.close()
        yield Wire(server, TRANSPORTS[name], f"http://127.0.0.1:{port}")


def _act(ends: Reply | Lost) -> Act:
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
