"""Round trips: the system's measurements of a TCP connection, and the time when a request had left."""

import socket
import struct
from dataclasses import dataclass

from pipeline.model import RoundTrip

# Offsets in struct tcp_info of linux/tcp.h: 8 single bytes; 24 numbers of 4 bytes, of which the 16th is tcpi_rtt and
# the last is tcpi_total_retrans; 4 numbers of 8 bytes; 3 of 4 bytes; then tcpi_min_rtt.
_RTT_AT = 8 + 15 * 4
_RESENT_AT = 8 + 23 * 4
_MIN_RTT_AT = 8 + 24 * 4 + 4 * 8 + 3 * 4
_SIZE = _MIN_RTT_AT + 4
_MICROSECONDS = 1e-6
_NOT_MEASURED = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Measured:
    """
    The system's measurements of a TCP connection: round trips in seconds, and the number of retransmitted packets.
    """

    shortest: float
    smoothed: float
    resent: int


def measured(connection: object) -> Measured | None:
    """
    Return the system's measurements of a TCP connection; None if it has none.

    The other end's system acknowledges packets without waiting for the program behind it, but may delay an
    acknowledgement. So only the shortest round trip, and the very first, show the network alone.
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


def partial_round_trip(known: Measured | None) -> RoundTrip:
    """Return the round trip over a connection that may end before the platform."""
    return RoundTrip() if known is None else RoundTrip(shortest=known.shortest)


class Meter:
    """
    Measures the round trips over one connection, which ends at the platform.

    `opened` is measured directly after the connection opened, so it covers the handshake only.
    """

    def __init__(self, opened: Measured | None) -> None:
        opened = opened or Measured(0.0, 0.0, 0)
        self._handshake = opened.smoothed if opened.resent == 0 else 0.0
        self._resent = opened.resent
        self._left_at: float | None = None

    def left(self, at: float) -> None:
        """Record the steady time at which the whole request was handed to the system."""
        self._left_at = at

    def round_trip(self, known: Measured | None) -> RoundTrip:
        """Return the round trip of the request that was just answered. `known` is measured now."""
        if known is None:
            return RoundTrip()
        # A retransmitted request arrived long after it left.
        left_at = self._left_at if known.resent == self._resent else None
        handshake, self._handshake = self._handshake, 0.0
        self._left_at, self._resent = None, known.resent
        return RoundTrip(left_at, known.shortest, handshake)
