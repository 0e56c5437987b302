"""Signs that a worker is alive, for probes: a file's age, and HTTP answers. Both follow the ticks of its loop."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer

from pipeline.clock import Clock
from pipeline.errors import SettingsError
from pipeline.language import t

# Interval at which the file is touched, in seconds.
_TOUCH_SECONDS = 2.0
STALE_SECONDS = 120.0
"""A worker without a tick for so long is not alive. It may wait for the ledger's server for 60 s."""
# The longest pause of a probe within its request, in seconds.
_PATIENCE_SECONDS = 5.0
# How long the end of a worker may wait for the server of probes, in seconds.
_POLL_SECONDS = 0.1


class WorkerHealth:
    """
    Whether a worker's loop goes on. `path` is touched while it does; None: no file.

    It is alive from the start, and ready from its first tick on, until it did not tick for `STALE_SECONDS`. One thread
    ticks; any thread may ask.
    """

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._touch_at = 0.0
        self._ticked_at = clock.steady()
        self._has_ticked = False
        self._touch()

    def tick(self) -> None:
        """Note that the loop goes on. Raises SettingsError if the file can't be written."""
        self._ticked_at = self._clock.steady()
        self._has_ticked = True
        self._touch()

    @property
    def is_alive(self) -> bool:
        """Whether the loop goes on, or has just been started."""
        return self._clock.steady() - self._ticked_at <= STALE_SECONDS

    @property
    def is_ready(self) -> bool:
        """Whether the loop goes on: config and ledger could be opened."""
        return self._has_ticked and self.is_alive

    def _touch(self) -> None:
        if self._path is None or self._ticked_at < self._touch_at:
            return
        self._touch_at = self._ticked_at + _TOUCH_SECONDS
        try:
            self._path.touch()
        except OSError as exc:
            raise SettingsError(
                [t("--health-file {path} can't be written: {reason}", path=self._path, reason=exc.strerror or exc)]
            ) from exc


@contextmanager
def served(health: WorkerHealth, address: tuple[str, int] | None) -> Iterator[int | None]:
    """
    Answer probes at a host and port while the context lasts; yield the port. None: no probes.

    `GET /healthz` and `/livez` answer whether the worker is alive, `/readyz` whether it is ready: 200 or 503. Raises
    SettingsError if the port can't be used.
    """
    if address is None:
        yield None
        return
    try:
        server = _Server(address, health)
    except (OSError, OverflowError) as exc:
        name = f"{address[0]}:{address[1]}"
        reason = getattr(exc, "strerror", None) or exc
        raise SettingsError([t("--health-port {name} can't be used: {reason}", name=name, reason=reason)]) from exc
    with server:
        threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], health: WorkerHealth) -> None:
        self.health = health
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Probe)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a probe that went away."""


class _Probe(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE_SECONDS

    def do_GET(self) -> None:
        """Answer a probe."""
        health = self.server.health
        match self.path:
            case "/healthz" | "/livez":
                self._answer(HTTPStatus.OK if health.is_alive else HTTPStatus.SERVICE_UNAVAILABLE)
            case "/readyz":
                self._answer(HTTPStatus.OK if health.is_ready else HTTPStatus.SERVICE_UNAVAILABLE)
            case _:
                self._answer(HTTPStatus.NOT_FOUND)

    def _answer(self, status: HTTPStatus) -> None:
        body = b"ok\n" if status is HTTPStatus.OK else status.phrase.encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Return the name of the server, without a version."""
        return "backfill"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
        """Log nothing: probes come every few seconds."""
