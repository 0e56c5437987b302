"""The network, by `requests`: one session a thread, certificates always verified, no redirect followed."""

import ssl
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

import requests
import urllib3
from requests.adapters import HTTPAdapter

from pipeline.model import Loss, Lost, Reply, SignedRequest
from pipeline.write.metered import METERED_POOLS, trip_over

# No answer of these APIs comes near this size; a longer one is not read to its end.
_MOST_BYTES = 1 << 20
_BLOCK = 1 << 16
# Servers close idle connections after a minute or more. One closed at the moment of sending looks like a lost
# answer, so a connection is given up before that.
_IDLE_SECONDS = 25.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the platform is, and how to get there. `backup_url` is tried where no connection comes about."""

    base_url: str
    backup_url: str | None = None
    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    timeout_seconds: float = 10.0


class RequestsTransport:
    """
    Sends signed requests. Thread-safe: each thread has connections of its own.

    Nothing of the environment is looked at here; proxy and CA bundle come with the endpoint.
    """

    def __init__(self, endpoint: Endpoint, steady: Callable[[], float] = time.monotonic) -> None:
        self._endpoint = endpoint
        self._steady = steady
        self._local = threading.local()
        self._proxies = {"http": endpoint.proxy, "https": endpoint.proxy} if endpoint.proxy else {}
        self._verify: bool | str = endpoint.ca_bundle or True

    def send(self, request: SignedRequest) -> Reply | Lost:
        """Send once and return what came back. A backup host is tried only where nothing was sent."""
        answer = self._send_to(self._endpoint.base_url, request)
        if isinstance(answer, Lost) and answer.cause is Loss.NOT_CONNECTED and self._endpoint.backup_url:
            return self._send_to(self._endpoint.backup_url, request)
        return answer

    def _send_to(self, base_url: str, request: SignedRequest) -> Reply | Lost:
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url, prepared.body = request.method, base_url + request.target, request.body
        prepared.headers = requests.structures.CaseInsensitiveDict(request.headers)
        prepared.headers["Content-Length"] = str(len(request.body))
        # The signature is over the body as it is before any compression.
        prepared.headers["Accept-Encoding"] = "identity"
        try:
            return self._exchange(prepared)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            return Lost(_loss(exc), type(_chain(exc)[-1]).__name__)

    def _exchange(self, prepared: requests.PreparedRequest) -> Reply | Lost:
        deadline = self._steady() + self._endpoint.timeout_seconds
        timeout = self._endpoint.timeout_seconds
        with self._adapter().send(
            prepared, stream=True, timeout=(timeout, timeout), verify=self._verify, proxies=self._proxies
        ) as response:
            # Asked before the body is read: with its last byte the connection goes back to the pool.
            trip = trip_over(getattr(response.raw, "connection", None))
            body = bytearray()
            # What has come, without waiting for a block to be full: the timeout is that of a single byte.
            while block := response.raw.read1(_BLOCK, decode_content=True):
                body += block
                if len(body) > _MOST_BYTES:
                    return Lost(Loss.CUT_SHORT, "the answer is longer than any of this API")
                if self._steady() > deadline:
                    return Lost(Loss.TIMEOUT, "the answer came too slowly")
            headers = {name.lower(): value for name, value in response.headers.items()}
            self._local.used_at = self._steady()
            return Reply(response.status_code, headers, bytes(body), trip)

    def _adapter(self) -> HTTPAdapter:
        """
        Return this thread's adapter, with connections that are fresh enough.

        The session's own `send` is passed by: it keeps cookies, follows hooks and looks at the environment.
        """
        now = self._steady()
        adapter: HTTPAdapter | None = getattr(self._local, "adapter", None)
        if adapter is not None and now - self._local.used_at > _IDLE_SECONDS:
            adapter.close()
            adapter = None
        if adapter is None:
            adapter = self._local.adapter = HTTPAdapter(pool_connections=2, pool_maxsize=1, max_retries=0)
            adapter.poolmanager.pool_classes_by_scheme = METERED_POOLS
            self._local.used_at = now
        return adapter


_NOT_CONNECTED = (
    requests.ConnectTimeout,
    requests.exceptions.ProxyError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.NameResolutionError,
    urllib3.exceptions.ConnectTimeoutError,
    ConnectionRefusedError,
)
_TIMEOUTS = (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError, TimeoutError)
_CUT_SHORT = (
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    urllib3.exceptions.IncompleteRead,
    urllib3.exceptions.InvalidChunkLength,
    urllib3.exceptions.DecodeError,
)


def _loss(exc: BaseException) -> Loss:
    """Say what is known of a request that got no answer; when in doubt it was sent."""
    chain = list(_chain(exc))
    if any(isinstance(e, ssl.SSLCertVerificationError) for e in chain):
        return Loss.TLS_REFUSED
    if any(isinstance(e, _NOT_CONNECTED) for e in chain):
        return Loss.NOT_CONNECTED
    if any(isinstance(e, _TIMEOUTS) for e in chain):
        return Loss.TIMEOUT
    if any(isinstance(e, _CUT_SHORT) for e in chain):
        return Loss.CUT_SHORT
    if any(isinstance(e, ssl.SSLError) and _is_of_the_handshake(e) for e in chain):
        return Loss.NOT_CONNECTED
    return Loss.CONNECTION_LOST


def _is_of_the_handshake(exc: ssl.SSLError) -> bool:
    # It comes before the first byte of a request. The error's own reason does not tell: that of a proxy which answers
    # in plain text is the same before and after.
    return any(frame.f_code.co_name == "do_handshake" for frame, _ in traceback.walk_tb(exc.__traceback__))


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
