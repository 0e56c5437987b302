"""
The platform's own SDK (alipay-sdk-python), one call after another, because its signing blocks all threads.

    python -m benchmarks.peers.alipay_sdk URL KEYS ORDERS OUTCOMES [--limit N]

It stops at the first refused order, and writes no outcomes.
"""

import json
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from alipay.aop.api.AlipayClientConfig import AlipayClientConfig
from alipay.aop.api.DefaultAlipayClient import DefaultAlipayClient
from alipay.aop.api.request.ZhimaCreditPeZmgoCumulationSyncRequest import ZhimaCreditPeZmgoCumulationSyncRequest
from alipay.aop.api.util import WebUtils

from benchmarks.peers.order import APP_ID, arguments, payload_of, read_orders


def main() -> None:
    """Send all orders through the SDK."""
    args = arguments()
    config = AlipayClientConfig()
    config.server_url = f"{args.url}/gateway.do"
    config.app_id = APP_ID
    config.app_private_key = _bare(args.keys / "app_private_key_pkcs1.pem")
    config.alipay_public_key = _bare(args.keys / "alipay_public_key.pem")
    client = DefaultAlipayClient(config)
    # The SDK knows port 80 only.
    WebUtils.get_http_connection = _connection
    for order in read_orders(args.orders, args.limit):
        request = ZhimaCreditPeZmgoCumulationSyncRequest()
        request.biz_content = payload_of(order)
        answer = json.loads(client.execute(request))
        if answer["code"] != "10000":
            raise SystemExit(f"the platform says {answer['code']}")


def _connection(url: str, query: str, timeout: float) -> tuple[str, HTTPConnection]:
    """Return where a request goes, and how."""
    parts = urlsplit(url)
    return f"{parts.path}?{query}", HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)


def _bare(path: Path) -> str:
    """Return a key as the SDK takes it: base64 without the lines around it."""
    return "".join(line for line in path.read_text().splitlines() if not line.startswith("-"))


if __name__ == "__main__":
    main()
