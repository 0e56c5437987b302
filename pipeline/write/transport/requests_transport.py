"""Transport with `requests`: its adapter makes the connections. Work common to all requests is done once."""

import http.client
import re
import socket
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Retry, Timeout
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as UrllibTimeout
from urllib3.response import BaseHTTPResponse
from urllib3.util.ssl_ import create_urllib3_context

from pipeline.language import t
from pipeline.model import Loss, Lost, Reply, SignedRequest
from pipeline.write.transport.connections import is_fresh, prepare, round_trip_of
from pipeline.write.transport.failure import Failure, by_errno, by_verify_code, failure_of, route_to
from pipeline.write.transport.network import MOST_BYTES, TOO_LONG, Departure, Endpoint, Network, loss_of

_NEVER_AGAIN: Final = Retry(total=False, redirect=False)
# The standard library's message if a proxy answers CONNECT with another status than 200.
_TUNNEL_REFUSED: Final = re.compile(r"Tunnel connection failed: (\d{3})")
# The first match counts.
_FAILURES: Final = (
    (socket.gaierror, Failure.NAME_NOT_FOUND),
    (http.client.RemoteDisconnected, Failure.RESET),
    (ssl.SSLEOFError, Failure.RESET),
    (ssl.SSLError, Failure.TLS_HANDSHAKE),
    (TimeoutError, Failure.LATE_CONNECTION),
    (UrllibTimeout, Failure.LATE_CONNECTION),
    (http.client.HTTPException, Failure.NO_HTTP),
)


class RequestsTransport(Network):
    """Sends signed requests with `requests`. Thread-safe: each thread has its own connections."""

    def open_connection(self, base_url: str) -> "RequestsConnection":
        """Return a connection to a host, not used yet."""
        return RequestsConnection(self._endpoint, base_url)


class RequestsConnection:
    """
    One thread's connection to one host, with the adapter of `requests`.

    It bypasses the session's `send`, and most of the adapter's. They keep cookies, follow hooks, read the environment,
    and cost as much CPU as a signature.
    """

    def __init__(self, endpoint: Endpoint, base_url: str) -> None:
        self._endpoint = endpoint
        self._base_url = base_url
        self._route = route_to(base_url, endpoint.proxy, endpoint.timeout_seconds)
        self._timeout = Timeout(total=endpoint.timeout_seconds)
        self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
        self._pool: HTTPConnectionPool | None = None
        self._prefix = ""
        self._departure = Departure()

    def send(self, request: SignedRequest, depart: Callable[[], None], *, fresh: bool) -> Reply | Lost | None:
        """Send once and return the answer, within the endpoint's timeout; None if nothing was sent."""
        self._departure.reset(depart, time.monotonic() + self._endpoint.timeout_seconds, fresh=fresh)
        try:
            response = self._request(request)
        except (HTTPError, OSError) as exc:
            return None if self._departure.has_stray_bytes else self._lost(exc, is_answered=False)
        try:
            return self._read(response)
        except (HTTPError, OSError, ValueError, http.client.HTTPException) as exc:
            # The standard library raises ValueError for a chunk with a malformed length.
            return self._lost(exc, is_answered=True)
        finally:
            # No effect after a complete answer; otherwise do not wait for its rest.
            response.close()

    def close(self) -> None:
        """Close the connection."""
        self._adapter.close()

    def _request(self, request: SignedRequest) -> BaseHTTPResponse:
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
        """Let the adapter choose proxy, certificates and URL form, once instead of for each request."""
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url = "POST", f"{self._base_url}/"
        proxy, verify = self._endpoint.proxy, self._endpoint.ca_bundle or True
        proxies = {"http": proxy, "https": proxy} if proxy else {}
        pool = cast(
            "HTTPConnectionPool",
            self._adapter.get_connection_with_tls_context(prepared, verify, proxies=proxies),
        )
        self._adapter.cert_verify(pool, prepared.url, verify, None)  # type: ignore[no-untyped-call]
        _read_issuers_once(pool)
        self._prefix = self._adapter.request_url(prepared, proxies).removesuffix("/")
        prepare(pool, self._departure)
        self._pool = pool
        return pool

    def _read(self, response: BaseHTTPResponse) -> Reply | Lost:
        if response.status == HTTPStatus.SWITCHING_PROTOCOLS:
            return Lost(Loss.CUT_SHORT, t("the server switched to another protocol"))
        # Read before the body: after its last byte the connection goes back to the pool.
        round_trip, fresh = round_trip_of(response.connection), is_fresh(response.connection)
        # The signature covers the uncompressed body.
        body = response.read(MOST_BYTES + 1, decode_content=True)
        if len(body) > MOST_BYTES:
            return Lost(Loss.CUT_SHORT, t(TOO_LONG))
        headers = {name.lower(): value for name, value in response.headers.itermerged()}
        return Reply(response.status, headers, body, round_trip, is_fresh=fresh)

    def _lost(self, exc: BaseException, *, is_answered: bool) -> Lost:
        departure, chain = self._departure, _chain(exc)
        if departure.raised is not None:
            raise departure.raised
        loss = loss_of(
            has_left=departure.has_begun,
            is_answered=is_answered or any(isinstance(e, http.client.IncompleteRead) for e in chain),
            is_late=any(isinstance(e, TimeoutError | UrllibTimeout) for e in chain),
            is_distrusted=any(isinstance(e, ssl.SSLCertVerificationError) for e in chain),
        )
        refused = next(filter(None, map(_TUNNEL_REFUSED.match, map(str, chain))), None)
        if loss is Loss.NOT_CONNECTED and refused is not None:
            return Lost(loss, self._route.describe_refusal(int(refused[1])))
        failure = departure.failure or failure_of(loss) or _failure(chain, has_left=departure.has_begun)
        text = self._route.describe(failure, at_platform=departure.has_begun or departure.is_tunnelled)
        return Lost(loss, text if failure is not Failure.UNKNOWN else f"{text} ({type(chain[-1]).__name__})")


def _failure(chain: list[BaseException], *, has_left: bool) -> Failure:
    """Return the failure for these exceptions; the innermost one is the most specific."""
    for exc in reversed(chain):
        if isinstance(exc, ssl.SSLCertVerificationError):
            return by_verify_code(exc.verify_code)
        if isinstance(exc, ssl.SSLError) and has_left:
            return Failure.TLS_BROKEN
        known = next((failure for kind, failure in _FAILURES if isinstance(exc, kind)), None)
        if known is None and isinstance(exc, OSError):
            known = by_errno(exc.errno)
        if known is not None:
            return known
    return Failure.UNKNOWN


def _read_issuers_once(pool: HTTPConnectionPool) -> None:
    """Share the trusted issuers between the connections of a pool: reading a CA bundle costs more than a handshake."""
    # A TLS proxy is verified with the bundle that the pool names.
    if not isinstance(pool, HTTPSConnectionPool) or (pool.proxy is not None and pool.proxy.scheme == "https"):
        return
    context = create_urllib3_context()
    context.load_verify_locations(pool.ca_certs, pool.ca_cert_dir)
    pool.conn_kw["ssl_context"] = context
    pool.ca_certs = pool.ca_cert_dir = None


def _chain(exc: BaseException) -> list[BaseException]:
    """Return the exception and all exceptions that `requests` and `urllib3` wrapped in it."""
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
