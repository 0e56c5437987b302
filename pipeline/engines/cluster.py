"""Processes on the nodes of a Ray cluster that end with the process that started them."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

Event = Mapping[str, Any]
"""
What happened, named by `event`.

- `begun`, `line` (`text` is a line of stderr), `ended` (`exit_code`): of the process `pid` on `node`
- `lost` (`text`): Ray says that a process can't be reached. It may live. Without `node` it has not begun
- `closed`: Ray can't be asked any more
"""

# How long Ray may take to connect to a cluster, or to start one. It would try for minutes.
CONNECT_SECONDS = 60.0
# How long all processes may take to end. Ray kills their actors after 5 seconds.
_PATIENCE_SECONDS = 15.0


class Cluster:
    """
    A Ray cluster: `address` is HOST:PORT or `auto`; `local` starts one on this host, which ends with the context.

    `count` processes are started at a time; 0: one for each node. `nodes` are their addresses.

    A process of its own speaks to Ray (`pipeline.engines.ray`). Ray writes to stdout, waits without bound, and ends a
    process that can't reach the head node for a minute. None of that may happen to a run.
    """

    def __init__(self, address: str, count: int = 0, *, connect_seconds: float = CONNECT_SECONDS) -> None:
        self._command = [sys.executable, "-P", "-m", "pipeline.engines.ray", address, str(count)]
        self._connect_seconds = connect_seconds
        self._incoming: SimpleQueue[Event] = SimpleQueue()
        # Events that came while `stop` waited.
        self._seen: list[Event] = []
        self.nodes: Sequence[str] = ()
        self.count = count

    def __enter__(self) -> Self:
        """Connect. Raises ImportError without Ray, and ConnectionError with the reason if there is no such cluster."""
        environ = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
        self._process = subprocess.Popen(  # noqa: S603 - words of ours, without a shell
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, process_group=0,
            env=environ, encoding="utf-8",
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self._connect()
        except BaseException:
            self._end(0.0)
            raise
        return self

    def _connect(self) -> None:
        try:
            first = self._incoming.get(timeout=self._connect_seconds)
        except Empty:
            raise ConnectionError(f"no answer within {self._connect_seconds:g} s") from None
        match first["event"]:
            case "connected":
                self.nodes, self.count = first["nodes"], first["count"]
            case "missing":
                raise ImportError(first["text"])
            case _:
                raise ConnectionError(first["text"])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(_PATIENCE_SECONDS)

    def start(self, words: Sequence[str]) -> None:
        """Start `python WORD...` on the nodes; end the processes that were started before."""
        self._send(words)

    def stop(self) -> None:
        """End the processes, and return once they have ended, or after some seconds."""
        self._send([])
        with suppress(Empty):
            while (event := self._incoming.get(timeout=_PATIENCE_SECONDS))["event"] not in ("stopped", "closed"):
                self._seen.append(event)

    def events(self) -> Iterator[Event]:
        """Yield what happened since the last call."""
        seen, self._seen = self._seen, []
        yield from seen
        while not self._incoming.empty():
            yield self._incoming.get()

    def _send(self, words: Sequence[str]) -> None:
        # Without the other process there are none of its own to end.
        with suppress(BrokenPipeError):
            print(json.dumps(words), file=self._process.stdin, flush=True)

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        with self._process.stdout as lines:
            for line in lines:
                self._incoming.put(json.loads(line))
        self._incoming.put({"event": "closed", "text": "the process that speaks to Ray ended"})

    def _end(self, patience: float) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_PATIENCE_SECONDS)
