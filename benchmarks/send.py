"""Sending: the whole path of a row, from the export to its outcome, and what others do for the same."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.contest import Contestant, contest
from benchmarks.measure import CHECKOUT, Cost, Pace, Unavailable, cost_of, number, pace_of, python
from benchmarks.peers.installed import PEERS, Peer, python_of
from benchmarks.scene import Scene
from benchmarks.table import Table

_TEXT = """\
One row: read, mapped, validated, signed, sent to a server on the same machine in a process of its own, its answer
verified, all of it in the ledger, its outcome in the report. The server's CPU time, told in the last column, is in no
other figure, but the same cores have to do it. Aim: 1.2 ms CPU a row and 1,400 rows/s on two cores with `requests`,
0.75 ms and 2,000 rows/s with libcurl."""
_SIGNATURE = "limit: signature alone, `cryptography`"
_SCRIPT = "script, requests, 32 threads"


@dataclass(slots=True)
class _Sender:
    """One way to send so many rows; the server keeps count of what came, and of what that cost it."""

    name: str
    scene: Scene
    act: Callable[[int], Cost]
    rows: int
    requests: int = 0
    cpu_seconds: float = 0.0

    def pace(self) -> Pace:
        """Send; raise Unavailable where not as many requests came as were to come."""
        return pace_of(self._counted, self.rows)

    def server_ms(self) -> str:
        """Return what a request cost the server, on average, as a cell."""
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
    """Return what each way of sending costs."""
    orders = scene.export("orders-sent.csv", "orders", rows)
    # The server signs each answer once: this run, which does not count, makes it do so.
    scene.night("warm-up").backfill("run", "orders", str(orders))
    senders = _senders(scene, orders, rows, environments)
    contestants = [
        Contestant("limit: signature alone, `openssl speed`, one core", _openssl),
        Contestant(_SIGNATURE, partial(pace_of, partial(_sign, scene), rows)),
        *(Contestant(sender.name, sender.pace) for sender in senders),
    ]
    entries = {entry.name: entry for entry in contest(contestants, runs)}
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


# What a job says.
_WAYS = {"requests": "", "libcurl": 'transport = "curl"'}
# What the command exits with when it does not know a key of the config.
_USERS_FAULT = 2


def _cpu_ms(pace: Pace) -> float:
    return pace.cpu_seconds * 1000


def _sign(scene: Scene, count: int) -> Cost:
    return cost_of(python("-m", "benchmarks.limits", "sign", str(count)), folder=scene.folder)


def _openssl() -> Pace:
    try:
        command = ("openssl", "speed", "-seconds", "1", "rsa2048")
        told = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    except (OSError, subprocess.CalledProcessError) as exc:
        raise Unavailable("not here") from exc
    found = re.search(r"rsa +2048 bits +([0-9.]+)s +[0-9.]+s +([0-9.]+)", told)
    if found is None:
        raise Unavailable("its answer is not understood")
    return Pace(1 / float(found[2]), 1 / float(found[2]), 0.0, 0.0)


def _run(scene: Scene, orders: Path, settings: str, rows: int) -> Cost:
    night = scene.night("send", settings)
    try:
        return night.backfill("run", "orders", str(orders), "--limit", str(rows), "--no-progress")
    except Unavailable as exc:
        if exc.exit_code == _USERS_FAULT and settings:
            raise Unavailable("not in this version") from exc
        raise


def _call(scene: Scene, orders: Path, module: str, interpreter: str, rows: int) -> Cost:
    outcomes = scene.night("peer").folder / "outcomes.csv"
    words = (scene.url, str(scene.keys), str(orders), str(outcomes), "--limit", str(rows))
    return cost_of([interpreter, "-m", f"benchmarks.peers.{module}", *words], folder=CHECKOUT)


def _call_peer(scene: Scene, orders: Path, environments: Path | None, peer: Peer, rows: int) -> Cost:
    return _call(scene, orders, peer.module, str(python_of(peer, environments)), rows)
