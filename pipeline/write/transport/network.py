"""
Network: what both transports share. It picks a thread's connection, decides on its reuse, and tries the backup host.
"""

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Protocol

from pipeline.language import later
from pipeline.model import Loss, Lost, Reply, SignedRequest
from pipeline.write.ports import at_once
from pipeline.write.transport.failure import Failure, route_to

# Longest answer, in bytes. Answers of these APIs are far shorter; a longer one is abandoned.
MOST_BYTES: Final = 1 << 20
TOO_LONG: Final = later("the answer is too long for this API")
# Longest idle time of a kept connection. Servers close idle connections after a minute or more, and a close at the
# moment of sending looks like a lost answer.
_IDLE_SECONDS: Final = 25.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The platform's address, and how to reach it. `backup_url` is tried if no connection to `base_url` opens."""

    base_url: str
    backup_url: str | None = None
    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    timeout_seconds: float = 10.0


def keep_no_tls_keys() -> None:
    """Stop all libraries of this process from logging TLS keys, even if the environment asks for it."""
    os.environ.pop("SSLKEYLOGFILE", None)


@dataclass(slots=True)
class Departure:
    """
    Whether the first byte of the request in flight may have left.

    - `depart`: called once the connection is open, before the first byte.
    - `until`: steady time before which the request must leave; otherwise it does not leave, and `failure` is set.
    - `has_stray_bytes`: something came over the kept connection, so the request did not leave.
    - `is_tunnelled`: a proxy opened the way to the platform.
    - `wants_fresh`: the request needs a new connection.
    - `raised`: the exception of `depart`.
    """

    has_begun: bool = False
    has_stray_bytes: bool = False
    is_tunnelled: bool = False
    wants_fresh: bool = True
    depart: Callable[[], None] = at_once
    until: float = 0.0
    raised: BaseException | None = None
    failure: Failure | None = None

    def reset(self, depart: Callable[[], None], until: float, *, fresh: bool) -> None:
        """Reset for the next request."""
        self.has_begun = self.has_stray_bytes = self.is_tunnelled = False
        self.depart, self.until, self.wants_fresh, self.raised, self.failure = depart, until, fresh, None, None

    def begin(self, is_usable: Callable[[], bool]) -> None:
        """
        Record that a request leaves now. `is_usable` is checked last.

        Raises what `depart` raises; TimeoutError after `until`; ConnectionError if the connection is not usable.
        """
        try:
            self.depart()
        except BaseException as exc:
            # Kept apart from network errors of the same type.
            self.raised = exc
            raise
        if time.monotonic() >= self.until:
            self.failure = Failure.LATE_DEPARTURE
            raise TimeoutError("the permit came too late")
        if not is_usable():
            self.has_stray_bytes = True
            raise ConnectionError("something came over the connection before the request left")
        self.has_begun = True


class HostConnection(Protocol):
    """
    One thread's connection to one host, opened on demand and kept.

    Certificates are always verified. No redirect is followed, no cookie kept, and no setting read from the environment.
    """

    def send(self, request: SignedRequest, depart: Callable[[], None], *, fresh: bool) -> Reply | Lost | None:
        """
        Send once and return the answer, within the endpoint's timeout. Never raises for a network error.

        `fresh` opens a new connection. A kept connection with bytes after its last answer is never used: the result is
        None, and nothing was sent.

        `depart` is called before the first byte leaves, and its exceptions are raised. If it uses up the timeout,
        nothing is sent.
        """
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


@dataclass(slots=True)
class _KeptConnection:
    """A connection, the steady time of its last use, and whether it may carry another request."""

    connection: HostConnection
    used_at: float
    is_reusable: bool = False


class Network(ABC):
    """Sends signed requests. Thread-safe: each thread has its own connections."""

    def __init__(self, endpoint: Endpoint, steady: Callable[[], float] = time.monotonic) -> None:
        keep_no_tls_keys()
        self._endpoint = endpoint
        self._steady = steady
        self._local = threading.local()

    @abstractmethod
    def open_connection(self, base_url: str) -> HostConnection:
        """Return a connection to a host, not used yet."""

    def send(
        self, request: SignedRequest, depart: Callable[[], None] = at_once, *, fresh: bool = False
    ) -> Reply | Lost:
        """Send once and return the answer. The backup host is tried only if no connection opened."""
        answer = self._send(request, depart, fresh=fresh) or self._send(request, depart, fresh=True)
        return answer or Lost(Loss.NOT_CONNECTED)

    def _send(self, request: SignedRequest, depart: Callable[[], None], *, fresh: bool) -> Reply | Lost | None:
        backup_url, connected = self._endpoint.backup_url, False
        if not backup_url:
            return self._send_to(self._endpoint.base_url, request, depart, fresh=fresh)

        def departs() -> None:
            nonlocal connected
            connected = True
            depart()

        answer = self._send_to(self._endpoint.base_url, request, departs, fresh=fresh)
        if isinstance(answer, Lost) and answer.cause is Loss.NOT_CONNECTED and not connected:
            return self._send_to(backup_url, request, depart, fresh=fresh)
        return answer

    def _send_to(
        self, base_url: str, request: SignedRequest, depart: Callable[[], None], *, fresh: bool
    ) -> Reply | Lost | None:
        kept = self._connection_to(base_url)
        # The server may have closed an idle connection.
        is_idle = self._steady() - kept.used_at > _IDLE_SECONDS
        reuse = kept.is_reusable and not is_idle and not fresh
        # After an exception the connection is not reused.
        kept.is_reusable = False
        answer = kept.connection.send(request, depart, fresh=not reuse)
        kept.used_at, kept.is_reusable = self._steady(), _may_keep(answer)
        if isinstance(answer, Reply) and answer.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return self._without_proxy_refusal(answer, base_url)
        return answer

    def _without_proxy_refusal(self, reply: Reply, base_url: str) -> Reply | Lost:
        """Return the reply; or a loss, if only the account's proxy can have sent it."""
        endpoint = self._endpoint
        if endpoint.proxy is None:
            return reply
        route = route_to(base_url, endpoint.proxy, endpoint.timeout_seconds)
        return Lost(Loss.NOT_CONNECTED, route.describe_refusal(reply.status))

    def _connection_to(self, base_url: str) -> _KeptConnection:
        """Return this thread's connection to a host."""
        local = self._local
        if not hasattr(local, "connections"):
            local.connections = {}
        kept: _KeptConnection | None = local.connections.get(base_url)
        if kept is None:
            kept = local.connections[base_url] = _KeptConnection(self.open_connection(base_url), self._steady())
        return kept


def _may_keep(answer: Reply | Lost | None) -> bool:
    """
    Return whether a connection may be kept after this answer.

    Only after a success: most errors do not name their request, so the answer may belong to another one.
    """
    return isinstance(answer, Reply) and 200 <= answer.status < 300


def loss_of(*, has_left: bool, is_answered: bool, is_late: bool, is_distrusted: bool) -> Loss:
    """
    Return how a request without a complete answer was lost.

    - `has_left`: its first byte may have left, since connection, proxy and TLS were ready.
    - `is_answered`: the answer had begun.
    - `is_late`: the timeout was over.
    - `is_distrusted`: a certificate did not verify.
    """
    if not has_left:
        return Loss.TLS_REFUSED if is_distrusted else Loss.NOT_CONNECTED
    if is_late:
        return Loss.TIMEOUT
    return Loss.CUT_SHORT if is_answered else Loss.CONNECTION_LOST
