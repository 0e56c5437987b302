"""A proxy before a server, which can lose the answer to a COMMIT."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_COMMIT = b"COMMIT\x00"
_BYTES = 1 << 16


class Proxy:
    """
    Passes bytes between clients and a server on this machine.

    After `lose_answer(call)` the next answer to a COMMIT is not passed on: `call` is called, and the connection ends.
    """

    def __init__(self, server_port: int, listening: socket.socket) -> None:
        self._server_port = server_port
        self._lock = threading.Lock()
        self._call: Callable[[], object] | None = None
        self._listening = listening
        self.port = int(listening.getsockname()[1])

    def lose_answer(self, call: Callable[[], object]) -> None:
        """Lose the answer to the next COMMIT."""
        with self._lock:
            self._call = call

    def serve(self) -> None:
        """Accept clients until the proxy is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def close(self) -> None:
        """Accept no further clients."""
        # Wakes `serve`, which `close` alone does not.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _connect(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._server_port)) as server:
            is_committing = threading.Event()
            back = threading.Thread(target=self._answer, args=(server, client, is_committing), daemon=True)
            back.start()
            while data := client.recv(_BYTES):
                if data.endswith(_COMMIT):
                    is_committing.set()
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
            back.join()

    def _answer(self, server: socket.socket, client: socket.socket, is_committing: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(_BYTES):
                if is_committing.is_set() and (call := self._taken()) is not None:
                    call()
                    break
                is_committing.clear()
                client.sendall(data)
        for end in (client, server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _taken(self) -> Callable[[], object] | None:
        with self._lock:
            call, self._call = self._call, None
            return call


@contextmanager
def proxied(server_port: int, listening: socket.socket | None = None) -> Iterator[Proxy]:
    """Run a proxy before a server; it listens on this socket, or on a free port."""
    proxy = Proxy(server_port, listening or socket.create_server(("127.0.0.1", 0)))
    serving = threading.Thread(target=proxy.serve, daemon=True)
    serving.start()
    try:
        yield proxy
    finally:
        proxy.close()
        serving.join()
