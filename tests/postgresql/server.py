"""
A PostgreSQL server for one pytest process: Debian's package, a data folder of its own, a loopback port.

It is started with the first use and ends with the process. Each test gets a database, copied from a template.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg

# Where Debian, and others, put the server's programs.
PLACES = ("/usr/lib/postgresql/*/bin", "/usr/sbin", "/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin")
# A test server need not outlive the machine.
SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "max_connections=300",
    "autovacuum=off",
    "log_min_messages=fatal",
    "jit=off",
)
# Seconds that a server may take to start.
START_SECONDS = 60
_LOOK_SECONDS = 0.02


def program(name: str) -> str:
    """Return the path of one of the server's programs. `make test` installs them."""
    for place in PLACES:
        found = sorted(Path("/").glob(f"{place[1:]}/{name}"))
        if found:
            return str(found[-1])
    raise FileNotFoundError(f"{name} of PostgreSQL is missing; `make test` installs Debian's package postgresql")


def unprivileged() -> Sequence[str]:
    """Return what runs a program as another user where this one is root: the server refuses root."""
    if os.geteuid() != 0:
        return ()
    user = pwd.getpwnam("postgres")
    return ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--")


def chown(path: Path) -> None:
    """Give a file to the user that the server runs as."""
    if os.geteuid() == 0:
        shutil.chown(path, "postgres", "postgres")


def free_port() -> int:
    """Return a port of the loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class PostgresServer:
    """A server that runs; `url` names its database `postgres`."""

    folder: Path
    port: int
    settings: Sequence[str] = SETTINGS
    process: subprocess.Popen[bytes] | None = None

    def url_of(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = [part for setting in self.settings for part in ("-c", setting)]
        self.process = subprocess.Popen(
            [*unprivileged(), program("postgres"), "-D", str(self.folder / "data"), "-p", str(self.port),
             "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}", *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder,
        )  # fmt: skip
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise
                time.sleep(_LOOK_SECONDS)
            else:
                return

    def kill(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End the server at once, as a crash does, and wait until it is gone."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def database(self, template: str = "template1") -> str:
        """Make a database; return its URL."""
        return self.make(f"ledger_{uuid4().hex}", template)

    def make(self, name: str, template: str) -> str:
        """Make a database of this name; return its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY".encode())
        return self.url_of(name)

    def drop(self, url: str) -> None:
        """Delete a database, also one in use."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)".encode())


@contextmanager
def running(settings: Sequence[str] = SETTINGS) -> Iterator[PostgresServer]:
    """Run a server in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="backfill-postgresql-"))
    try:
        chown(folder)
        command = [*unprivileged(), program("initdb"), "-D", str(folder / "data"), "-U", "postgres", "-A", "trust",
                   "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
        server = PostgresServer(folder, free_port(), settings)
        server.start()
        try:
            yield server
        finally:
            server.kill(signal.SIGINT)
    finally:
        shutil.rmtree(folder)
