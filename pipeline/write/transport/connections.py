"""
Connections of `urllib3` that tell when a request left and how it travelled, and wait for an answer no longer.

A kept connection is used again only where nothing came over it after its last answer.
"""

import http
import http.client
import io
import socket
import ssl
import time
from typing import Any

from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.response import BaseHTTPResponse

from pipeline.model import RoundTrip
from pipeline.write.transport.network import Departure
from pipeline.write.transport.round_trip import Meter, measured, unmetered


def prepare(pool: HTTPConnectionPool, departure: Departure) -> None:
    """Have a pool make connections that note departures, and measure trips where they lead to the platform itself."""
    made: Any = type("Connection", (_Connection, pool.ConnectionCls), {"departure": departure})
    pool.ConnectionCls = made


def _pending(wire: object) -> bool:
    """Return whether TLS has decrypted something that nobody has read yet."""
    return isinstance(wire, ssl.SSLSocket) and wire.pending() > 0


def is_fresh(connection: object) -> bool:
    """Return whether the request that is being answered is the first one over its connection."""
    return isinstance(connection, _Connection) and connection.requests == 1


def trip_over(connection: object) -> RoundTrip:
    """Return how the request travelled that is being answered over a connection of `urllib3`."""
    meter, wire = getattr(connection, "meter", None), getattr(connection, "sock", None)
    known = measured(wire)
    if isinstance(meter, Meter):
        return meter.round_trip(known)
    return unmetered(known)


class _Patient(io.RawIOBase):
    """Reads from a socket until its timeout, counted from now, is over; that each byte comes in time is not enough."""

    def __init__(self, wire: socket.socket, raw: io.RawIOBase) -> None:
        self._wire = wire
        self._raw = raw
        self._until = time.monotonic() + (wire.gettimeout() or 0.0)
        self.at_end = False
        self.is_read = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.is_read:
            # The buffer may still be looked at, but nothing is waited for.
            return None
        left = self._until - time.monotonic()
        if left <= 0.0:
            raise TimeoutError("the answer came too slowly")
        self._wire.settimeout(left)
        count = self._raw.readinto(buffer)
        self.at_end = count == 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer whose head has to come whole, and in time."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self._patient = _Patient(sock, self.fp.detach())
        self.fp = io.BufferedReader(self._patient)
        self.is_followed = False

    def _read_status(self) -> tuple[str, int, str]:
        # The standard library passes over 100 alone; the answer behind another would be taken for that to the next.
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc] # it is not told to type checkers
            if not http.HTTPStatus.PROCESSING <= status < http.HTTPStatus.OK:
                return version, status, reason
            http.client.parse_headers(self.fp)

    def begin(self) -> None:
        try:
            super().begin()
        except OSError as exc:
            # The status is a number from when the first line was read.
            if isinstance(self.status, int):
                raise http.client.IncompleteRead(b"") from exc
            raise
        # The standard library takes the end of a connection for the end of the headers.
        if self._patient.at_end:
            raise http.client.IncompleteRead(b"")

    def _close_conn(self) -> None:
        # Called at the end of the body. Bytes behind it would be lost with the buffer, unseen.
        self._patient.is_read = True
        self.is_followed = bool(self.fp.peek(1))
        super()._close_conn()  # type: ignore[misc] # it is not told to type checkers


class _Connection(HTTPConnection):
    """
    Notes when a request begins to leave, which is after a proxy's CONNECT and TLS, and when it has left.

    Head and body leave as one: the platform is woken once, and so are we.
    """

    departure: Departure
    meter: Meter | None = None
    requests = 0
    _is_ready = False
    _answer: _Answer | None = None
    _unsent: list[bytes]

    def _new_conn(self) -> socket.socket:
        wire = super()._new_conn()
        # What is measured on the way to a proxy ends there.
        self.meter = None if self.proxy else Meter(measured(wire))
        return wire

    @property
    def is_connected(self) -> bool:
        # Asked by the pool, which opens the connection anew where it is not.
        return not self.departure.wants_fresh and self._is_quiet()

    def _is_quiet(self) -> bool:
        """Return whether the connection stands, and nothing came over it since its last answer."""
        is_followed = self._answer is not None and self._answer.is_followed
        return super().is_connected and not is_followed and not _pending(self.sock)

    def connect(self) -> None:
        super().connect()
        self._is_ready = True
        self.requests = 0
        self._answer = None

    def _tunnel(self) -> None:
        super()._tunnel()
        self.departure.is_tunnelled = True

    def close(self) -> None:
        self._is_ready = False
        super().close()

    def request(self, *args: Any, **options: Any) -> None:
        self._unsent = []
        super().request(*args, **options)
        # Over a new TLS connection the server may have sent tickets by now, which are no answer.
        self.departure.begin(lambda: self.requests == 0 or self._is_quiet())
        self.requests += 1
        super().send(b"".join(self._unsent))

    def response_class(self, *args: Any, **options: Any) -> _Answer:  # type: ignore[override]
        """Return what reads the answer; called by the standard library as if it were a class."""
        self._answer = _Answer(*args, **options)
        return self._answer

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if self._is_ready:
            self._unsent.append(data)
        else:
            # To the proxy, for the connection itself.
            super().send(data)

    def getresponse(self) -> BaseHTTPResponse:  # type: ignore[override]
        # Whoever asks for the answer has sent all of the request.
        if self.meter is not None:
            self.meter.left(time.monotonic())
        return super().getresponse()
