"""
Accounts: their tables checked, and their keys read.

`alipay` and `wechatpay` each check a table and open the account. `certificates` and `network` help both. It imports
`signing` and the modules of `settings` above it, but not `jobs`.
"""
