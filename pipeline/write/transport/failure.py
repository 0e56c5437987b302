"""
Texts for failed connections, the same for both transports.

They contain hosts, ports and times only, so no user's id.
"""

import errno
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from pipeline.language import later, t
from pipeline.model import Loss

_PORTS: Final = {"http": 80, "https": 443}


class Failure(StrEnum):
    """A kind of failure; `{peer}` is the host and port where it happened."""

    REFUSED = later("connection refused by {peer}")
    RESET = later("connection reset or closed by {peer}")
    NAME_NOT_FOUND = later("name not found: {peer}")
    NO_ROUTE = later("no route to {peer}")
    LATE_CONNECTION = later("timeout while connecting to {peer}, after {seconds:g} s")
    LATE_DEPARTURE = later("no permit to send to {peer} within {seconds:g} s")
    LATE_ANSWER = later("no answer from {peer} within {seconds:g} s")
    TLS_EXPIRED = later("the TLS certificate of {peer} has expired")
    TLS_NOT_YET_VALID = later("the TLS certificate of {peer} is not valid yet; check this machine's clock")
    TLS_WRONG_NAME = later("the TLS certificate of {peer} is for another host name")
    TLS_UNKNOWN_ISSUER = later("the TLS certificate of {peer} has an unknown issuer")
    TLS_NOT_TRUSTED = later("the TLS certificate of {peer} is not trusted")
    TLS_HANDSHAKE = later("the TLS handshake with {peer} failed")
    TLS_BROKEN = later("the TLS connection to {peer} broke")
    NO_HTTP = later("{peer} did not answer with HTTP")
    CUT_SHORT = later("the answer of {peer} broke off or is malformed")
    UNKNOWN = later("the connection to {peer} failed")


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

# Keys are X509_V_ERR_* of OpenSSL (x509_vfy.h).
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
    """Return the failure if the time of the loss shows it; None if only the library knows."""
    return _BY_LOSS.get(loss)


def by_errno(number: int | None) -> Failure | None:
    """Return the failure for a system error; None if it says nothing about a connection."""
    return None if number is None else _BY_ERRNO.get(number)


def by_verify_code(code: int) -> Failure:
    """Return the failure for OpenSSL's verification error."""
    return _BY_VERIFY_CODE.get(code, Failure.TLS_NOT_TRUSTED)


@dataclass(frozen=True, slots=True)
class HostRoute:
    """The hosts on the way of a request, as host:port; `via` is the proxy. `seconds` is the timeout of an exchange."""

    platform: str
    via: str | None
    seconds: float

    def describe(self, failure: Failure, *, at_platform: bool) -> str:
        """Return what happened and where. `at_platform`: the proxy had opened the way to the platform."""
        peer = self.platform if at_platform or self.via is None else t("proxy {via}", via=self.via)
        through = t(" (through proxy {via})", via=self.via) if at_platform and self.via else ""
        return t(failure, peer=peer, seconds=self.seconds) + through

    def describe_refusal(self, status: int) -> str:
        """Return that the proxy refused the connection to the platform, with its status."""
        hint = t(", it asks for a user and password") if status == 407 else ""
        return t(
            "proxy {via} refused the connection to {platform} (status {status}{hint})",
            via=self.via,
            platform=self.platform,
            status=status,
            hint=hint,
        )


def route_to(base_url: str, proxy: str | None, seconds: float) -> HostRoute:
    """Return the route to a URL, without the user and password that the proxy's URL may contain."""
    return HostRoute(_host_and_port(base_url), _host_and_port(proxy) if proxy else None, seconds)


def _host_and_port(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{parts.port or _PORTS.get(parts.scheme, 443)}"
