"""
Other hosts on this machine: a network namespace, a host name and a clock of their own. They need root.

A host reaches a port of this machine at the same port of its own loopback.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg

from pipeline.simulator import Simulator
from tests.kills.exports import Export
from tests.kills.histories import Killer
from tests.kills.workspace import Workspace, wait_until
from tests.postgresql.crashes import use_ledger
from tests.postgresql.proxy import proxied
from tests.postgresql.server import PostgresServer

# Length of a job's lease in these tests.
LEASE_SECONDS = 3.0
_NEW_NETWORK = 0x40000000


@dataclass(frozen=True, slots=True)
class Host:
    """A host; `ahead` is how far its clocks are ahead of this machine's, in seconds."""

    namespace: str
    ahead: float = 0.0

    @property
    def wrapper(self) -> Sequence[str]:
        """The words before a command that runs on the host."""
        named = ("unshare", "--uts", "sh", "-c", f'hostname {self.namespace}; exec "$@"', "sh")
        return ("nsenter", f"--net=/run/netns/{self.namespace}", *named, *self._clocks)

    @property
    def _clocks(self) -> Sequence[str]:
        if not self.ahead:
            return ()
        # The kernel moves the steady clock. faketime would move it for some calls only, and its waits would not end.
        steady = ("unshare", "--time", f"--monotonic={self.ahead:.0f}", "--fork", "--kill-child")
        return (*steady, "env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "faketime", "-f", f"{self.ahead:+.0f}s")

    def listen(self, port: int) -> socket.socket:
        """Return a socket that listens on a port of the host's loopback."""
        made: list[socket.socket] = []

        def enter() -> None:
            # Only this thread enters the namespace; the socket stays in it.
            with Path(f"/run/netns/{self.namespace}").open("rb") as file:
                if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _NEW_NETWORK):
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            made.append(socket.create_server(("127.0.0.1", port)))

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return made[0]


@contextmanager
def another_host(ports: Sequence[int], ahead: float = 0.0) -> Iterator[Host]:
    """Make a host that reaches these ports of this machine."""
    host = Host(f"host-{uuid4().hex[:8]}", ahead)
    subprocess.run(["ip", "netns", "add", host.namespace], check=True)
    try:
        subprocess.run(["ip", "-n", host.namespace, "link", "set", "lo", "up"], check=True)
        with ExitStack() as proxies:
            for port in ports:
                proxies.enter_context(proxied(port, host.listen(port)))
            yield host
    finally:
        subprocess.run(["ip", "netns", "del", host.namespace], check=True)


class HostedWorkspace(Workspace):
    """
    A workspace whose commands start on one host after another, each with a folder of its own.

    A command waits until the job is free: a process of another host counts as alive until its lease ends.
    """

    module = "tests.postgresql.short_lease"

    def use(self, hosts: Sequence[Host], url: str) -> None:
        """Put the ledger on a server, and copy the folder to each host."""
        use_ledger(self, url)
        self._url, self._hosts = url, list(hosts)
        self._home = self.folder
        for host in hosts:
            shutil.copytree(self._home, self._folder_of(host))

    def _folder_of(self, host: Host) -> Path:
        return self._home.with_name(f"{self._home.name}-{host.namespace}")

    def start(self, *words: str, wrapper: Sequence[str] = ()) -> "subprocess.Popen[str]":
        """Start the command on the next host."""
        wait_until(lambda: is_free(self._url))
        host = self._hosts.pop(0)
        self._hosts.append(host)
        self.folder = self._folder_of(host)
        return super().start(*words, wrapper=(*host.wrapper, *wrapper))


def is_free(url: str) -> bool:
    """Return whether no lease of the ledger lasts."""
    with psycopg.connect(url) as connection:
        try:
            leases = connection.execute("SELECT expires_at FROM jobs WHERE expires_at <> ''").fetchall()
        except psycopg.errors.UndefinedTable:
            return True
    return all(datetime.fromisoformat(end) < datetime.now(UTC) for (end,) in leases)


class HostKiller(Killer):
    """Kills the command at random moments; another host goes on."""

    def __init__(
        self,
        folder: Path,
        simulator: Simulator,
        export: Export,
        *,
        seed: int,
        server: PostgresServer,
        hosts: Sequence[Host],
    ) -> None:
        super().__init__(folder, simulator, export, seed=seed)
        self._server, self._hosts = server, hosts

    def _make_workspace(self, folder: Path) -> Workspace:
        workspace = HostedWorkspace(folder, self._simulator, self._export, concurrency=self._concurrency)
        workspace.use(self._hosts, self._server.database())
        return workspace
