"""
A Ray cluster of two nodes on this machine, with addresses of their own.

`ray.init` would replace 127.0.0.1 by this machine's outward address, under which no node joins.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from tests.postgresql.server import free_port

CHECKOUT = Path(__file__).parents[2]
HEAD, SECOND = "127.0.0.2", "127.0.0.3"
# The processes of a node are in one session, but for the workers, which have this variable. Ray's own may lose it.
_MARK = "BACKFILL_TEST_CLUSTER"
_START_SECONDS = 90
_END_SECONDS = 20
# One worker a node, and no more memory and processes than needed.
_SIZES = ("--num-cpus=1", "--object-store-memory=80000000", "--include-log-monitor=false", "--disable-usage-stats")


@dataclass
class RayNodes:
    """The nodes that run; `address` is that of the cluster."""

    folder: Path
    port: int = field(default_factory=free_port)
    mark: str = field(default_factory=lambda: uuid4().hex)
    sessions: set[int] = field(default_factory=set)

    @property
    def address(self) -> str:
        return f"{HEAD}:{self.port}"

    def start_head(self) -> None:
        """Start the head node."""
        self._start(HEAD, "--head", f"--port={self.port}", "--include-dashboard=false", "--no-monitor",
                    f"--temp-dir={self.folder}")  # fmt: skip

    def start_second(self) -> None:
        """Start the second node, also after its death."""
        self._start(SECOND, f"--address={self.address}")

    def _start(self, node: str, *words: str) -> None:
        environ = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        # Workers find modules of the tests. None is started before it is needed. No token of the user is asked for.
        own = {"PYTHONPATH": str(CHECKOUT), "RAY_prestart_worker_first_driver": "0", "RAY_AUTH_MODE": "disabled"}
        # Ray notes its newest cluster in a file of this folder.
        environ |= {**own, "RAY_TMPDIR": str(self.folder), _MARK: self.mark}
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--node-ip-address={node}", *words, *_SIZES]
        starting = subprocess.Popen(
            command, env=environ, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True, encoding="utf-8",
        )  # fmt: skip
        self.sessions.add(starting.pid)
        output, _ = starting.communicate(timeout=_START_SECONDS)
        assert starting.returncode == 0, output

    def kill_raylet(self, node: str) -> None:
        """Kill the process that makes a node of this machine, and wait for its end. Ray learns of it late."""
        (raylet,) = [pid for pid, words in self.processes().items() if _is_raylet(words, node)]
        os.kill(raylet, signal.SIGKILL)
        until = time.monotonic() + _END_SECONDS
        while raylet in self.processes():
            assert time.monotonic() < until

    def kill_all(self) -> None:
        """Kill all processes of the cluster, and those that it started."""
        self._kill(lambda _words: True)

    def kill_workers(self) -> None:
        """Kill actors and what they started, also of a node that died without them."""
        self._kill(is_worker)

    def _kill(self, is_wanted: Callable[[Sequence[str]], bool]) -> None:
        until = time.monotonic() + _END_SECONDS
        while found := {pid: words for pid, words in self.processes().items() if is_wanted(words)}:
            assert time.monotonic() < until, found
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def processes(self) -> Mapping[int, Sequence[str]]:
        """Return the words of each process of the cluster, and of those that its processes started."""
        found: dict[int, Sequence[str]] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            # Processes end while they are read, and those of other users can't be.
            with suppress(OSError):
                state, _, _, session, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
                mark = f"{_MARK}={self.mark}".encode()
                if state != "Z" and (int(session) in self.sessions or mark in (folder / "environ").read_bytes()):
                    found[int(folder.name)] = (folder / "cmdline").read_text(errors="replace").split("\0")
        return found


def _is_raylet(words: Sequence[str], node: str) -> bool:
    return words[0].endswith("/raylet") and f"--node_ip_address={node}" in words


def is_worker(words: Sequence[str]) -> bool:
    """Return whether a process is an actor of ours, or was started by one."""
    return words[0].startswith("ray::_Process") or "--until-input-ends" in words


@contextmanager
def two_nodes() -> Iterator[RayNodes]:
    """Run a cluster in a folder of its own; nothing of it is left afterwards."""
    # Names of sockets may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    nodes = RayNodes(folder)
    try:
        nodes.start_head()
        nodes.start_second()
        yield nodes
    finally:
        nodes.kill_all()
        shutil.rmtree(folder)
