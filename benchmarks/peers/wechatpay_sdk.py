"""
The usual SDK for WeChat Pay (wechatpayv3), 32 threads, with a payload of the same size.

    python -m benchmarks.peers.wechatpay_sdk URL KEYS ORDERS OUTCOMES [--limit N]

It stops at the first refused order, and writes no outcomes.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.type import RequestType

from benchmarks.peers.order import Order, arguments, payload_of, read_orders

_CONCURRENCY = 32


def main() -> None:
    """Send all orders through the SDK."""
    args = arguments()
    client = WeChatPay(
        wechatpay_type=WeChatPayType.MINIPROG,
        mchid="1900000001",
        private_key=(args.keys / "apiclient_key.pem").read_text(),
        appid="wxd678efh567hg6787",
        cert_serial_no="3775B6A45ACD588826D15E583A95F5DD00000A01",
        apiv3_key=(args.keys / "apiv3_key.txt").read_text(),
        public_key=(args.keys / "wechatpay_public_key.pem").read_text(),
        public_key_id="PUB_KEY_ID_0114232134912410000000000011111111",
    )
    # The SDK has no setting for the URL, and no call for points.
    core = client._core  # noqa: SLF001
    core._gate_way = args.url  # noqa: SLF001

    def deliver(order: Order) -> None:
        code, _ = core.request("/v3/any", method=RequestType.POST, data=payload_of(order))
        if code != 200:
            raise SystemExit(f"the platform says {code}")

    orders = read_orders(args.orders, args.limit)
    with ThreadPoolExecutor(_CONCURRENCY) as pool:
        while some := list(islice(orders, 1000)):
            list(pool.map(deliver, some))


if __name__ == "__main__":
    main()
