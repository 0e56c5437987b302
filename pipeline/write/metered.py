"""Connections of `urllib3` that tell how a request travelled."""

import socket
import time

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import BaseHTTPResponse

from pipeline.model import Trip
from pipeline.write.round_trip import Meter, measured


class _Metered(HTTPConnection):
    meter: Meter | None = None

    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        self.meter = Meter(measured(connection))
        return connection

    def getresponse(self) -> BaseHTTPResponse:  # type: ignore[override]
        # Whoever asks for the answer has sent all of the request.
        if self.meter is not None:
            self.meter.left(time.monotonic())
        return super().getresponse()


class _MeteredTls(_Metered, HTTPSConnection):
    pass


class _MeteredPool(HTTPConnectionPool):
    ConnectionCls = _Metered


class _MeteredTlsPool(HTTPSConnectionPool):
    ConnectionCls = _MeteredTls


# For a pool manager's `pool_classes_by_scheme`. Not for a proxy's: what is measured there ends at the proxy.
METERED_POOLS = {"http": _MeteredPool, "https": _MeteredTlsPool}


def trip_over(connection: object) -> Trip:
    """Return how the request travelled that was answered last over a connection of `urllib3`."""
    meter, wire = getattr(connection, "meter", None), getattr(connection, "sock", None)
    known = measured(wire)
    if isinstance(meter, Meter):
        return meter.trip(known)
    return Trip() if known is None else Trip(shortest=known.shortest)
