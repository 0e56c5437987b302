"""
A simple script: 32 threads, requests, tenacity, cryptography, csv.

    python -m benchmarks.peers.threads URL KEYS ORDERS OUTCOMES [--limit N] [--dry-run]

Orders that succeeded are in OUTCOMES and not sent again. Two copies of the script send an order twice, and so does a
crash between an answer and its line.
"""

import csv
import json
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import requests
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from benchmarks.peers.order import PATH, Order, Signer, arguments, is_success, payload_of, read_orders

_local = threading.local()
_CONCURRENCY = 32


def main() -> int:
    """Send all orders that are not in OUTCOMES; return 1 if some did not succeed."""
    args = arguments()
    signer, done = Signer(args.keys), _done(args.outcomes)
    orders = (order for order in read_orders(args.orders, args.limit) if order["order_id"] not in done)
    if args.dry_run:
        return _plan(orders)
    left = 0
    with args.outcomes.open("a", encoding="utf-8", newline="") as file, ThreadPoolExecutor(_CONCURRENCY) as pool:
        writer = csv.writer(file)
        # In slices, because a pool queues all work at once, and 5 million orders would fill the memory.
        while some := list(islice(orders, 1000)):
            outcomes = list(pool.map(partial(_deliver, args.url, signer), some))
            writer.writerows((order["order_id"], outcome) for order, outcome in zip(some, outcomes, strict=True))
            left += len(some) - outcomes.count("succeeded")
    return 1 if left else 0


def _done(outcomes: Path) -> set[str]:
    if not outcomes.exists():
        return set()
    with outcomes.open(encoding="utf-8", newline="") as file:
        return {key for key, outcome in csv.reader(file) if outcome == "succeeded"}


def _plan(orders: Iterator[Order]) -> int:
    to_send = invalid = 0
    for order in orders:
        try:
            json.dumps(payload_of(order))
            to_send += 1
        except (ValueError, ArithmeticError):
            invalid += 1
    sys.stdout.write(f"{to_send} to send, {invalid} invalid\n")
    return 1 if invalid else 0


def _deliver(url: str, signer: Signer, order: Order) -> str:
    try:
        body = json.dumps(payload_of(order), ensure_ascii=False).encode()
    except (ValueError, ArithmeticError):
        return "invalid"
    try:
        return "succeeded" if is_success(order, _send(url + PATH, signer, body)) else "rejected"
    except Exception as exc:  # noqa: BLE001 - one order must not stop the others
        return f"failed: {type(exc).__name__}"


@retry(
    retry=retry_if_exception_type(requests.RequestException),
    wait=wait_random_exponential(max=60),
    stop=stop_after_attempt(6),
)
def _send(url: str, signer: Signer, body: bytes) -> bytes:
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
    answer = _local.session.post(url, data=body, headers=signer.headers(body), timeout=10)
    answer.raise_for_status()
    named = answer.headers
    signer.verify(answer.content, named["alipay-timestamp"], named["alipay-nonce"], named["alipay-signature"])
    return bytes(answer.content)


if __name__ == "__main__":
    sys.exit(main())
