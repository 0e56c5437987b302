"""
The User-Agent. WeChat Pay answers 400 without one (docs/platform/wechatpay-v3-points.md, Signature of the request).
"""

from typing import Final

USER_AGENT: Final = "loyalty-backfill"
