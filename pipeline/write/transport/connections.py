"""
Connections of `urllib3` that record departures and round trips, and bound the time for an answer.

A kept connection is reused only if nothing came over it after its last answer.
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
from pipeline.write.transport.round_trip import Meter, measured, partial_round_trip


def prepare(pool: HTTPConnectionPool, departure: Departure) -> None:
    """
    Make a pool open connections that record departures, and measure round trips if they lead to the platform itself.
    """
    made: Any = type("Connection", (_Connection, pool.ConnectionCls), {"departure": departure})
    pool.ConnectionCls = made


def _pending(sock: object) -> bool:
    """Return whether TLS has decrypted bytes that were not read yet."""
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0


def is_fresh(connection: object) -> bool:
    """Return whether the request in flight is the first one over its connection."""
    return isinstance(connection, _Connection) and connection.requests == 1


def round_trip_of(connection: object) -> RoundTrip:
    """Return the round trip of the request in flight over a connection of `urllib3`."""
    meter, sock = getattr(connection, "meter", None), getattr(connection, "sock", None)
    known = measured(sock)
    if isinstance(meter, Meter):
        return meter.round_trip(known)
    return partial_round_trip(known)


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until its timeout, counted from now, has passed in total."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw
        self._until = time.monotonic() + (sock.gettimeout() or 0.0)
        self.at_end = False
        self.is_complete = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.is_complete:
            # The buffer may still be read, but do not wait for more.
            return None
        left = self._until - time.monotonic()
        if left <= 0.0:
            raise TimeoutError("the answer came too slowly")
        self._sock.settimeout(left)
        count = self._raw.readinto(buffer)
        self.at_end = count == 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """A response whose head must arrive in full, and in time."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self._reader = _DeadlineReader(sock, self.fp.detach())
        self.fp = io.BufferedReader(self._reader)
        self.has_surplus_bytes = False

    def _read_status(self) -> tuple[str, int, str]:
        # The standard library skips status 100 only. The answer after another interim one would go to the next request.
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc] # it is unknown to type checkers
            if not http.HTTPStatus.PROCESSING <= status < http.HTTPStatus.OK:
                return version, status, reason
            http.client.parse_headers(self.fp)

    def begin(self) -> None:
        try:
            super().begin()
        except OSError as exc:
            # The status is a number once the first line was read.
            if isinstance(self.status, int):
                raise http.client.IncompleteRead(b"") from exc
            raise
        # The standard library treats the end of a connection as the end of the headers.
        if self._reader.at_end:
            raise http.client.IncompleteRead(b"")

    def _close_conn(self) -> None:
        # Called at the end of the body. Bytes after it would be lost with the buffer, unnoticed.
        self._reader.is_complete = True
        self.has_surplus_bytes = bool(self.fp.peek(1))
        super()._close_conn()  # type: ignore[misc] # it is unknown to type checkers


class _Connection(HTTPConnection):
    """
    Records when a request begins to leave (after CONNECT and TLS), and when it has left.

    Head and body leave in one write, so that both sides wake up once.
    """

    departure: Departure
    meter: Meter | None = None
    requests = 0
    _is_ready = False
    _response: _Response | None = None
    _unsent: list[bytes]

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        # A measurement over a proxy ends at the proxy.
        self.meter = None if self.proxy else Meter(measured(sock))
        return sock

    @property
    def is_connected(self) -> bool:
        # The pool reads this, and opens a new connection if it is false.
        return not self.departure.wants_fresh and self._is_quiet()

    def _is_quiet(self) -> bool:
        """Return whether the connection is open, and nothing came over it since its last answer."""
        has_surplus_bytes = self._response is not None and self._response.has_surplus_bytes
        return super().is_connected and not has_surplus_bytes and not _pending(self.sock)

    def connect(self) -> None:
        super().connect()
        self._is_ready = True
        self.requests = 0
        self._response = None

    def _tunnel(self) -> None:
        super()._tunnel()
        self.departure.is_tunnelled = True

    def close(self) -> None:
        self._is_ready = False
        super().close()

    def request(self, *args: Any, **options: Any) -> None:
        self._unsent = []
        super().request(*args, **options)
        # Over a new TLS connection the server may have sent session tickets, which are no answer.
        self.departure.begin(lambda: self.requests == 0 or self._is_quiet())
        self.requests += 1
        super().send(b"".join(self._unsent))

    def response_class(self, *args: Any, **options: Any) -> _Response:  # type: ignore[override]
        """Return the reader of the answer. The standard library calls this like a class."""
        self._response = _Response(*args, **options)
        return self._response

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if self._is_ready:
            self._unsent.append(data)
        else:
            # The CONNECT request to the proxy.
            super().send(data)

    def getresponse(self) -> BaseHTTPResponse:  # type: ignore[override]
        # The whole request was sent by now.
        if self.meter is not None:
            self.meter.left(time.monotonic())
        return super().getresponse()
