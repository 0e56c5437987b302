"""Code that the peers share: command line, payload of an order, signatures."""

import argparse
import base64
import csv
import json
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

PATH = "/v3/zhima/credit/pe/zmgo/cumulation/sync"
APP_ID = "2021000000000001"

Order = dict[str, str]


def arguments() -> argparse.Namespace:
    """Return the arguments: URL, keys, orders, and the file for outcomes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    for name in ("keys", "orders", "outcomes"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--limit", type=int, default=-1, help="send the first N orders only")
    parser.add_argument("--dry-run", action="store_true", help="count what would be sent")
    return parser.parse_args()


def read_orders(path: Path, limit: int) -> Iterator[Order]:
    """Yield the first rows of an export."""
    with path.open(encoding="utf-8", newline="") as file:
        for number, order in enumerate(csv.DictReader(file)):
            if number == limit:
                return
            yield order


def payload_of(order: Order) -> dict[str, object]:
    """Return the payload of an order. Raises ValueError for an order that can't be sent."""
    if not order["agreement_no"] or order["action"] not in ("ORDER_PAID", "ORDER_REFUND"):
        raise ValueError("a field is missing or unknown")
    amount = Decimal(order["paid_yuan"])
    if amount < 0 or amount != round(amount, 2):
        raise ValueError("the amount is wrong")
    data: dict[str, object] = {
        "name": "消费金额",
        "trade_info": {"trade_no": order["trade_no"], "amount": f"{amount:.2f}"},
    }
    if order["discount_fen"]:
        data["out_discount_infos"] = [
            {
                "discount_name": order["discount_name"],
                "discount_type": "exclusiveDiscount",
                "discount_amount": f"{Decimal(order['discount_fen']) / 100:.2f}",
            }
        ]
    payload: dict[str, object] = {
        "agreement_no": order["agreement_no"],
        "partner_id": "2088000000000000",
        "out_biz_no": order["order_id"],
        "biz_time": f"{datetime.fromisoformat(order['paid_at']):%Y-%m-%d %H:%M:%S}",
        "request_from": "ExternalMerchantSource",
        "biz_action": order["action"],
        "cumulate_data_type": "AMOUNT",
        "amount_type_data": data,
    }
    for name, column in (("user_id", "user_id"), ("open_id", "open_id"), ("pay_out_biz_no", "refund_of")):
        if order[column]:
            payload[name] = order[column]
    return payload


class Signer:
    """Signs requests and checks answers with the keys of one folder."""

    def __init__(self, keys: Path) -> None:
        private = load_pem_private_key((keys / "app_private_key.pem").read_bytes(), None)
        public = load_pem_public_key((keys / "alipay_public_key.pem").read_bytes())
        assert isinstance(private, RSAPrivateKey)
        assert isinstance(public, RSAPublicKey)
        self._private, self._public = private, public

    def headers(self, body: bytes) -> dict[str, str]:
        """Return the headers of a request with this body."""
        auth = f"app_id={APP_ID},nonce={uuid.uuid4().hex},timestamp={time.time_ns() // 1_000_000}"
        text = f"{auth}\nPOST\n{PATH}\n".encode() + body + b"\n"
        sign = base64.b64encode(self._private.sign(text, PKCS1v15(), SHA256())).decode()
        return {"Authorization": f"ALIPAY-SHA256withRSA {auth},sign={sign}", "Content-Type": "application/json"}

    def verify(self, body: bytes, timestamp: str, nonce: str, signature: str) -> None:
        """Raise InvalidSignature for an answer that the platform did not sign."""
        text = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
        self._public.verify(base64.b64decode(signature), text, PKCS1v15(), SHA256())


def is_success(order: Order, body: bytes) -> bool:
    """Return whether the answer confirms this order."""
    return bool(json.loads(body).get("out_biz_no") == order["order_id"])
