"""
The most used SDK for Alipay (python-alipay-sdk), 32 threads.

    python -m benchmarks.peers.python_alipay_sdk URL KEYS ORDERS OUTCOMES [--limit N]

It stops at the first refused order, and writes no outcomes.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from alipay import AliPay

from benchmarks.peers.order import APP_ID, Order, arguments, payload_of, read_orders

_CONCURRENCY = 32


def main() -> None:
    """Send all orders through the SDK."""
    args = arguments()
    client = AliPay(
        appid=APP_ID,
        app_notify_url=None,
        app_private_key_string=(args.keys / "app_private_key.pem").read_text(),
        alipay_public_key_string=(args.keys / "alipay_public_key.pem").read_text(),
    )
    # The SDK has no setting for the URL.
    client._gateway = f"{args.url}/gateway.do"  # noqa: SLF001

    def deliver(order: Order) -> None:
        answer = client.server_api("zhima.credit.pe.zmgo.cumulation.sync", payload_of(order))
        if answer["code"] != "10000":
            raise SystemExit(f"the platform says {answer['code']}")

    orders = read_orders(args.orders, args.limit)
    with ThreadPoolExecutor(_CONCURRENCY) as pool:
        while some := list(islice(orders, 1000)):
            list(pool.map(deliver, some))


if __name__ == "__main__":
    main()
