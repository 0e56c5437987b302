"""An HTTP/1.1 server on loopback, as far as the platforms' clients need it."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable
from datetime import UTC
from email.utils import format_datetime
from http import HTTPStatus
from typing import cast

from pipeline.clock import Clock
from pipeline.simulator.http.messages import Answer, Call, Cut, Followed, Reply, Silence

# Limits of a request, in bytes; and the number of header lines.
_LONGEST_LINE = 64 * 1024
_MOST_HEADERS = 200
_LARGEST_BODY = 16 * 1024 * 1024


class HttpServer(socketserver.ThreadingTCPServer):
    """Listens on 127.0.0.1, one thread for each connection, and passes each request to `receive`."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, port: int, receive: Callable[[Call], Answer], clock: Clock) -> None:
        self.receive = receive
        self.clock = clock
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", port), _ConnectionHandler)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Start a thread for the connection; `close_connections` can end it."""
        with self._guard:
            self._open.add(cast("socket.socket", request))
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close a connection."""
        with self._guard:
            self._open.discard(cast("socket.socket", request))
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """Close every open connection, as a server that goes down does."""
        with self._guard:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _ConnectionHandler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    rbufsize = 64 * 1024

    def handle(self) -> None:
        """Answer requests one after another until either side closes."""
        # A client may disappear at any time.
        with contextlib.suppress(OSError):
            while self._answer_one():
                pass

    def _answer_one(self) -> bool:
        server = cast("HttpServer", self.server)
        line = self.rfile.readline(_LONGEST_LINE)
        # Read the clocks first, so that work on other requests does not delay the arrival time.
        steady, wall = server.clock.steady(), server.clock.now()
        parts = line.decode("latin-1").split()
        if len(parts) != 3:
            return bool(line) and self._send(Reply(400), keep=False)
        headers = self._headers()
        length = (headers or {}).get("content-length", "0")
        if headers is None or "transfer-encoding" in headers or not length.isdecimal():
            return self._send(Reply(400), keep=False)
        if int(length) > _LARGEST_BODY:
            return self._send(Reply(413), keep=False)
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            return False
        answer = server.receive(
            Call(method=parts[0], target=parts[1], headers=headers, body=body, wall=wall, steady=steady)
        )
        return self._send(answer, keep=parts[2] == "HTTP/1.1" and headers.get("connection", "").lower() != "close")

    def _headers(self) -> dict[str, str] | None:
        headers: dict[str, str] = {}
        for _ in range(_MOST_HEADERS):
            line = self.rfile.readline(_LONGEST_LINE).decode("latin-1").strip()
            if not line:
                return headers
            name, colon, value = line.partition(":")
            if not colon:
                return None
            headers[name.strip().lower()] = value.strip()
        return None

    def _send(self, answer: Answer, *, keep: bool) -> bool:
        clock = cast("HttpServer", self.server).clock
        date = format_datetime(clock.now().astimezone(UTC), usegmt=True)
        match answer:
            case Silence():
                return False
            case Cut(reply):
                self.wfile.write(_head(reply, date, keep=keep) + reply.body[: len(reply.body) // 2])
                return False
            case Followed(reply, stray, seconds):
                self.wfile.write(_head(reply, date, keep=True) + reply.body)
                clock.sleep(seconds)
                self.wfile.write(_head(stray, date, keep=True) + stray.body)
                return keep
            case Reply():
                self.wfile.write(_head(answer, date, keep=keep) + answer.body)
                return keep


def _head(reply: Reply, date: str, *, keep: bool) -> bytes:
    known = {status.value: status.phrase for status in HTTPStatus}
    lines = [f"HTTP/1.1 {reply.status} {known.get(reply.status, '')}"]
    lines.append(f"Date: {date}")
    lines += [f"{name}: {value}" for name, value in reply.headers]
    if reply.status != 204:
        lines.append(f"Content-Length: {len(reply.body)}")
    if not keep:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
