"""Processes of this host that end with the process that started them."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, Self

_POLL_SECONDS = 0.05


class ProcessGroup:
    """
    Processes of one command. Each has a pipe as its standard input, and is expected to end when that is closed.

    So they also end if this process dies. Signals of a terminal do not reach them. Those that do not end within
    `patience` seconds are killed. `environ` are variables besides those of this process. If it `is_read`, the standard
    output of each is a pipe, too. All have the descriptors `files` of open files.
    """

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        *,
        patience: float,
        environ: Mapping[str, str] | None = None,
        is_read: bool = False,
        files: Sequence[int] = (),
    ) -> None:
        self._command = command
        self._count = count
        self._stdout = subprocess.PIPE if is_read else subprocess.DEVNULL
        self._patience = patience
        self._files = files
        self._environ = {**os.environ, **(environ or {})}
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            for _ in range(self._count):
                self._processes.append(
                    subprocess.Popen(  # noqa: S603 - words of ours, without a shell
                        self._command,
                        stdin=subprocess.PIPE,
                        stdout=self._stdout,
                        process_group=0,
                        env=self._environ,
                        pass_fds=self._files,
                    )
                )
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def pipes(self) -> list[tuple[IO[bytes], IO[bytes]]]:
        """Return standard input and output of each process that is read. The reader closes the output."""
        return [(each.stdin, each.stdout) for each in self._processes if each.stdin and each.stdout]

    def ended(self) -> list[tuple[int, int]]:
        """Return PID and exit code of each process that has ended since the last call."""
        ended = [process for process in self._processes if process.poll() is not None]
        for process in ended:
            self._close(process)
            self._processes.remove(process)
        return [(process.pid, process.returncode) for process in ended]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            self._close(process)
        until = time.monotonic() + self._patience
        for process in self._processes:
            try:
                process.wait(max(_POLL_SECONDS, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @staticmethod
    def _close(process: subprocess.Popen[bytes]) -> None:
        if process.stdin is not None:
            # It may have ended before it read all.
            with suppress(BrokenPipeError):
                process.stdin.close()
