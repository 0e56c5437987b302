"""Transport with libcurl: the same contract as `requests_transport`, at a third of its CPU time."""

import os
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from pipeline.language import t
from pipeline.model import Loss, Lost, Reply, RoundTrip, SignedRequest
from pipeline.write.transport.failure import Failure, by_errno, by_verify_code, failure_of, route_to
from pipeline.write.transport.network import (
    MOST_BYTES,
    TOO_LONG,
    Departure,
    Endpoint,
    Network,
    keep_no_tls_keys,
    loss_of,
)
from pipeline.write.transport.round_trip import Measured, Meter, measured, partial_round_trip

# libcurl reads this environment variable once, when it is loaded.
keep_no_tls_keys()
import pycurl  # noqa: E402 - see above

# The newest names used here: an older pycurl or libcurl lacks them.
from pycurl import POSTTRANSFER_TIME_T, PREREQFUNCTION  # noqa: E402 - see above

# Headers that libcurl adds by default; without a value it omits them.
_OMITTED_HEADERS: Final = ("Accept:", "Content-Type:", "Expect:")
# The line that ends a head. If the connection ends within the head, libcurl passes on an incomplete line.
_END_OF_HEAD: Final = (b"\r\n", b"\n")
_DISTRUSTED: Final = (pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_ISSUER_ERROR)
_BROKEN: Final = (pycurl.E_RECV_ERROR, pycurl.E_SEND_ERROR)
_FAILURES: Final = {
    pycurl.E_COULDNT_RESOLVE_HOST: Failure.NAME_NOT_FOUND,
    pycurl.E_COULDNT_RESOLVE_PROXY: Failure.NAME_NOT_FOUND,
    pycurl.E_OPERATION_TIMEDOUT: Failure.LATE_CONNECTION,
    pycurl.E_GOT_NOTHING: Failure.RESET,
    # It would have repeated the request.
    pycurl.E_ABORTED_BY_CALLBACK: Failure.RESET,
    pycurl.E_UNSUPPORTED_PROTOCOL: Failure.NO_HTTP,
    pycurl.E_FTP_WEIRD_SERVER_REPLY: Failure.NO_HTTP,
}
_NAMES: Final = {
    getattr(pycurl, name): name.removeprefix("E_")
    for name in sorted(dir(pycurl))
    if name.startswith("E_") and not name.startswith("E_MULTI_")
}


class CurlTransport(Network):
    """Sends signed requests with libcurl. Thread-safe: each thread has its own handle and connections."""

    def open_connection(self, base_url: str) -> "CurlConnection":
        """Return a connection to a host, not used yet."""
        return CurlConnection(self._endpoint, base_url)


class CurlConnection:
    """One thread's connection to one host, with its own libcurl handle."""

    def __init__(self, endpoint: Endpoint, base_url: str) -> None:
        self._base_url = base_url
        self._route = route_to(base_url, endpoint.proxy, endpoint.timeout_seconds)
        self._timeout_seconds = endpoint.timeout_seconds
        self._meter: Meter | None = None
        self._exchange = _Exchange()
        self._curl = _handle(endpoint, self._exchange)

    def send(self, request: SignedRequest, depart: Callable[[], None], *, fresh: bool) -> Reply | Lost | None:
        """Send once and return the answer, within the endpoint's timeout; None if nothing was sent."""
        curl, exchange = self._curl, self._exchange
        exchange.begin(depart, time.monotonic() + self._timeout_seconds, fresh=fresh)
        curl.setopt(pycurl.FRESH_CONNECT, fresh)
        curl.setopt(pycurl.URL, self._base_url + request.target)
        curl.setopt(
            pycurl.HTTPHEADER, [*_OMITTED_HEADERS, *(f"{name}: {value}" for name, value in request.headers.items())]
        )
        if request.body:
            curl.setopt(pycurl.POSTFIELDS, request.body)
        else:
            curl.setopt(pycurl.HTTPGET, 1)
        curl.setopt(pycurl.CUSTOMREQUEST, request.method)
        try:
            curl.perform()
        except pycurl.error as exc:
            return None if exchange.departure.has_stray_bytes else self._lost(exc.args[0])
        exchange.descriptor = curl.getinfo(pycurl.LASTSOCKET)
        return exchange.answer(curl.getinfo(pycurl.RESPONSE_CODE), self._round_trip())

    def close(self) -> None:
        """Close the connection."""
        self._curl.close()

    def _lost(self, code: int) -> Lost:
        """Return how an exchange was lost, by libcurl's error code."""
        exchange, departure = self._exchange, self._exchange.departure
        loss = exchange.loss(code)
        if exchange.is_too_long:
            return Lost(loss, t(TOO_LONG))
        status = self._curl.getinfo(pycurl.HTTP_CONNECTCODE)
        if loss is Loss.NOT_CONNECTED and status and status // 100 != 2:
            return Lost(loss, self._route.describe_refusal(status))
        failure = departure.failure or failure_of(loss) or _failure(self._curl, code, has_left=departure.has_begun)
        text = self._route.describe(failure, at_platform=departure.has_begun or status != 0)
        return Lost(loss, text if failure is not Failure.UNKNOWN else f"{text} ({_NAMES.get(code, code)})")

    def _round_trip(self) -> RoundTrip:
        """Return the round trip of the last request. A measurement over a proxy ends at the proxy."""
        curl, ended_at = self._curl, time.monotonic()
        known = _measured_on(self._exchange.descriptor)
        if known is None or self._route.via is not None:
            return partial_round_trip(known)
        if self._meter is None or self._exchange.is_fresh:
            handshake = curl.getinfo(pycurl.CONNECT_TIME) - curl.getinfo(pycurl.NAMELOOKUP_TIME)
            # If a packet was sent again, it may have been the handshake.
            self._meter = Meter(Measured(known.shortest, handshake if known.resent == 0 else 0.0, 0))
        after_leaving = curl.getinfo(pycurl.TOTAL_TIME_T) - curl.getinfo(POSTTRANSFER_TIME_T)
        self._meter.left(ended_at - after_leaving / 1e6)
        return self._meter.round_trip(known)


class _Exchange:
    """One request and its answer, filled by libcurl's callbacks."""

    def __init__(self) -> None:
        self.head: list[bytes] = []
        # File descriptor of the connection with the last answer.
        self.descriptor = -1
        self.is_fresh = True
        self._body = bytearray()
        self.departure = Departure()

    @property
    def is_too_long(self) -> bool:
        """Whether the answer was longer than the limit, and was abandoned."""
        return len(self._body) > MOST_BYTES

    def begin(self, depart: Callable[[], None], until: float, *, fresh: bool) -> None:
        """
        Reset for the next exchange. `depart` is called before the request leaves, which must happen before `until`.
        """
        self.departure.reset(depart, until, fresh=fresh)
        self.is_fresh = False
        self.head.clear()
        self._body.clear()

    def on_open(self, _descriptor: int, _purpose: int) -> int:
        """Record that libcurl on_open a connection for this exchange."""
        self.is_fresh = True
        return int(pycurl.SOCKOPT_OK)

    def on_ready(self, *_route: object) -> int:
        """Record that the connection is open and the request on_ready now; refuse a second departure."""
        if self.departure.has_begun:
            # If a kept connection breaks before the answer, libcurl would repeat the request by itself.
            return int(pycurl.PREREQFUNC_ABORT)
        try:
            self.departure.begin(lambda: self.is_fresh or _is_quiet(self.descriptor))
        except BaseException:  # noqa: BLE001 - libcurl passes no exception on, so `loss` raises it later
            return int(pycurl.PREREQFUNC_ABORT)
        # The head so far is a proxy's answer to CONNECT.
        self.head.clear()
        return int(pycurl.PREREQFUNC_OK)

    def on_body(self, block: bytes) -> int | None:
        """Append a part of the body; abort the exchange if the body is too long."""
        self._body += block
        return 0 if self.is_too_long else None

    def answer(self, status: int, round_trip: RoundTrip) -> Reply | Lost:
        """Return the answer, which libcurl considers complete."""
        head = _last_head(self.head)
        if head is None:
            return Lost(Loss.CUT_SHORT, t("the answer ended within its head"))
        return Reply(status, _headers(head), bytes(self._body), round_trip, is_fresh=self.is_fresh)

    def loss(self, code: int) -> Loss:
        """Return how an exchange was lost, by libcurl's error code. Raise an exception that stopped its departure."""
        if self.departure.raised is not None:
            raise self.departure.raised
        return loss_of(
            has_left=self.departure.has_begun,
            is_answered=bool(self.head),
            is_late=code == pycurl.E_OPERATION_TIMEDOUT,
            is_distrusted=code in _DISTRUSTED,
        )


def _handle(endpoint: Endpoint, exchange: _Exchange) -> Any:
    curl = pycurl.Curl()
    # 0 means no limit to libcurl.
    milliseconds = max(1, int(endpoint.timeout_seconds * 1000))
    for option, value in (
        (pycurl.NOSIGNAL, 1),
        (pycurl.TIMEOUT_MS, milliseconds),
        (pycurl.CONNECTTIMEOUT_MS, milliseconds),
        (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
        (pycurl.FOLLOWLOCATION, 0),
        (pycurl.PATH_AS_IS, 1),
        # If not set, libcurl reads these two from the environment.
        (pycurl.PROXY, (endpoint.proxy or "").encode()),
        (pycurl.NOPROXY, ""),
        (pycurl.SSL_VERIFYPEER, 1),
        (pycurl.SSL_VERIFYHOST, 2),
        # The signature covers the uncompressed body; libcurl decompresses a compressed one.
        (pycurl.ACCEPT_ENCODING, "identity"),
        # Close the old connection when a new one is requested.
        (pycurl.MAXCONNECTS, 1),
        (pycurl.SOCKOPTFUNCTION, exchange.on_open),
        (PREREQFUNCTION, exchange.on_ready),
        # Called for each line of the head. A method of the list is faster than a Python function.
        (pycurl.HEADERFUNCTION, exchange.head.append),
        (pycurl.WRITEFUNCTION, exchange.on_body),
    ):
        curl.setopt(option, value)
    bundle = endpoint.ca_bundle or DEFAULT_CA_BUNDLE_PATH
    for file, folder in ((pycurl.CAINFO, pycurl.CAPATH), (pycurl.PROXY_CAINFO, pycurl.PROXY_CAPATH)):
        named, other = (folder, file) if Path(bundle).is_dir() else (file, folder)
        curl.setopt(named, os.fsencode(bundle))
        # Otherwise libcurl would also trust the authorities that it was built with.
        curl.unsetopt(other)
    return curl


def _failure(curl: Any, code: int, *, has_left: bool) -> Failure:
    """Return the failure for libcurl's error code."""
    if code in _DISTRUSTED:
        return _distrust(curl)
    known = _FAILURES.get(code) or by_errno(curl.getinfo(pycurl.OS_ERRNO))
    if known is not None:
        return known
    if code == pycurl.E_SSL_CONNECT_ERROR:
        return Failure.RESET if "unexpected eof" in curl.errstr() else Failure.TLS_HANDSHAKE
    if code in _BROKEN:
        return Failure.TLS_BROKEN if has_left else Failure.RESET
    return Failure.UNKNOWN


def _distrust(curl: Any) -> Failure:
    """
    Return why a certificate was refused. libcurl checks the host name by itself, and reports a mismatch only as text.
    """
    if "subject name" in curl.errstr():
        return Failure.TLS_WRONG_NAME
    return by_verify_code(curl.getinfo(pycurl.SSL_VERIFYRESULT) or curl.getinfo(pycurl.PROXY_SSL_VERIFYRESULT))


def _is_quiet(descriptor: int) -> bool:
    """Return whether a kept connection is open, and nothing came over it since its last answer."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return not poll.poll(0)


def _last_head(lines: list[bytes]) -> list[bytes] | None:
    """Return the answer's own head; None if incomplete. Interim heads may precede it, trailers may follow it."""
    head: list[bytes] = []
    is_complete = False
    for line in lines:
        if is_complete:
            if not line.startswith(b"HTTP/"):
                continue
            head.clear()
        head.append(line)
        is_complete = line in _END_OF_HEAD
    return head if is_complete else None


def _headers(head: list[bytes]) -> dict[str, str]:
    """Return the headers of a head; its first line is the status."""
    headers: dict[str, str] = {}
    for line in b"".join(head[1:]).decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _measured_on(descriptor: int) -> Measured | None:
    """Return the system's measurements of the connection with this descriptor of libcurl."""
    if descriptor < 0:
        return None
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=descriptor)
    try:
        return measured(connection)
    finally:
        # The descriptor belongs to libcurl, so do not close it.
        connection.detach()
