"""
The script with asyncio and aiohttp, 32 requests in flight.

    python -m benchmarks.peers.async_http URL KEYS ORDERS OUTCOMES [--limit N]
"""

import asyncio
import csv
import json
import sys
from itertools import islice

import aiohttp

from benchmarks.peers.order import PATH, Order, Signer, arguments, is_success, payload_of, read_orders

_CONCURRENCY = 32


async def main() -> int:
    """Send all orders; return 1 if some did not succeed."""
    args = arguments()
    left = 0
    orders, signer = read_orders(args.orders, args.limit), Signer(args.keys)
    with args.outcomes.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        connector = aiohttp.TCPConnector(limit=_CONCURRENCY)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(10)) as session:
            while some := list(islice(orders, 1000)):
                outcomes = await asyncio.gather(*(_deliver(session, args.url, signer, order) for order in some))
                writer.writerows((order["order_id"], outcome) for order, outcome in zip(some, outcomes, strict=True))
                left += len(some) - outcomes.count("succeeded")
    return 1 if left else 0


async def _deliver(session: aiohttp.ClientSession, url: str, signer: Signer, order: Order) -> str:
    body = json.dumps(payload_of(order), ensure_ascii=False).encode()
    for attempt in range(6):
        try:
            return "succeeded" if is_success(order, await _send(session, url + PATH, signer, body)) else "rejected"
        except aiohttp.ClientError:
            await asyncio.sleep(2**attempt)
    return "failed"


async def _send(session: aiohttp.ClientSession, url: str, signer: Signer, body: bytes) -> bytes:
    async with session.post(url, data=body, headers=signer.headers(body)) as answer:
        answer.raise_for_status()
        content: bytes = await answer.read()
        named = answer.headers
        signer.verify(content, named["alipay-timestamp"], named["alipay-nonce"], named["alipay-signature"])
        return content


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
