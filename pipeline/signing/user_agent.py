"""What the program calls itself. WeChat Pay answers 400 to a request without it (wechatpay-v3-points.md, section 3)."""

from typing import Final

USER_AGENT: Final = "loyalty-backfill"
