"""What the system knows of a connection's round trips."""

import socket
import struct

# struct tcp_info of linux/tcp.h: 8 single bytes, 24 numbers of 4 bytes, 4 of 8 bytes, 3 of 4 bytes, then tcpi_min_rtt.
_MIN_RTT_AT = 8 + 24 * 4 + 4 * 8 + 3 * 4
_SIZE = _MIN_RTT_AT + 4
_MICROSECONDS = 1e-6


def round_trip(connection: object) -> float:
    """
    Return the shortest round trip, in seconds, that the system measured on a TCP connection; 0 where it does not say.

    The other end's system acknowledges what arrives without waiting for the program behind it.
    """
    if not isinstance(connection, socket.socket) or not hasattr(socket, "TCP_INFO"):
        return 0.0
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    except OSError:
        return 0.0
    if len(info) < _SIZE:
        return 0.0
    (microseconds,) = struct.unpack_from("=I", info, _MIN_RTT_AT)
    # All bits set: nothing was measured yet.
    return 0.0 if microseconds == 0xFFFFFFFF else float(microseconds) * _MICROSECONDS
