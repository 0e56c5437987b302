"""Sends a web request to a receiver: no redirect, one retry, short time limits, nothing read from the environment."""

from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry, Timeout
from urllib3.exceptions import HTTPError, MaxRetryError

from pipeline.language import t
from pipeline.notify.channels.not_sent import NotSent
from pipeline.notify.channels.robots import WebRequest, fault_of
from pipeline.notify.channels.tls import tls_context
from pipeline.redact import visible
from pipeline.settings import WebReceiver

# Seconds until a connection is open, and between two packets of an answer.
_CONNECT_SECONDS, _READ_SECONDS = 3.0, 5.0
# A robot answers with a few bytes.
_MOST_BYTES = 10_000
_LONGEST_FAULT = 200
_ONE_RETRY = Retry(
    total=1, status_forcelist=(500, 502, 503, 504), allowed_methods=None, backoff_factor=0.5, raise_on_status=False
)


def send(receiver: WebReceiver, request: WebRequest) -> None:
    """Send a request. Raises NotSent if it did not arrive or was refused."""
    place = _place(receiver.url)
    try:
        with _pool(receiver) as pool:
            response = pool.request(
                "POST",
                request.url,
                body=request.body,
                headers={"Content-Type": "application/json; charset=utf-8"},
                timeout=Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
                retries=_ONE_RETRY,
                redirect=False,
                preload_content=False,
            )
            status, answer = response.status, _first_bytes(response)
    except HTTPError as exc:
        # The exception's text has the URL.
        cause = exc.reason if isinstance(exc, MaxRetryError) and exc.reason else exc
        raise NotSent(t("{place} can't be reached ({cause})", place=place, cause=type(cause).__name__)) from None
    if (fault := fault_of(receiver.type, status, answer)) is not None:
        raise NotSent(t("{place} refused it: {fault}", place=place, fault=visible(fault)[:_LONGEST_FAULT]))


def _pool(receiver: WebReceiver) -> PoolManager:
    context = tls_context(receiver.ca_bundle_file)
    return ProxyManager(receiver.proxy, ssl_context=context) if receiver.proxy else PoolManager(ssl_context=context)


def _first_bytes(response: BaseHTTPResponse) -> bytes:
    answer = response.read(_MOST_BYTES, decode_content=True)
    response.close()
    return answer


def _place(url: str) -> str:
    """Return host and port of a URL: all of it that is no secret."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
