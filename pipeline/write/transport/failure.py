"""
What a connection failed of, in the same words whichever library carries the requests.

The words hold hosts, ports and times: they name nobody.
"""

import errno
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from pipeline.model import Loss

_PORTS: Final = {"http": 80, "https": 443}


class Failure(StrEnum):
    """What went wrong; `{peer}` stands for the host and port at which it did."""

    REFUSED = "connection refused by {peer}"
    RESET = "connection reset or closed by {peer}"
    NAME_NOT_FOUND = "name not found: {peer}"
    NO_ROUTE = "no route to {peer}"
    LATE_CONNECTION = "timeout while connecting to {peer}, after {seconds:g} s"
    LATE_DEPARTURE = "no right to send to {peer} within {seconds:g} s"
    LATE_ANSWER = "no answer from {peer} within {seconds:g} s"
    TLS_EXPIRED = "the TLS certificate of {peer} has expired"
    TLS_NOT_YET_VALID = "the TLS certificate of {peer} is not valid yet; check this machine's clock"
    TLS_WRONG_NAME = "the TLS certificate of {peer} is for another host name"
    TLS_UNKNOWN_ISSUER = "the TLS certificate of {peer} has an unknown issuer"
    TLS_NOT_TRUSTED = "the TLS certificate of {peer} is not trusted"
    TLS_HANDSHAKE = "the TLS handshake with {peer} failed"
    TLS_BROKEN = "the TLS connection to {peer} broke"
    NO_HTTP = "{peer} answered with something that is no HTTP"
    CUT_SHORT = "the answer of {peer} broke off or is malformed"
    UNKNOWN = "the connection to {peer} failed"


_BY_LOSS: Final = {Loss.TIMEOUT: Failure.LATE_ANSWER, Loss.CUT_SHORT: Failure.CUT_SHORT}
_BY_ERRNO: Final = {
    errno.ECONNREFUSED: Failure.REFUSED,
    errno.ECONNRESET: Failure.RESET,
    errno.ECONNABORTED: Failure.RESET,
    errno.EPIPE: Failure.RESET,
    errno.EHOSTUNREACH: Failure.NO_ROUTE,
    errno.ENETUNREACH: Failure.NO_ROUTE,
    errno.ENETDOWN: Failure.NO_ROUTE,
    errno.EHOSTDOWN: Failure.NO_ROUTE,
}

# X509_V_ERR_* of OpenSSL (x509_vfy.h).
_BY_VERIFY_CODE: Final = {
    2: Failure.TLS_UNKNOWN_ISSUER,
    9: Failure.TLS_NOT_YET_VALID,
    10: Failure.TLS_EXPIRED,
    18: Failure.TLS_UNKNOWN_ISSUER,
    19: Failure.TLS_UNKNOWN_ISSUER,
    20: Failure.TLS_UNKNOWN_ISSUER,
    21: Failure.TLS_UNKNOWN_ISSUER,
    62: Failure.TLS_WRONG_NAME,
    64: Failure.TLS_WRONG_NAME,
}


def failure_of(loss: Loss) -> Failure | None:
    """Return what went wrong where that shows by when it did; None where the library has to tell."""
    return _BY_LOSS.get(loss)


def by_errno(number: int | None) -> Failure | None:
    """Return what an error of the system means for a connection; None where it says nothing of one."""
    return None if number is None else _BY_ERRNO.get(number)


def by_verify_code(code: int) -> Failure:
    """Return what OpenSSL found wrong with a certificate."""
    return _BY_VERIFY_CODE.get(code, Failure.TLS_NOT_TRUSTED)


@dataclass(frozen=True, slots=True)
class Route:
    """The hosts that a request passes, each as host:port (`via` a proxy), and the seconds that an exchange may take."""

    platform: str
    via: str | None
    seconds: float

    def say(self, failure: Failure, *, at_platform: bool) -> str:
        """Return what happened and where; `at_platform` says that a proxy had granted the way."""
        peer = self.platform if at_platform or self.via is None else f"proxy {self.via}"
        through = f" (through proxy {self.via})" if at_platform and self.via else ""
        return failure.format(peer=peer, seconds=self.seconds) + through

    def say_refused(self, status: int) -> str:
        """Return that the proxy refused the way to the platform, and with which status."""
        wish = ", it asks for a user and password" if status == 407 else ""
        return f"proxy {self.via} refused the connection to {self.platform} (status {status}{wish})"


def route_to(base_url: str, proxy: str | None, seconds: float) -> Route:
    """Return the route to a URL, without the user and password that a proxy's URL may hold."""
    return Route(_host_and_port(base_url), _host_and_port(proxy) if proxy else None, seconds)


def _host_and_port(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{parts.port or _PORTS.get(parts.scheme, 443)}"
