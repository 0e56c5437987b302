"""Servers for these tests, which record the bytes that reach them."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_LOOPBACK = "127.0.0.1"


@dataclass
class Listener:
    """A listener on this machine: its port, its number of connections, and all bytes read from them."""

    port: int
    connections: int = 0
    received: bytearray = field(default_factory=bytearray)


@contextmanager
def listening(converse: Callable[[socket.socket, Listener], None]) -> Iterator[Listener]:
    """Listen on a free port; run `converse` for each connection in a thread of its own."""
    with socket.create_server((_LOOPBACK, 0)) as server:
        listener = Listener(server.getsockname()[1])
        threads: list[threading.Thread] = []

        def accept() -> None:
            # Ends when the socket is closed.
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    listener.connections += 1
                    threads.append(threading.Thread(target=_converse, args=(converse, connection, listener)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield listener
        finally:
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()


def _converse(
    converse: Callable[[socket.socket, Listener], None], connection: socket.socket, listener: Listener
) -> None:
    # A client may hang up at any time.
    with connection, contextlib.suppress(OSError):
        connection.settimeout(10)
        converse(connection, listener)


def answering(reply: bytes, *, then_hang_up: bool = False) -> Callable[[socket.socket, Listener], None]:
    """Return a conversation that answers each received block, or only the first, with these bytes."""

    def converse(connection: socket.socket, listener: Listener) -> None:
        while data := connection.recv(1 << 16):
            listener.received += data
            connection.sendall(reply)
            if then_hang_up:
                return

    return converse


def relaying(url: str, certificate: Path) -> Callable[[socket.socket, Listener], None]:
    """Return a conversation that ends TLS with a certificate, and relays to a server without TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    port = urlsplit(url).port

    def converse(connection: socket.socket, listener: Listener) -> None:
        with (
            context.wrap_socket(connection, server_side=True) as near,
            socket.create_connection((_LOOPBACK, port)) as far,
        ):
            back = threading.Thread(target=_pump, args=(far, near, bytearray()))
            back.start()
            _pump(near, far, listener.received)
            far.shutdown(socket.SHUT_WR)
            back.join()

    return converse


def _pump(source: socket.socket, sink: socket.socket, seen: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            seen += data
            sink.sendall(data)


def write_certificate(path: Path, host: str = _LOOPBACK) -> Path:
    """Write a key and its self-signed certificate for a host into one PEM file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TEST")])
    now = datetime.datetime.now(datetime.UTC)
    hour = datetime.timedelta(hours=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - hour)
        .not_valid_after(now + hour)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    path.chmod(0o600)
    return path
