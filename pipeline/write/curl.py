"""The network, by libcurl: for those who send millions. The same promises as `http.py`, at a tenth of its cost."""

import socket
from pathlib import Path
from typing import Any, Final

import pycurl
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from pipeline.model import Loss, Lost, Reply, SignedRequest
from pipeline.write.network import MOST_BYTES, Endpoint, Network, loss_of
from pipeline.write.round_trip import round_trip

# Headers that libcurl would add of its own accord; without a value it leaves them out.
_NOT_OURS: Final = ("Accept:", "Content-Type:", "Expect:")
_DISTRUSTED: Final = (pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_ISSUER_ERROR)
_NAMES: Final = {
    getattr(pycurl, name): name.removeprefix("E_")
    for name in sorted(dir(pycurl))
    if name.startswith("E_") and not name.startswith("E_MULTI_")
}


class CurlTransport(Network):
    """Sends signed requests with libcurl. Thread-safe: each thread has a handle and connections of its own."""

    def open_line(self, base_url: str) -> "CurlLine":
        """Return a line to a host, over which nothing was sent yet."""
        return CurlLine(self._endpoint, base_url)


class CurlLine:
    """One thread's way to one host: one handle of libcurl."""

    def __init__(self, endpoint: Endpoint, base_url: str) -> None:
        self._base_url = base_url
        self._exchange = _Exchange()
        self._curl = _handle(endpoint, self._exchange)
        self.shortest_trip = 0.0

    def send(self, request: SignedRequest) -> Reply | Lost:
        """Send once and return what came back, within the endpoint's time."""
        curl, exchange = self._curl, self._exchange
        exchange.begin()
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
            return exchange.lost(exc.args[0])
        self.shortest_trip = _round_trip_on(curl.getinfo(pycurl.ACTIVESOCKET))
        return exchange.answer(curl.getinfo(pycurl.RESPONSE_CODE))

    def close(self) -> None:
        """Close the connection."""
        self._curl.close()


class _Exchange:
    """One request and what is heard of its answer, told by libcurl step by step."""

    def __init__(self) -> None:
        self._head: list[bytes] = []
        self._body = bytearray()
        self._has_left = False
        self._is_too_long = False

    def begin(self) -> None:
        """Forget the exchange before."""
        self._has_left = self._is_too_long = False
        self._head.clear()
        self._body = bytearray()

    def leaves(self, *_route: object) -> int:
        """Note that a connection stands and the request leaves now; refuse to let it leave a second time."""
        if self._has_left:
            # A kept connection that breaks before an answer begins makes libcurl send again by itself, unseen.
            return int(pycurl.PREREQFUNC_ABORT)
        self._has_left = True
        # What came before was a proxy's answer to CONNECT.
        self._head.clear()
        return int(pycurl.PREREQFUNC_OK)

    def hears_header(self, line: bytes) -> None:
        """Take in a line of the head; a new status line follows an interim answer."""
        if line.startswith(b"HTTP/"):
            self._head.clear()
        self._head.append(line)

    def hears_body(self, block: bytes) -> int | None:
        """Take in a part of the body; end the exchange where it is longer than any answer."""
        self._body += block
        if len(self._body) > MOST_BYTES:
            self._is_too_long = True
            return 0
        return None

    def answer(self, status: int) -> Reply | Lost:
        """Return what came back, which libcurl holds to be whole."""
        if not self._is_headed():
            return Lost(Loss.CUT_SHORT, "the answer ended within its head")
        return Reply(status, _headers(self._head), bytes(self._body))

    def lost(self, code: int) -> Lost:
        """Return what is known of an exchange that libcurl ended with this code."""
        if self._is_too_long:
            return Lost(Loss.CUT_SHORT, "the answer is longer than any of this API")
        loss = loss_of(
            has_left=self._has_left,
            is_answered=bool(self._head),
            is_late=code == pycurl.E_OPERATION_TIMEDOUT,
            is_distrusted=code in _DISTRUSTED,
        )
        return Lost(loss, _NAMES.get(code, "UNKNOWN"))

    def _is_headed(self) -> bool:
        return bool(self._head) and not self._head[-1].strip()


def _handle(endpoint: Endpoint, exchange: _Exchange) -> Any:
    curl = pycurl.Curl()
    for option, value in (
        (pycurl.NOSIGNAL, 1),
        (pycurl.TIMEOUT_MS, int(endpoint.timeout_seconds * 1000)),
        (pycurl.CONNECTTIMEOUT_MS, int(endpoint.timeout_seconds * 1000)),
        (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
        (pycurl.FOLLOWLOCATION, 0),
        (pycurl.PATH_AS_IS, 1),
        # Not set at all, these two would be read from the environment.
        (pycurl.PROXY, endpoint.proxy or ""),
        (pycurl.NOPROXY, ""),
        (pycurl.SSL_VERIFYPEER, 1),
        (pycurl.SSL_VERIFYHOST, 2),
        # The signature is over the body as it is before any compression; one that comes compressed is unfolded.
        (pycurl.ACCEPT_ENCODING, "identity"),
        (pycurl.PREREQFUNCTION, exchange.leaves),
        (pycurl.HEADERFUNCTION, exchange.hears_header),
        (pycurl.WRITEFUNCTION, exchange.hears_body),
    ):
        curl.setopt(option, value)
    bundle = endpoint.ca_bundle or DEFAULT_CA_BUNDLE_PATH
    for file, folder in ((pycurl.CAINFO, pycurl.CAPATH), (pycurl.PROXY_CAINFO, pycurl.PROXY_CAPATH)):
        curl.setopt(folder if Path(bundle).is_dir() else file, bundle)
    return curl


def _headers(head: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in head[1:-1]:
        name, _, value = line.decode("latin-1").partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _round_trip_on(descriptor: int) -> float:
    if descriptor < 0:
        return 0.0
    # The descriptor stays libcurl's own: it is looked at, and given back unclosed.
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=descriptor)
    try:
        return round_trip(connection)
    finally:
        connection.detach()
