"""The network, by libcurl: for those who send millions. The same promises as `http.py`, at a third of its cost."""

import os
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from requests.utils import DEFAULT_CA_BUNDLE_PATH

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
from pipeline.write.transport.round_trip import Measured, Meter, measured, unmetered

# libcurl looks at the environment for this once, when it is loaded.
keep_no_tls_keys()
import pycurl  # noqa: E402 - see above

# The newest of what is used here: an older pycurl or libcurl is told by its absence.
from pycurl import POSTTRANSFER_TIME_T, PREREQFUNCTION  # noqa: E402 - see above

# Headers that libcurl would add of its own accord; without a value it leaves them out.
_NOT_OURS: Final = ("Accept:", "Content-Type:", "Expect:")
# Where the connection ends within the head libcurl gives what there is of a line.
_END_OF_HEAD: Final = (b"\r\n", b"\n")
_DISTRUSTED: Final = (pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_ISSUER_ERROR)
_BROKEN: Final = (pycurl.E_RECV_ERROR, pycurl.E_SEND_ERROR)
_FAILURES: Final = {
    pycurl.E_COULDNT_RESOLVE_HOST: Failure.NAME_NOT_FOUND,
    pycurl.E_COULDNT_RESOLVE_PROXY: Failure.NAME_NOT_FOUND,
    pycurl.E_OPERATION_TIMEDOUT: Failure.LATE_CONNECTION,
    pycurl.E_GOT_NOTHING: Failure.RESET,
    # It would have sent again.
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
    """Sends signed requests with libcurl. Thread-safe: each thread has a handle and connections of its own."""

    def open_line(self, base_url: str) -> "CurlConnection":
        """Return a line to a host, over which nothing was sent yet."""
        return CurlConnection(self._endpoint, base_url)


class CurlConnection:
    """One thread's way to one host: one handle of libcurl."""

    def __init__(self, endpoint: Endpoint, base_url: str) -> None:
        self._base_url = base_url
        self._route = route_to(base_url, endpoint.proxy, endpoint.timeout_seconds)
        self._timeout_seconds = endpoint.timeout_seconds
        self._meter: Meter | None = None
        self._exchange = _Exchange()
        self._curl = _handle(endpoint, self._exchange)

    def send(self, request: SignedRequest, depart: Callable[[], None], *, fresh: bool) -> Reply | Lost | None:
        """Send once and return what came back, within the endpoint's time; None where nothing was sent."""
        curl, exchange = self._curl, self._exchange
        exchange.begin(depart, time.monotonic() + self._timeout_seconds, fresh=fresh)
        curl.setopt(pycurl.FRESH_CONNECT, fresh)
        curl.setopt(pycurl.URL, self._base_url + request.target)
        curl.setopt(pycurl.HTTPHEADER, [*_NOT_OURS, *(f"{name}: {value}" for name, value in request.headers.items())])
        if request.body:
            curl.setopt(pycurl.POSTFIELDS, request.body)
        else:
            curl.setopt(pycurl.HTTPGET, 1)
        curl.setopt(pycurl.CUSTOMREQUEST, request.method)
        try:
            curl.perform()
        except pycurl.error as exc:
            return None if exchange.departure.is_spoilt else self._lost(exc.args[0])
        exchange.descriptor = curl.getinfo(pycurl.LASTSOCKET)
        return exchange.answer(curl.getinfo(pycurl.RESPONSE_CODE), self._round_trip())

    def close(self) -> None:
        """Close the connection."""
        self._curl.close()

    def _lost(self, code: int) -> Lost:
        """Return what is known of the exchange that libcurl ended with this code."""
        exchange, departure = self._exchange, self._exchange.departure
        loss = exchange.loss(code)
        if exchange.is_too_long:
            return Lost(loss, TOO_LONG)
        status = self._curl.getinfo(pycurl.HTTP_CONNECTCODE)
        if loss is Loss.NOT_CONNECTED and status and status // 100 != 2:
            return Lost(loss, self._route.say_refused(status))
        failure = departure.failure or failure_of(loss) or _failure(self._curl, code, has_left=departure.has_begun)
        words = self._route.say(failure, at_platform=departure.has_begun or status != 0)
        return Lost(loss, words if failure is not Failure.UNKNOWN else f"{words} ({_NAMES.get(code, code)})")

    def _round_trip(self) -> RoundTrip:
        """Return how the request that was just answered travelled; what is measured over a proxy ends there."""
        curl, ended_at = self._curl, time.monotonic()
        known = _measured_on(self._exchange.descriptor)
        if known is None or self._route.via is not None:
            return unmetered(known)
        if self._meter is None or self._exchange.is_fresh:
            handshake = curl.getinfo(pycurl.CONNECT_TIME) - curl.getinfo(pycurl.NAMELOOKUP_TIME)
            # Where a packet was sent again it may have been the first.
            self._meter = Meter(Measured(known.shortest, handshake if known.resent == 0 else 0.0, 0))
        after_leaving = curl.getinfo(pycurl.TOTAL_TIME_T) - curl.getinfo(POSTTRANSFER_TIME_T)
        self._meter.left(ended_at - after_leaving / 1e6)
        return self._meter.round_trip(known)


class _Exchange:
    """One request and what is heard of its answer, told by libcurl step by step."""

    def __init__(self) -> None:
        self.head: list[bytes] = []
        # Of the connection that carried the last answer.
        self.descriptor = -1
        self.is_fresh = True
        self._body = bytearray()
        self.departure = Departure()

    @property
    def is_too_long(self) -> bool:
        """Whether the answer was given up because it was longer than any."""
        return len(self._body) > MOST_BYTES

    def begin(self, depart: Callable[[], None], until: float, *, fresh: bool) -> None:
        """Forget the exchange before; ask `depart` before this one leaves, which it does before `until`."""
        self.departure.await_next(depart, until, fresh=fresh)
        self.is_fresh = False
        self.head.clear()
        self._body.clear()

    def opens(self, _descriptor: int, _purpose: int) -> int:
        """Note that libcurl opens a connection for this exchange."""
        self.is_fresh = True
        return int(pycurl.SOCKOPT_OK)

    def leaves(self, *_route: object) -> int:
        """Note that a connection stands and the request leaves now; refuse to let it leave a second time."""
        if self.departure.has_begun:
            # A kept connection that breaks before an answer begins makes libcurl send again by itself, unseen.
            return int(pycurl.PREREQFUNC_ABORT)
        try:
            self.departure.begin(lambda: self.is_fresh or _is_quiet(self.descriptor))
        except BaseException:  # noqa: BLE001 - nothing gets through libcurl, so it is raised again behind it
            return int(pycurl.PREREQFUNC_ABORT)
        # What came before was a proxy's answer to CONNECT.
        self.head.clear()
        return int(pycurl.PREREQFUNC_OK)

    def hears(self, block: bytes) -> int | None:
        """Take in a part of the body; end the exchange where it is longer than any answer."""
        self._body += block
        return 0 if self.is_too_long else None

    def answer(self, status: int, round_trip: RoundTrip) -> Reply | Lost:
        """Return what came back, which libcurl holds to be whole."""
        head = _last_head(self.head)
        if head is None:
            return Lost(Loss.CUT_SHORT, "the answer ended within its head")
        return Reply(status, _headers(head), bytes(self._body), round_trip, is_fresh=self.is_fresh)

    def loss(self, code: int) -> Loss:
        """Return what is known of an exchange that libcurl ended with this code; raise what kept it from leaving."""
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
    # None at all is how libcurl writes "for ever".
    milliseconds = max(1, int(endpoint.timeout_seconds * 1000))
    for option, value in (
        (pycurl.NOSIGNAL, 1),
        (pycurl.TIMEOUT_MS, milliseconds),
        (pycurl.CONNECTTIMEOUT_MS, milliseconds),
        (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
        (pycurl.FOLLOWLOCATION, 0),
        (pycurl.PATH_AS_IS, 1),
        # Not set at all, these two would be read from the environment.
        (pycurl.PROXY, (endpoint.proxy or "").encode()),
        (pycurl.NOPROXY, ""),
        (pycurl.SSL_VERIFYPEER, 1),
        (pycurl.SSL_VERIFYHOST, 2),
        # The signature is over the body as it is before any compression; one that comes compressed is unfolded.
        (pycurl.ACCEPT_ENCODING, "identity"),
        # The old connection is closed where a new one is asked for.
        (pycurl.MAXCONNECTS, 1),
        (pycurl.SOCKOPTFUNCTION, exchange.opens),
        (PREREQFUNCTION, exchange.leaves),
        # Called for each line: with a method of the list itself no code of ours runs a dozen times an answer.
        (pycurl.HEADERFUNCTION, exchange.head.append),
        (pycurl.WRITEFUNCTION, exchange.hears),
    ):
        curl.setopt(option, value)
    bundle = endpoint.ca_bundle or DEFAULT_CA_BUNDLE_PATH
    for file, folder in ((pycurl.CAINFO, pycurl.CAPATH), (pycurl.PROXY_CAINFO, pycurl.PROXY_CAPATH)):
        named, other = (folder, file) if Path(bundle).is_dir() else (file, folder)
        curl.setopt(named, os.fsencode(bundle))
        # What libcurl was built with would be trusted beside the account's own.
        curl.unsetopt(other)
    return curl


def _failure(curl: Any, code: int, *, has_left: bool) -> Failure:
    """Return what went wrong in an exchange that libcurl ended with this code."""
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
    """Return why a certificate was refused. libcurl compares its name by itself, and says so in words alone."""
    if "subject name" in curl.errstr():
        return Failure.TLS_WRONG_NAME
    return by_verify_code(curl.getinfo(pycurl.SSL_VERIFYRESULT) or curl.getinfo(pycurl.PROXY_SSL_VERIFYRESULT))


def _is_quiet(descriptor: int) -> bool:
    """Return whether a kept connection is open, and nothing came over it since its last answer."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return not poll.poll(0)


def _last_head(lines: list[bytes]) -> list[bytes] | None:
    """Return the answer's own head, None where it is not whole: interim ones may come before, trailers behind it."""
    head: list[bytes] = []
    is_whole = False
    for connection in lines:
        if is_whole:
            if not connection.startswith(b"HTTP/"):
                continue
            head.clear()
        head.append(connection)
        is_whole = connection in _END_OF_HEAD
    return head if is_whole else None


def _headers(head: list[bytes]) -> dict[str, str]:
    """Return the headers of a head, which begins with its status."""
    headers: dict[str, str] = {}
    for connection in b"".join(head[1:]).decode("latin-1").split("\r\n"):
        name, colon, value = connection.partition(":")
        if colon:
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _measured_on(descriptor: int) -> Measured | None:
    """Ask the system about the connection that a descriptor of libcurl stands for."""
    if descriptor < 0:
        return None
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=descriptor)
    try:
        return measured(connection)
    finally:
        # It stays libcurl's own, and is given back unclosed.
        connection.detach()
