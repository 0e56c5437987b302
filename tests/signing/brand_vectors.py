"""
Makes tests/vectors/wechatpay_brand_sign.json with `cryptography` alone: `python -m tests.signing.brand_vectors`.

The method is that of the worked example in docs/platform/wechatpay-brand-points.md, which is the first vector.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

VECTORS = Path(__file__).parents[1] / "vectors"
FILE = VECTORS / "wechatpay_brand_sign.json"

_PATH = "/brand/card-member/user-points/sync"
_MERCHANT_KEY, _BRAND_KEY = (f"keys/TEST-A-wechatpay-{name}-private-pkcs8.pem" for name in ("merchant", "brand"))
_BALANCE = {
    "out_request_no": "1004-20251120-000001",
    "card_id": "pTESTcardTemplate0000000001",
    "openid": "oTESTopenid000000000000001",
    "user_card_code": "478515830001",
    "point_balance": 1000,
}


def made() -> dict[str, Any]:
    """Return the content of the file."""
    others = {
        "the brand's own key": _compact(_BALANCE),
        "balance 0": _compact({**_BALANCE, "out_request_no": "1004-20251120-000002", "point_balance": 0}),
        "largest balance and a 128 character request number": _compact(
            {**_BALANCE, "out_request_no": "n" * 128, "point_balance": 2**53 - 1}
        ),
        "pretty printed JSON (signed as sent)": json.dumps(
            {**_BALANCE, "out_request_no": "1004-20251120-000003"}, indent=2
        ),
        "text beyond ASCII, as UTF-8": _compact(
            {**_BALANCE, "out_request_no": "1004-20251120-000004", "card_id": "p会员卡é"}
        ),
    }
    vectors = [
        _vector(
            "wbs-A01", "worked example", _compact(_BALANCE), key=_MERCHANT_KEY, nonce="354516E9080DF7301089C140AE2E4426"
        )
    ]
    for number, (title, body) in enumerate(others.items(), 2):
        vectors.append(_vector(f"wbs-A{number:02}", title, body, key=_BRAND_KEY, nonce=f"{number:02}" * 16))
    about = (
        "WeChat Pay brand API request signature (SHA256withRSA). The five items of the header may come in any order."
    )
    return {"format": "wechatpay_brand_sign/1", "about": about, "count": len(vectors), "vectors": vectors}


def _vector(name: str, title: str, body: str, *, key: str, nonce: str, timestamp: int = 1763632800) -> dict[str, Any]:
    serial_no = "5B0A1C2D3E4F60718293A4B5C6D7E8F900000B01"
    text = f"POST\n{_PATH}\n{timestamp}\n{nonce}\n{body}\n"
    private_key = cast("RSAPrivateKey", load_pem_private_key((VECTORS / key).read_bytes(), None))
    signature = base64.b64encode(private_key.sign(text.encode(), PKCS1v15(), SHA256())).decode()
    items = {
        "brand_id": "1004",
        "serial_no": serial_no,
        "timestamp": str(timestamp),
        "nonce_str": nonce,
        "signature": signature,
    }
    return {
        "id": name,
        "title": title,
        "input": {
            "brand_id": "1004",
            "serial_no": serial_no,
            "private_key": key,
            "http_method": "POST",
            "request_uri": _PATH,
            "timestamp": str(timestamp),
            "nonce_str": nonce,
            "body_text": body,
            "body_base64": base64.b64encode(body.encode()).decode(),
        },
        "expect": {
            "string_to_sign": text,
            "string_to_sign_base64": base64.b64encode(text.encode()).decode(),
            "signature": signature,
            "authorization_header": "WECHATPAY-BRAND-SHA256-RSA2048 "
            + ",".join(f'{item}="{value}"' for item, value in items.items()),
        },
        "checked_by": ["python cryptography"],
    }


def _compact(content: Mapping[str, object]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    FILE.write_text(json.dumps(made(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
