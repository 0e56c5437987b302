"""The network, by `requests`: its adapter makes the connections; what is the same for all requests is made once."""

import http.client
import io
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any, Final, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, Retry, Timeout
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as UrllibTimeout
from urllib3.response import BaseHTTPResponse

from pipeline.model import Loss, Lost, Reply, SignedRequest
from pipeline.write.network import MOST_BYTES, Endpoint, Network, loss_of
from pipeline.write.round_trip import round_trip

_NEVER_AGAIN: Final = Retry(total=False, redirect=False)


class RequestsTransport(Network):
    """Sends signed requests with `requests`. Thread-safe: each thread has connections of its own."""

    def open_line(self, base_url: str) -> "RequestsLine":
        """Return a line to a host, over which nothing was sent yet."""
        return RequestsLine(self._endpoint, base_url)


class RequestsLine:
    """
    One thread's way to one host, by the adapter that `requests` has for it.

    The session's own `send`, and most of the adapter's, are passed by: they keep cookies, follow hooks, look at the
    environment, and cost as much as a signature.
    """

    def __init__(self, endpoint: Endpoint, base_url: str) -> None:
        self._endpoint = endpoint
        self._base_url = base_url
        self._timeout = Timeout(total=endpoint.timeout_seconds)
        self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
        self._pool: HTTPConnectionPool | None = None
        self._prefix = ""
        self._departure = _Departure()
        self.shortest_trip = 0.0

    def send(self, request: SignedRequest) -> Reply | Lost:
        """Send once and return what came back, within the endpoint's time."""
        self._departure.has_begun = False
        try:
            response = self._ask(request)
        except (HTTPError, OSError) as exc:
            return self._lost(exc, is_answered=False)
        try:
            return self._read(response)
        except (HTTPError, OSError) as exc:
            return self._lost(exc, is_answered=True)
        finally:
            # Nothing where the answer was read to its end; else the rest of it is not waited for.
            response.close()

    def close(self) -> None:
        """Close the connection."""
        self._adapter.close()

    def _ask(self, request: SignedRequest) -> BaseHTTPResponse:
        pool = self._pool or self._open_pool()
        return pool.urlopen(
            request.method,
            self._prefix + request.target,
            request.body or None,
            request.headers,
            retries=_NEVER_AGAIN,
            redirect=False,
            assert_same_host=False,
            timeout=self._timeout,
            preload_content=False,
        )

    def _open_pool(self) -> HTTPConnectionPool:
        """Let the adapter choose proxy, certificates and form of address, as it does for each request otherwise."""
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url = "POST", f"{self._base_url}/"
        proxy, verify = self._endpoint.proxy, self._endpoint.ca_bundle or True
        proxies = {"http": proxy, "https": proxy} if proxy else {}
        pool = cast(
            "HTTPConnectionPool",
            self._adapter.get_connection_with_tls_context(prepared, verify, proxies=proxies),
        )
        self._adapter.cert_verify(pool, prepared.url, verify, None)  # type: ignore[no-untyped-call]
        self._prefix = self._adapter.request_url(prepared, proxies).removesuffix("/")
        made = type("Connection", (_Noting, pool.ConnectionCls), {"departure": self._departure})
        pool.ConnectionCls = cast("Any", made)
        self._pool = pool
        return pool

    def _read(self, response: BaseHTTPResponse) -> Reply | Lost:
        self.shortest_trip = round_trip(getattr(response.connection, "sock", None))
        # The signature is over the body as it is before any compression.
        body = response.read(MOST_BYTES + 1, decode_content=True)
        if len(body) > MOST_BYTES:
            return Lost(Loss.CUT_SHORT, "the answer is longer than any of this API")
        headers = {name.lower(): value for name, value in response.headers.itermerged()}
        return Reply(response.status, headers, body)

    def _lost(self, exc: BaseException, *, is_answered: bool) -> Lost:
        chain = _chain(exc)
        loss = loss_of(
            has_left=self._departure.has_begun,
            is_answered=is_answered or any(isinstance(e, http.client.IncompleteRead) for e in chain),
            is_late=any(isinstance(e, TimeoutError | UrllibTimeout) for e in chain),
            is_distrusted=any(isinstance(e, ssl.SSLCertVerificationError) for e in chain),
        )
        return Lost(loss, type(chain[-1]).__name__)


@dataclass(slots=True)
class _Departure:
    """Whether the first byte of the request under way may have left."""

    has_begun: bool = False


class _Patient(io.RawIOBase):
    """Reads from a socket for as long as its timeout at the start says; that each byte comes in time is not enough."""

    def __init__(self, connection: socket.socket, raw: io.RawIOBase) -> None:
        self._connection = connection
        self._raw = raw
        self._until = time.monotonic() + (connection.gettimeout() or 0.0)
        self.at_end = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0.0:
            raise TimeoutError("the answer came too slowly")
        self._connection.settimeout(left)
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


class _Noting(HTTPConnection):
    """A connection that notes when a request begins to leave; a proxy's CONNECT and TLS come before that."""

    departure: _Departure
    response_class = _Answer
    _is_ready = False

    def connect(self) -> None:
        super().connect()
        self._is_ready = True

    def close(self) -> None:
        self._is_ready = False
        super().close()

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.departure.has_begun = self.departure.has_begun or self._is_ready
        super().send(data)


def _chain(exc: BaseException) -> list[BaseException]:
    """Return the exception and all that `requests` and `urllib3` have wrapped in it."""
    seen: list[BaseException] = []
    todo: list[BaseException] = [exc]
    while todo:
        one = todo.pop()
        if one in seen:
            continue
        seen.append(one)
        inner = (getattr(one, "reason", None), *one.args, one.__cause__, one.__context__)
        todo.extend(e for e in inner if isinstance(e, BaseException))
    return seen
