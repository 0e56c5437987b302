"""Starting a process of this program that shares nothing with this one but a tether."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

# PR_SET_PDEATHSIG of linux/prctl.h.
_SIGNAL_AT_DEATH_OF_PARENT = 1
# A terminal sends them to all processes at once: the run's own process answers them for all of its crews.
_NOT_FOR_CREWS = (signal.SIGINT, signal.SIGTERM)


class Process(Protocol):
    """A process that was started, as `subprocess` has it."""

    @property
    def pid(self) -> int:
        """Its number."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; return the exit code, or the number of the signal that ended it, negative."""
        ...


@dataclass(frozen=True, slots=True)
class Started:
    """A process, and this end of the tether to it. The tether closes when the process dies, whatever kills it."""

    process: Process
    connection: "Connection[Any, Any]"


Start = Callable[[], Started]


def spawned(module: str) -> Started:
    """
    Start a fresh interpreter that calls `main(fd)` of a module; the other end of the tether is its `fd`.

    Nothing is forked that goes on: threads, open ledgers and TLS states stay here alone. SIGINT and SIGTERM are
    blocked in it from its first moment on.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        number = theirs.fileno()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_FOR_CREWS)
        try:
            process = subprocess.Popen(  # noqa: S603 - this interpreter, and words of ours alone
                [sys.executable, "-P", "-c", f"from {module} import main; main({number})"],
                pass_fds=(number,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path)},
            )
        except BaseException:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return Started(process, Connection(ours.detach()))


def end_with_parent() -> None:
    """
    Have the system kill this process when the one that started it dies, also while it is stopped.

    Stopped, it would not see that its tether is closed, and might hold the lock of the quota. Where a system can't do
    that, it ends as soon as it wakes.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SIGNAL_AT_DEATH_OF_PARENT, signal.SIGKILL)
