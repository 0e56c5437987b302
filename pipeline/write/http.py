"""The network, by `requests`: its adapter makes the connections; what is the same for all requests is made once."""

import http.client
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, Retry, Timeout
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as UrllibTimeout
from urllib3.response import BaseHTTPResponse

from pipeline.model import Loss, Lost, Reply, SignedRequest
from pipeline.write.connections import prepare, trip_over
from pipeline.write.network import MOST_BYTES, Departure, Endpoint, Network, loss_of

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
        self._departure = Departure()

    def send(self, request: SignedRequest, depart: Callable[[], None]) -> Reply | Lost:
        """Send once and return what came back, within the endpoint's time."""
        self._departure.await_next(depart, time.monotonic() + self._endpoint.timeout_seconds)
        try:
            response = self._ask(request)
        except (HTTPError, OSError) as exc:
            return self._lost(exc, is_answered=False)
        try:
            return self._read(response)
        except (HTTPError, OSError, ValueError, http.client.HTTPException) as exc:
            # A chunk whose length is no length is no more than a ValueError to the standard library.
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
        prepare(pool, self._departure)
        self._pool = pool
        return pool

    def _read(self, response: BaseHTTPResponse) -> Reply | Lost:
        if response.status == HTTPStatus.SWITCHING_PROTOCOLS:
            return Lost(Loss.CUT_SHORT, "the connection speaks another protocol from here")
        # Asked before the body is read: with its last byte the connection goes back to the pool.
        trip = trip_over(response.connection)
        # The signature is over the body as it is before any compression.
        body = response.read(MOST_BYTES + 1, decode_content=True)
        if len(body) > MOST_BYTES:
            return Lost(Loss.CUT_SHORT, "the answer is longer than any of this API")
        headers = {name.lower(): value for name, value in response.headers.itermerged()}
        return Reply(response.status, headers, body, trip)

    def _lost(self, exc: BaseException, *, is_answered: bool) -> Lost:
        if self._departure.raised is not None:
            raise self._departure.raised
        chain = _chain(exc)
        loss = loss_of(
            has_left=self._departure.has_begun,
            is_answered=is_answered or any(isinstance(e, http.client.IncompleteRead) for e in chain),
            is_late=any(isinstance(e, TimeoutError | UrllibTimeout) for e in chain),
            is_distrusted=any(isinstance(e, ssl.SSLCertVerificationError) for e in chain),
        )
        return Lost(loss, type(chain[-1]).__name__)


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
