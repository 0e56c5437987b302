"""What both ways to the platform share: whose line is used, when it is opened anew, and when the backup host is."""

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from pipeline.model import Loss, Lost, Reply, SignedRequest
from pipeline.write.ports import at_once

# No answer of these APIs comes near this size; a longer one is not read to its end.
MOST_BYTES: Final = 1 << 20
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

    Before it does `ask` is called, once the connection stands; it leaves before the steady time `until` or not at all.
    """

    has_begun: bool = False
    ask: Callable[[], None] = at_once
    until: float = 0.0
    raised: BaseException | None = None

    def await_next(self, ask: Callable[[], None], until: float) -> None:
        """Take in that another request is about to leave."""
        self.has_begun, self.ask, self.until, self.raised = False, ask, until, None

    def begin(self) -> None:
        """Note that a request leaves, now that its connection stands."""
        try:
            self.ask()
        except BaseException as exc:
            # Told apart from what the network does, whatever it is.
            self.raised = exc
            raise
        if time.monotonic() >= self.until:
            raise TimeoutError("the right to leave came too late")
        self.has_begun = True


class Line(Protocol):
    """
    One thread's way to one host: a connection at most, opened when it is needed and kept.

    Certificates are always verified, no redirect is followed, no cookie kept, nothing taken from the environment.
    """

    def send(self, request: SignedRequest, depart: Callable[[], None]) -> Reply | Lost:
        """
        Send once and return what came back, within the endpoint's time. Never raises for what a network can do.

        `depart` is called before the first byte leaves, and what it raises is raised. Where it took all of the time
        nothing is sent.
        """
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Network(ABC):
    """Sends signed requests. Thread-safe: each thread has lines of its own."""

    def __init__(self, endpoint: Endpoint, steady: Callable[[], float] = time.monotonic) -> None:
        keep_no_tls_keys()
        self._endpoint = endpoint
        self._steady = steady
        self._local = threading.local()

    @abstractmethod
    def open_line(self, base_url: str) -> Line:
        """Return a line to a host, over which nothing was sent yet."""

    def send(self, request: SignedRequest, depart: Callable[[], None] = at_once) -> Reply | Lost:
        """Send once and return what came back. A backup host is tried only where no connection came about."""
        backup_url, stood = self._endpoint.backup_url, False
        if not backup_url:
            return self._send_to(self._endpoint.base_url, request, depart)

        def departs() -> None:
            nonlocal stood
            stood = True
            depart()

        answer = self._send_to(self._endpoint.base_url, request, departs)
        if isinstance(answer, Lost) and answer.cause is Loss.NOT_CONNECTED and not stood:
            return self._send_to(backup_url, request, depart)
        return answer

    def _send_to(self, base_url: str, request: SignedRequest, depart: Callable[[], None]) -> Reply | Lost:
        line = self._line_to(base_url)
        answer = line.send(request, depart)
        if isinstance(answer, Lost):
            # A connection over which an answer was lost is not to be trusted with another request.
            line.close()
            del self._local.lines[base_url]
        self._local.used_at[base_url] = self._steady()
        return answer

    def _line_to(self, base_url: str) -> Line:
        """Return this thread's line to a host, a new one where the server may have given up the old one."""
        local = self._local
        if not hasattr(local, "lines"):
            local.lines, local.used_at = {}, {}
        line: Line | None = local.lines.get(base_url)
        if line is not None and self._steady() - local.used_at[base_url] > _IDLE_SECONDS:
            line.close()
            line = None
        if line is None:
            line = local.lines[base_url] = self.open_line(base_url)
            local.used_at[base_url] = self._steady()
        return line


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
