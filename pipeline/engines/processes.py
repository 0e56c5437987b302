"""Run a Python module in several processes of this machine."""

import subprocess
import sys
from collections.abc import Sequence

# How long a process may take to end. Seconds.
_END_SECONDS = 10.0


class LocalProcesses:
    """Processes that run `python -m MODULE WORD ...`. They are new ones: nothing of this process is copied."""

    def __init__(self, count: int, module: str, words: Sequence[str]) -> None:
        self._count = count
        self._command = [sys.executable, "-P", "-m", module, *words]
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, word: str) -> None:
        """Start them, with one more word."""
        for _ in range(self._count):
            self._running.append(subprocess.Popen([*self._command, word], stdin=subprocess.DEVNULL))

    @property
    def pids(self) -> list[int]:
        """The ids of those that run."""
        return [process.pid for process in self._running if process.poll() is None]

    def are_running(self) -> bool:
        """Return whether any of them runs."""
        return bool(self.pids)

    def stop(self) -> None:
        """End those that run, and wait for their end."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
