"""
`python -m benchmarks.points`: the used share of 5 permits per second, and the refused requests.

A server in its own process counts requests by arrival in a strict sliding window, and answers after 20 to 120 ms. Each
sender signs and sends over the real transport, with 8 threads unless its name has another number.
"""

import argparse
import asyncio
import multiprocessing
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import rsa

from pipeline.clock import SystemClock
from pipeline.ledger.store.quotas import QuotaStore
from pipeline.limits.permits import Permit, Permits
from pipeline.model import Lost, Reply
from pipeline.signing.wechatpay.v3 import WechatPay
from pipeline.write.transport.network import Endpoint
from pipeline.write.transport.requests_transport import RequestsTransport

_LIMIT = 5
_THREADS = 8
_ANSWERS_SECONDS = (0.02, 0.12)
_START_SECONDS = 3.0
_BODY = b'{"openid":"o-1","out_request_no":"pts-1","point_balance":1200,"user_card_code":"0001"}'
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
_REFUSED = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}"


class Over(Exception):
    """The measuring time is over."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Arrival times of accepted requests (steady seconds), and the number of refused ones."""

    accepted: list[float]
    refused: int


class ConnectionHandler(asyncio.Protocol):
    """One connection to the server; all connections share `accepted` and `refused`."""

    def __init__(self, accepted: deque[float], refused: list[float]) -> None:
        self._accepted, self._refused = accepted, refused
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        at = time.monotonic()
        self._unread += data
        _, mark, body = self._unread.partition(b"\r\n\r\n")
        if not mark or len(body) < len(_BODY):
            return
        self._unread = b""
        answer = self._judge(at)
        asyncio.get_running_loop().call_later(random.uniform(*_ANSWERS_SECONDS), self._answer, answer)

    def _judge(self, at: float) -> bytes:
        if len(self._accepted) >= _LIMIT and at - self._accepted[-_LIMIT] < 1.0:
            self._refused.append(at)
            return _REFUSED
        self._accepted.append(at)
        return _OK

    def _answer(self, answer: bytes) -> None:
        assert isinstance(self._transport, asyncio.WriteTransport)
        self._transport.write(answer)


def serve(pipe: Connection) -> None:
    """Send the port through the pipe, serve until a message comes, and send the counts."""
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    accepted, refused, over = deque[float](), list[float](), asyncio.Event()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: ConnectionHandler(accepted, refused), "127.0.0.1", 0)
    loop.add_reader(pipe.fileno(), over.set)
    pipe.send(server.sockets[0].getsockname()[1])
    await over.wait()
    loop.remove_reader(pipe.fileno())
    pipe.send(Counted([*accepted], len(refused)))


class Limiter(Protocol):
    """Decides when each request starts."""

    def take(self, check_running: Callable[[], None]) -> Permit:
        """Wait until the next request may start."""
        ...

    def done(self, permit: Permit, answer: Reply | Lost, /) -> None:
        """Learn from the answer."""
        ...


class Ours:
    """This program's quota, in a file that processes share."""

    def __init__(self, folder: Path) -> None:
        self._store = QuotaStore(folder / "quota")
        self._permits = Permits(self._store, "points", _LIMIT, SystemClock(), "now", 1)

    def take(self, check_running: Callable[[], None]) -> Permit:
        return self._permits.take(check_running)

    def done(self, permit: Permit, answer: Reply | Lost, /) -> None:
        self._permits.give_back(permit, answer.round_trip if isinstance(answer, Reply) else None)
        if isinstance(answer, Reply) and answer.status == 429:
            self._permits.slow_down(None)


class Paced:
    """One request every `seconds`, for any answer; with `rests`, counted from the answer."""

    def __init__(self, seconds: float, *, rests: bool = False) -> None:
        self._seconds, self._rests = seconds, rests
        self._next = 0.0
        self._lock = threading.Lock()

    def take(self, check_running: Callable[[], None]) -> Permit:
        with self._lock:
            at = max(self._next, time.monotonic())
            self._next = at + self._seconds
        time.sleep(max(0.0, at - time.monotonic()))
        check_running()
        return Permit(0, at)

    def done(self, _permit: Permit, _answer: Reply | Lost, /) -> None:
        if self._rests:
            self._next = time.monotonic() + self._seconds


@dataclass(frozen=True, slots=True)
class Sender:
    """A sender: its limiter for each process, made in a folder."""

    make: Callable[[Path], Limiter]
    processes: int = 1
    threads: int = _THREADS


SENDERS = {
    "ours": Sender(Ours),
    "ours, 3 processes": Sender(Ours, processes=3),
    "a pace of 202 ms": Sender(lambda _: Paced(0.202)),
    "a pace of 205 ms": Sender(lambda _: Paced(0.205)),
    "one after another": Sender(lambda _: Paced(0.2, rests=True), threads=1),
}


def send(who: str, port: int, folder: Path, since: float, until: float) -> None:
    """Send from `since` until `until` (steady seconds)."""
    signer = WechatPay(mchid="1", serial_no="1", private_key=rsa.generate_private_key(65537, 2048))
    transport = RequestsTransport(Endpoint(f"http://127.0.0.1:{port}"))
    limiter = SENDERS[who].make(folder)

    def check_running() -> None:
        if time.monotonic() >= until:
            raise Over

    def work() -> None:
        try:
            while True:
                permit = limiter.take(check_running)
                request = signer.sign(_BODY, at=datetime.now(UTC), nonce=f"{random.getrandbits(128):032x}")
                limiter.done(permit, transport.send(request))
        except Over:
            return

    time.sleep(max(0.0, since - time.monotonic()))
    threads = [threading.Thread(target=work) for _ in range(SENDERS[who].threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(who: str, seconds: float) -> tuple[float, int]:
    """Return the used share of all permits of the time, and the number of refused requests."""
    spawn = multiprocessing.get_context("spawn")
    ours, its = spawn.Pipe()
    server = spawn.Process(target=serve, args=(its,), daemon=True)
    server.start()
    port = ours.recv()
    since = time.monotonic() + _START_SECONDS
    with tempfile.TemporaryDirectory() as name:
        where = (who, port, Path(name), since, since + seconds + 1.0)
        senders = [spawn.Process(target=send, args=where) for _ in range(SENDERS[who].processes)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
    ours.send("over")
    counted = ours.recv()
    server.join()
    first = counted.accepted[0]
    return sum(at < first + seconds for at in counted.accepted) / (_LIMIT * seconds), counted.refused


def main() -> int:
    """Measure each sender several times; print the median share, its spread, and all refused requests."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.points", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each measurement (60)")
    parser.add_argument("--times", type=int, default=3, help="measurements of each sender (3)")
    parser.add_argument("--only", default="", help="only senders whose name contains this")
    args = parser.parse_args()
    for who in (who for who in SENDERS if args.only in who):
        measured = [measure(who, args.seconds) for _ in range(args.times)]
        shares, refused = sorted(share for share, _ in measured), sum(count for _, count in measured)
        sys.stdout.write(
            f"{who}: {statistics.median(shares):.1%} of the permits ({shares[0]:.1%} to {shares[-1]:.1%}), "
            f"{refused} refused in {args.times} times {args.seconds:.0f} s\n"
        )
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
