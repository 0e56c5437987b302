"""
The retry matrix as data: conditions, their rules, and the platform codes that belong to them.

Read `condition` (the types), then the rules (`answers`, `statuses`, `codes`), then the platforms' codes (`alipay`,
`wechatpay`). The table for people is docs/platform/retry-matrix.md. It may import `model` only.
"""
