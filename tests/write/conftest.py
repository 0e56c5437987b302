"""Fixtures for the tests of transports: local servers with and without TLS, and both transports."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from pipeline.write.transport.curl_transport import CurlTransport
from pipeline.write.transport.network import Endpoint, Network
from pipeline.write.transport.requests_transport import RequestsTransport
from tests.write.certificates import context_of, write_certificate
from tests.write.loopback import Loopback, Phase, serving

StartServer = Callable[..., Loopback]


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Start a server that performs these acts, one for each request."""
    with ExitStack() as stack:

        def started(*acts: Phase, greets: Phase | None = None, context: ssl.SSLContext | None = None) -> Loopback:
            return stack.enter_context(serving(Loopback(list(acts), greets, context)))

        yield started


class MakeTransport(Protocol):
    """Creates the transport under test."""

    def __call__(
        self, url: str, *, timeout_seconds: float = 5.0, seconds: list[float] | None = None, **where: str | None
    ) -> Network: ...


@pytest.fixture(params=[RequestsTransport, CurlTransport], ids=["requests", "curl"])
def make_transport(request: pytest.FixtureRequest) -> MakeTransport:
    """Each transport in turn. `seconds[0]` is the time of its clock, if given."""

    def made_for(
        url: str, *, timeout_seconds: float = 5.0, seconds: list[float] | None = None, **where: str | None
    ) -> Network:
        endpoint = Endpoint(url, timeout_seconds=timeout_seconds, **where)
        made: Network = request.param(endpoint, time.monotonic if seconds is None else lambda: seconds[0])
        return made

    return made_for


def unused_url() -> str:
    """Return a URL without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key with its self-signed certificate for 127.0.0.1, in one file."""
    return write_certificate(tmp_path_factory.mktemp("tls") / "server.pem")


@pytest.fixture
def context(certificate: Path) -> ssl.SSLContext:
    """The TLS context of a server with that certificate."""
    return context_of(certificate)
