"""What both ways to the platform share: whose line is used, when it is opened anew, and when the backup host is."""

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Protocol

from pipeline.model import Loss, Lost, Reply, SignedRequest
from pipeline.write.ports import at_once
from pipeline.write.transport.failure import Failure, route_to

# No answer of these APIs comes near this size; a longer one is not read to its end.
MOST_BYTES: Final = 1 << 20
TOO_LONG: Final = "the answer is longer than any of this API"
# Servers close idle connections after a minute or more. One closed at the moment of sending looks like a lost
# answer, so a connection is given up before that.
_IDLE_SECONDS: Final = 25.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the platform is, and how to get there. `backup_url` is tried where no connection comes about."""

    base_url: str
    backup_url: str | None = None
    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    timeout_seconds: float = 10.0


def keep_no_tls_keys() -> None:
    """Keep all libraries of this process from writing down the keys of connections where the environment says so."""
    os.environ.pop("SSLKEYLOGFILE", None)


@dataclass(slots=True)
class Departure:
    """
    Whether the first byte of the request under way may have left.

    Before it does `ask` is called, once the connection stands; it leaves before the steady time `until` or not at all
    (`failure`). Nor does it leave over a kept connection that is not quiet (`is_spoilt`). `wants_fresh` asks for a new
    connection; `is_tunnelled`: a proxy granted the way to the platform.
    """

    has_begun: bool = False
    is_spoilt: bool = False
    is_tunnelled: bool = False
    wants_fresh: bool = True
    ask: Callable[[], None] = at_once
    until: float = 0.0
    raised: BaseException | None = None
    failure: Failure | None = None

    def await_next(self, ask: Callable[[], None], until: float, *, fresh: bool) -> None:
        """Take in that another request is about to leave."""
        self.has_begun = self.is_spoilt = self.is_tunnelled = False
        self.ask, self.until, self.wants_fresh, self.raised, self.failure = ask, until, fresh, None, None

    def begin(self, is_usable: Callable[[], bool]) -> None:
        """Note that a request leaves, now that its connection stands; `is_usable` is asked last of all."""
        try:
            self.ask()
        except BaseException as exc:
            # Told apart from what the network does, whatever it is.
            self.raised = exc
            raise
        if time.monotonic() >= self.until:
            self.failure = Failure.LATE_DEPARTURE
            raise TimeoutError("the right to leave came too late")
        if not is_usable():
            self.is_spoilt = True
            raise ConnectionError("something came over the connection before the request left")
        self.has_begun = True


class HostConnection(Protocol):
    """
    One thread's way to one host: a connection at most, opened when it is needed and kept.

    Certificates are always verified, no redirect is followed, no cookie kept, nothing taken from the environment.
    """

    def send(self, request: SignedRequest, depart: Callable[[], None], *, fresh: bool) -> Reply | Lost | None:
        """
        Send once and return what came back, within the endpoint's time. Never raises for what a network can do.

        With `fresh` a new connection is opened. None: something came over the kept connection before the request left,
        so nothing was sent. A kept connection over which more came than the last answer is never used.

        `depart` is called before the first byte leaves, and what it raises is raised. Where it took all of the time
        nothing is sent.
        """
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


@dataclass(slots=True)
class _Used:
    """A line, when it was used last, and whether its connection may carry another request."""

    connection: HostConnection
    at: float
    is_reusable: bool = False


class Network(ABC):
    """Sends signed requests. Thread-safe: each thread has lines of its own."""

    def __init__(self, endpoint: Endpoint, steady: Callable[[], float] = time.monotonic) -> None:
        keep_no_tls_keys()
        self._endpoint = endpoint
        self._steady = steady
        self._local = threading.local()

    @abstractmethod
    def open_line(self, base_url: str) -> HostConnection:
        """Return a line to a host, over which nothing was sent yet."""

    def send(
        self, request: SignedRequest, depart: Callable[[], None] = at_once, *, fresh: bool = False
    ) -> Reply | Lost:
        """Send once and return what came back. A backup host is tried only where no connection came about."""
        answer = self._send(request, depart, fresh=fresh) or self._send(request, depart, fresh=True)
        return answer or Lost(Loss.NOT_CONNECTED)

    def _send(self, request: SignedRequest, depart: Callable[[], None], *, fresh: bool) -> Reply | Lost | None:
        backup_url, stood = self._endpoint.backup_url, False
        if not backup_url:
            return self._send_to(self._endpoint.base_url, request, depart, fresh=fresh)

        def departs() -> None:
            nonlocal stood
            stood = True
            depart()

        answer = self._send_to(self._endpoint.base_url, request, departs, fresh=fresh)
        if isinstance(answer, Lost) and answer.cause is Loss.NOT_CONNECTED and not stood:
            return self._send_to(backup_url, request, depart, fresh=fresh)
        return answer

    def _send_to(
        self, base_url: str, request: SignedRequest, depart: Callable[[], None], *, fresh: bool
    ) -> Reply | Lost | None:
        used = self._connection_to(base_url)
        # The server may have given up a connection that was idle.
        is_idle = self._steady() - used.at > _IDLE_SECONDS
        kept = used.is_reusable and not is_idle and not fresh
        # Whatever is raised leaves a connection that is not used again.
        used.is_reusable = False
        answer = used.connection.send(request, depart, fresh=not kept)
        used.at, used.is_reusable = self._steady(), _is_sound(answer)
        if isinstance(answer, Reply) and answer.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return self._unless_the_proxys(answer, base_url)
        return answer

    def _unless_the_proxys(self, reply: Reply, base_url: str) -> Reply | Lost:
        """Return that nothing reached the platform where this can only be an answer of the account's proxy."""
        endpoint = self._endpoint
        if endpoint.proxy is None:
            return reply
        route = route_to(base_url, endpoint.proxy, endpoint.timeout_seconds)
        return Lost(Loss.NOT_CONNECTED, route.say_refused(reply.status))

    def _connection_to(self, base_url: str) -> _Used:
        """Return this thread's line to a host."""
        local = self._local
        if not hasattr(local, "lines"):
            local.lines = {}
        used: _Used | None = local.lines.get(base_url)
        if used is None:
            used = local.lines[base_url] = _Used(self.open_line(base_url), self._steady())
        return used


def _is_sound(answer: Reply | Lost | None) -> bool:
    """
    Return whether a connection may be kept after this.

    Not where the answer was lost. Nor after an error: most errors do not name their request, so whether this was the
    request's own is not known.
    """
    return isinstance(answer, Reply) and 200 <= answer.status < 300


def loss_of(*, has_left: bool, is_answered: bool, is_late: bool, is_distrusted: bool) -> Loss:
    """
    Say what is known of a request that got no whole answer.

    `has_left`: its first byte may be on the way, since a connection, with TLS and through the proxy, had come about.
    `is_answered`: the answer had begun. `is_late`: the time was up. `is_distrusted`: a certificate did not verify.
    """
    if not has_left:
        return Loss.TLS_REFUSED if is_distrusted else Loss.NOT_CONNECTED
    if is_late:
        return Loss.TIMEOUT
    return Loss.CUT_SHORT if is_answered else Loss.CONNECTION_LOST
