"""Sending: the whole path of a row from export to outcome, compared with peers."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.comparison import Candidate, compare
from benchmarks.measure import CHECKOUT, Cost, Pace, Unavailable, cost_of, number, pace_of, python
from benchmarks.peers.installed import PEERS, Peer, python_of
from benchmarks.scene import Scene
from benchmarks.table import Table

_TEXT = """\
Each row is read, mapped, validated, signed, sent to a server in another process on the same machine, its answer
verified, recorded in the ledger and reported. The server's CPU time is in the last column only, but uses the same
cores. Aim: 1.2 ms CPU per row and 1,400 rows/s on 2 cores with `requests`, 0.75 ms and 2,000 rows/s with libcurl."""
_SIGNATURE = "limit: signature alone, `cryptography`"
_SCRIPT = "script, requests, 32 threads"


@dataclass(slots=True)
class _Sender:
    """One way to send rows, with the server's requests and CPU time."""

    name: str
    scene: Scene
    act: Callable[[int], Cost]
    rows: int
    requests: int = 0
    cpu_seconds: float = 0.0

    def pace(self) -> Pace:
        """Send. Raises Unavailable if the server received another number of requests."""
        return pace_of(self._counted, self.rows)

    def server_ms(self) -> str:
        """Return the server's average CPU time per request, as a cell."""
        return number(self.cpu_seconds / self.requests * 1000) if self.requests else ""

    def _counted(self, rows: int) -> Cost:
        self.scene.account()
        cost = self.act(rows)
        account = self.scene.account()
        if account.requests != rows:
            raise Unavailable(f"{account.requests} requests came for {rows} rows")
        self.requests += account.requests
        self.cpu_seconds += account.cpu_seconds
        return cost


def measure(scene: Scene, *, rows: int, runs: int, environments: Path | None) -> Table:
    """Return the cost of each way of sending."""
    orders = scene.export("orders-sent.csv", "orders", rows)
    # This run does not count: the server signs each answer once, here.
    scene.workspace("warm-up").backfill("run", "orders", str(orders))
    senders = _senders(scene, orders, rows, environments)
    candidates = [
        Candidate("limit: signature alone, `openssl speed`, one core", _openssl),
        Candidate(_SIGNATURE, partial(pace_of, partial(_sign, scene), rows)),
        *(Candidate(sender.name, sender.pace) for sender in senders),
    ]
    entries = {entry.name: entry for entry in compare(candidates, runs)}
    server = {sender.name: sender.server_ms() for sender in senders}
    lines = (
        (
            *entry.cells(lambda pace: pace.per_second, _cpu_ms),
            entry.times(entries[_SCRIPT], _cpu_ms),
            entry.times(entries[_SIGNATURE], _cpu_ms),
            server.get(name, ""),
        )
        for name, entry in entries.items()
    )
    columns = (
        "who",
        "requests/s",
        "CPU ms a row",
        "times the script's CPU",
        "times the signature's",
        "server's CPU ms",
    )
    return Table("Send", _TEXT, columns, tuple(lines))


def _senders(scene: Scene, orders: Path, rows: int, environments: Path | None) -> list[_Sender]:
    return [
        *(_Sender(f"backfill, {name}", scene, partial(_run, scene, orders, how), rows) for name, how in _WAYS.items()),
        _Sender(_SCRIPT, scene, partial(_call, scene, orders, "threads", sys.executable), rows),
        *(
            _Sender(peer.name, scene, partial(_call_peer, scene, orders, environments, peer), int(rows * peer.share))
            for peer in PEERS
        ),
    ]


# Settings of the job for each transport.
_WAYS = {"requests": "", "libcurl": 'transport = "curl"'}
# Exit code for an unknown key of the config.
_USERS_FAULT = 2


def _cpu_ms(pace: Pace) -> float:
    return pace.cpu_seconds * 1000


def _sign(scene: Scene, count: int) -> Cost:
    return cost_of(python("-m", "benchmarks.limits", "sign", str(count)), folder=scene.folder)


def _openssl() -> Pace:
    try:
        command = ("openssl", "speed", "-seconds", "1", "rsa2048")
        output = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    except (OSError, subprocess.CalledProcessError) as exc:
        raise Unavailable("openssl is missing") from exc
    found = re.search(r"rsa +2048 bits +([0-9.]+)s +[0-9.]+s +([0-9.]+)", output)
    if found is None:
        raise Unavailable("unknown output of openssl")
    return Pace(1 / float(found[2]), 1 / float(found[2]), 0.0, 0.0)


def _run(scene: Scene, orders: Path, settings: str, rows: int) -> Cost:
    workspace = scene.workspace("send", settings)
    try:
        return workspace.backfill("run", "orders", str(orders), "--limit", str(rows), "--no-progress")
    except Unavailable as exc:
        if exc.exit_code == _USERS_FAULT and settings:
            raise Unavailable("not in this version") from exc
        raise


def _call(scene: Scene, orders: Path, module: str, interpreter: str, rows: int) -> Cost:
    outcomes = scene.workspace("peer").folder / "outcomes.csv"
    words = (scene.url, str(scene.keys), str(orders), str(outcomes), "--limit", str(rows))
    return cost_of([interpreter, "-m", f"benchmarks.peers.{module}", *words], folder=CHECKOUT)


def _call_peer(scene: Scene, orders: Path, environments: Path | None, peer: Peer, rows: int) -> Cost:
    return _call(scene, orders, peer.module, str(python_of(peer, environments)), rows)
