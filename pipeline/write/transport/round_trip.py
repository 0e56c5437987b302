"""What the system knows of a connection's round trips, and when a request had left."""

import socket
import struct
from dataclasses import dataclass

from pipeline.model import RoundTrip

# struct tcp_info of linux/tcp.h: 8 single bytes, 24 numbers of 4 bytes, the 16th of them tcpi_rtt and the last
# tcpi_total_retrans, 4 of 8 bytes, 3 of 4 bytes, then tcpi_min_rtt.
_RTT_AT = 8 + 15 * 4
_RESENT_AT = 8 + 23 * 4
_MIN_RTT_AT = 8 + 24 * 4 + 4 * 8 + 3 * 4
_SIZE = _MIN_RTT_AT + 4
_MICROSECONDS = 1e-6
_NOT_MEASURED = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Measured:
    """What the system says of a TCP connection: round trips in seconds, and how many packets it had to send again."""

    shortest: float
    smoothed: float
    resent: int


def measured(connection: object) -> Measured | None:
    """
    Ask the system about a TCP connection; None where it does not say.

    The other end's system acknowledges what arrives without waiting for the program behind it, but it may hold an
    acknowledgement back for some time: only the shortest round trip, and the very first, show the network alone.
    """
    if not isinstance(connection, socket.socket) or not hasattr(socket, "TCP_INFO"):
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    except OSError:
        return None
    if len(info) < _SIZE:
        return None
    shortest, smoothed, resent = (struct.unpack_from("=I", info, at)[0] for at in (_MIN_RTT_AT, _RTT_AT, _RESENT_AT))
    shortest = 0 if shortest == _NOT_MEASURED else shortest
    return Measured(shortest * _MICROSECONDS, smoothed * _MICROSECONDS, resent)


def unmetered(known: Measured | None) -> RoundTrip:
    """Return what is told of a trip over a connection that does not end at the platform, or not surely."""
    return RoundTrip() if known is None else RoundTrip(shortest=known.shortest)


class Meter:
    """
    Tells of each trip over one connection, which ends at the platform.

    `opened` is what was measured as soon as the connection was open: of its handshake and nothing else.
    """

    def __init__(self, opened: Measured | None) -> None:
        opened = opened or Measured(0.0, 0.0, 0)
        self._handshake = opened.smoothed if opened.resent == 0 else 0.0
        self._resent = opened.resent
        self._left_at: float | None = None

    def left(self, at: float) -> None:
        """Note that by now all of a request was handed to the system."""
        self._left_at = at

    def round_trip(self, known: Measured | None) -> RoundTrip:
        """Return how the request that was just answered travelled, from what is measured now."""
        if known is None:
            return RoundTrip()
        # What was sent again arrived long after it left.
        left_at = self._left_at if known.resent == self._resent else None
        handshake, self._handshake = self._handshake, 0.0
        self._left_at, self._resent = None, known.resent
        return RoundTrip(left_at, known.shortest, handshake)
