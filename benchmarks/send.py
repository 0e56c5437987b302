"""Sending: the whole path of a row, from the export to its outcome, and what others do for the same."""

import re
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.contest import Contestant, contest
from benchmarks.measure import CHECKOUT, Cost, Pace, Unavailable, cost_of, pace_of, python
from benchmarks.peers.installed import PEERS, Peer, python_of
from benchmarks.scene import Scene
from benchmarks.table import Table

_TEXT = """\
One row: read, mapped, validated, signed, sent to a server on the same machine in a process of its own, its answer
verified, all of it in the ledger, its outcome in the report. An answer takes that server a few hundredths of a
millisecond, which count in no row but are part of what both cores have to do. Aim: 1.2 ms CPU a row and 1,400 rows/s
on two cores with `requests`, 0.75 ms and 2,000 rows/s with libcurl."""
_SIGNATURE = "limit: signature alone, `cryptography`"
_SCRIPT = "script, requests, 16 threads"


def measure(scene: Scene, *, rows: int, runs: int, environments: Path | None) -> Table:
    """Return what each way of sending costs."""
    orders = scene.export("orders-sent.csv", "orders", rows)
    # The server signs each answer once: this run, which does not count, makes it do so.
    scene.night("warm-up").backfill("run", "orders", str(orders))
    scene.account()
    contestants = [
        Contestant("limit: signature alone, `openssl speed`, one core", _openssl),
        Contestant(_SIGNATURE, partial(pace_of, lambda n: cost_of(_limit(n), folder=scene.folder), rows)),
        *(
            Contestant(f"backfill, {name}", partial(pace_of, _counted(scene, partial(_run, scene, orders, *how)), rows))
            for name, how in _WAYS.items()
        ),
        Contestant(_SCRIPT, partial(pace_of, _counted(scene, partial(_script, scene, orders)), rows)),
        *(Contestant(peer.name, partial(_peer, scene, orders, rows, environments, peer)) for peer in PEERS),
    ]
    entries = contest(contestants, runs)
    named = {entry.name: entry for entry in entries}
    lines = (
        (
            *entry.cells(lambda pace: pace.per_second, _cpu_ms),
            entry.times(named[_SCRIPT], _cpu_ms),
            entry.times(named[_SIGNATURE], _cpu_ms),
        )
        for entry in entries
    )
    columns = ("who", "requests/s", "CPU ms a row", "times the script's CPU", "times the signature's")
    return Table("Send", _TEXT, columns, tuple(lines))


# What a job says, and what the command line says.
_WAYS = {
    "requests": ("", ()),
    "requests, 2 processes": ("", ("--processes", "2")),
    "libcurl": ('transport = "curl"', ()),
    "libcurl, 2 processes": ('transport = "curl"', ("--processes", "2")),
}
# What the command exits with when it does not know an option, or a key of the config.
_USERS_FAULT = 2


def _cpu_ms(pace: Pace) -> float:
    return pace.cpu_seconds * 1000


def _counted(scene: Scene, act: Callable[[int], Cost]) -> Callable[[int], Cost]:
    """Make sure that as many requests came as were to come."""

    def counted(rows: int) -> Cost:
        scene.account()
        cost = act(rows)
        came = scene.account().requests
        if came != rows:
            raise Unavailable(f"{came} requests came for {rows} rows")
        return cost

    return counted


def _limit(count: int) -> list[str]:
    return python("-m", "benchmarks.limits", "sign", str(count))


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


def _run(scene: Scene, orders: Path, settings: str, options: tuple[str, ...], rows: int) -> Cost:
    night = scene.night("send", settings)
    try:
        return night.backfill("run", "orders", str(orders), "--limit", str(rows), "--no-progress", *options)
    except Unavailable as exc:
        if exc.exit_code == _USERS_FAULT and (settings or options):
            raise Unavailable("not in this version") from exc
        raise


def _script(scene: Scene, orders: Path, rows: int) -> Cost:
    return cost_of(_peer_command(python(), "threads", scene, orders, rows), folder=CHECKOUT)


def _peer(scene: Scene, orders: Path, rows: int, environments: Path | None, peer: Peer) -> Pace:
    interpreter = [str(python_of(peer, environments))]

    def act(count: int) -> Cost:
        return cost_of(_peer_command(interpreter, peer.module, scene, orders, count), folder=CHECKOUT)

    return pace_of(_counted(scene, act), int(rows * peer.share))


def _peer_command(interpreter: list[str], module: str, scene: Scene, orders: Path, rows: int) -> list[str]:
    outcomes = scene.night("peer").folder / "outcomes.csv"
    words = (scene.url, str(scene.keys), str(orders), str(outcomes), "--limit", str(rows))
    return [*interpreter, "-m", f"benchmarks.peers.{module}", *words]
