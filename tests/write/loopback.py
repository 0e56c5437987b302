"""A local server whose answer to each request is planned by the test."""

import fcntl
import socket
import ssl
import struct
import termios
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

Phase = Callable[[socket.socket], None]


class HangsUp(Exception):
    """The server closes the connection."""


@dataclass
class Loopback:
    """
    A running server: its port, the requests it got, its connections, and the connection of each request.

    It performs one act for each request; an act that raises HangsUp closes the connection. `greets` acts on a new
    connection before anything is read from it.
    """

    acts: list[Phase] = field(default_factory=list)
    greets: Phase | None = None
    context: ssl.SSLContext | None = None
    requests: list[bytes] = field(default_factory=list)
    came_over: list[socket.socket] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    listening: socket.socket | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    @property
    def proxy_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Accept no more connections. Wakes the thread that waits for one."""
        if self.listening is not None:
            self.listening.shutdown(socket.SHUT_RDWR)
            self.listening.close()
            self.listening = None

    def serve(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection:
            try:
                if self.greets is not None:
                    self.greets(connection)
                if self.context is None:
                    self._answer(connection)
                else:
                    with self.context.wrap_socket(connection, server_side=True) as secured:
                        self._answer(secured)
            except (HangsUp, OSError):
                return

    def _answer(self, connection: socket.socket) -> None:
        while request := read_request(connection):
            self.came_over.append(connection)
            self.requests.append(request)
            self.acts.pop(0)(connection)


@contextmanager
def serving(server: Loopback) -> Iterator[Loopback]:
    """Run a server until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server.port, server.listening = listening.getsockname()[1], listening
        thread = threading.Thread(target=server.serve, args=(listening,), daemon=True)
        thread.start()
        yield server
        server.stop()
        thread.join()


def read_request(connection: socket.socket) -> bytes:
    """Return one complete request; empty if the other end closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        block = connection.recv(65536)
        if not block:
            return b""
        data += block
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def says(status: str, body: bytes = b"", *headers: str, length: int | None = None) -> Phase:
    """Answer, and keep the connection open."""
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers)
    return lambda connection: connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def follows(first: Phase, second: Phase) -> Phase:
    """Perform two acts in order."""

    def act(connection: socket.socket) -> None:
        first(connection)
        second(connection)

    return act


def sends(data: bytes) -> Phase:
    """Send these bytes, and close."""

    def act(connection: socket.socket) -> None:
        connection.sendall(data)
        raise HangsUp

    return act


def closes(_: socket.socket) -> None:
    """Close without an answer."""
    raise HangsUp


def resets(connection: socket.socket) -> None:
    """Reset the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise HangsUp


def resets_at_once(connection: socket.socket) -> None:
    """
    Reset the connection after its first byte.

    Python leaves a socket open that is reset before a TLS handshake begins.
    """
    connection.recv(1)
    resets(connection)


def is_silent(connection: socket.socket) -> None:
    """Send nothing until the other end closes."""
    connection.recv(1)
    raise HangsUp


def drips(pieces: Sequence[bytes], pause: Callable[[], None]) -> Phase:
    """Send piece by piece, with a pause after each."""

    def act(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            pause()

    return act


def tunnels(context: ssl.SSLContext, act: Phase, *, seen: list[bytes]) -> Phase:
    """Act as a proxy with the server behind it: grant CONNECT, start TLS, record the request and answer it."""

    def granted(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\nX-Proxy: 1\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as secured:
            seen.append(read_request(secured))
            act(secured)
        raise HangsUp

    return granted


def deliver(connection: socket.socket, act: Phase) -> None:
    """Perform an act on a connection; return once the other end's system has acknowledged all bytes."""
    act(connection)
    unacknowledged = bytearray(4)
    while fcntl.ioctl(connection, termios.TIOCOUTQ, unacknowledged) == 0 and any(unacknowledged):
        pass


class OnDemand:
    """An act on an idle connection, performed in the server's thread when the test calls `now`."""

    def __init__(self, act: Phase) -> None:
        self._act = act
        self._requested, self._done = threading.Event(), threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        self._requested.wait()
        deliver(connection, self._act)
        self._done.set()

    def now(self) -> None:
        """Perform the act; return once the other end's system has acknowledged it."""
        self._requested.set()
        self._done.wait()


def breaks_tls(data: bytes) -> Phase:
    """Send raw bytes over a TLS connection."""

    def act(connection: socket.socket) -> None:
        with socket.socket(fileno=connection.detach()) as raw:
            raw.sendall(data)
        raise HangsUp

    return act
