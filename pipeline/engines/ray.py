"""
The part of `Cluster` that speaks to Ray: `python -m pipeline.engines.ray ADDRESS COUNT`.

It reads a command a line from its standard input, writes an event a line to its standard output, both as JSON, and ends
with its input. An actor starts one process on its node. Ray restarts nothing and retries nothing.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

# Longest wait for news of actors, or for a command. Seconds.
_LOOK_SECONDS = 0.2
# How long the processes of a group may take to end before Ray ends their actors.
_PATIENCE_SECONDS = 5.0
# How long the head node may take to accept a connection.
_LOOK_UP_SECONDS = 10.0

_Event = dict[str, Any]
_Say = Callable[[_Event], None]


def _ray() -> Any:
    """Import Ray, which is an extra. Its types do not know all of its options."""
    import ray  # noqa: PLC0415 - see above

    return ray


class _Process:
    """A process on this node. Its standard input is open until `stop`, or until the actor that has it ends."""

    def __init__(self, words: Sequence[str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - words of ours, without a shell
            [sys.executable, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            encoding="utf-8",
            errors="replace",
        )

    def events(self) -> Iterator[_Event]:
        """Yield its begin, each line that it writes to stderr, and its end."""
        facts = {"node": _ray().util.get_node_ip_address(), "pid": self._process.pid}
        yield {"event": "begun", **facts}
        for line in self._process.stderr or ():
            yield {"event": "line", "text": line.rstrip("\n"), **facts}
        yield {"event": "ended", "exit_code": self._process.wait(), **facts}

    def stop(self) -> None:
        """Close its input, and so make it end."""
        if self._process.stdin is not None:
            self._process.stdin.close()


class _Group:
    """The processes of one command: `count` actors, as far as the cluster has free CPUs."""

    def __init__(self, words: Sequence[str], count: int, say: _Say) -> None:
        self._ray = _ray()
        self._say = say
        # The second thread is for `stop`.
        kind = self._ray.remote(
            num_cpus=1, max_restarts=0, max_task_retries=0, max_concurrency=2, scheduling_strategy="SPREAD"
        )(_Process)
        actors = [kind.remote(words) for _ in range(count)]
        self._actors = {actor.events.options(num_returns="streaming").remote(): actor for actor in actors}
        # The first event of each process that has begun.
        self._begun: dict[Any, _Event] = {}

    def look(self, seconds: float) -> None:
        """Wait for events, and pass them on."""
        if not self._actors:
            return
        ready, _ = self._ray.wait(list(self._actors), timeout=seconds, fetch_local=False)
        for stream in ready:
            try:
                event = self._ray.get(next(stream))
            except StopIteration:
                del self._actors[stream]
            except self._ray.exceptions.RayError as exc:
                del self._actors[stream]
                self._say({**self._begun.get(stream, {}), "event": "lost", "text": _short(exc)})
            else:
                self._begun.setdefault(stream, event)
                self._say(event)

    def stop(self) -> None:
        """Make the processes end; kill the actors of those that do not, and of those that have not begun."""
        for stream, actor in [*self._actors.items()]:
            if stream in self._begun:
                actor.stop.remote()
            else:
                self._ray.kill(actor)
                del self._actors[stream]
        until = time.monotonic() + _PATIENCE_SECONDS
        while self._actors and time.monotonic() < until:
            self.look(_LOOK_SECONDS)
        for actor in self._actors.values():
            self._ray.kill(actor)


def _connect(address: str, count: int) -> _Event:
    """Connect to a cluster, or start one on this host; return its nodes and the number of processes of a group."""
    ray = _ray()
    host, _, port = address.rpartition(":")
    if host:
        # Ray would try for minutes.
        socket.create_connection((host.strip("[]"), int(port)), _LOOK_UP_SECONDS).close()
    options: dict[str, Any] = {"include_dashboard": False, "num_cpus": count or None} if address == "local" else {}
    ray.init(address, log_to_driver=False, **options)
    nodes = [
        node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
    ]
    return {"event": "connected", "nodes": nodes, "count": count or len(nodes)}


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:400]


def _serve(commands: "SimpleQueue[Sequence[str] | None]", count: int, say: _Say) -> None:
    """Start a group for each list of words, after the end of the one before; an empty list ends it; None is the end."""
    group: _Group | None = None
    while True:
        try:
            words = commands.get(timeout=0.0 if group else None)
        except Empty:
            if group is not None:
                group.look(_LOOK_SECONDS)
            continue
        if group is not None:
            group.stop()
            group = None
        if words is None:
            return
        if words:
            group = _Group(words, count, say)
        else:
            say({"event": "stopped"})


def _read(commands: "SimpleQueue[Sequence[str] | None]") -> None:
    # Without a buffer, whose lock would abort this process if it ends before its input.
    with open(0, "rb", buffering=0, closefd=False) as lines:
        for line in lines:
            commands.put(json.loads(line))
    commands.put(None)


def _events_to_stdout() -> _Say:
    """Return what writes events to stdout. From now on all else that is written there goes nowhere, as that of Ray."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)

    def say(event: _Event) -> None:
        # The process that reads may have died.
        with suppress(BrokenPipeError):
            out.write(json.dumps(event) + "\n")
            out.flush()

    return say


def main(address: str, count: int) -> None:
    """Serve the process that started this one until its end."""
    say = _events_to_stdout()
    commands: SimpleQueue[Sequence[str] | None] = SimpleQueue()
    threading.Thread(target=_read, args=(commands,), daemon=True).start()
    try:
        connected = _connect(address, count)
    except ImportError as exc:
        say({"event": "missing", "text": _short(exc)})
    except Exception as exc:  # noqa: BLE001 - Ray raises its own and Python's, and this is the only use of them
        say({"event": "failed", "text": _short(exc)})
    else:
        say(connected)
        _serve(commands, connected["count"], say)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
