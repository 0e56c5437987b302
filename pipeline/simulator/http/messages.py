"""HTTP requests and answers, independent of sockets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Call:
    """
    One HTTP request as received.

    `target` is path and query as sent; header names are in lower case. `wall` (UTC) and `steady` (seconds) are the
    arrival of its first line.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    wall: datetime
    steady: float

    @property
    def path(self) -> str:
        """Return the target up to its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """Return the query as sent, still percent-encoded."""
        return self.target.partition("?")[2]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Cut:
    """An answer with the full Content-Length but half of the body; then the connection closes."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer: the connection is closed."""


@dataclass(frozen=True, slots=True)
class Followed:
    """An answer, and `seconds` later a stray answer on the same connection."""

    reply: Reply
    stray: Reply
    seconds: float = 0.0


Answer = Reply | Cut | Silence | Followed
