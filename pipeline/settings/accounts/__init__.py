"""
Accounts: their tables checked, and their keys read.

`alipay`, `wechatpay` and `brand` each check a table and open the account. `certificates` and `network` help them. It
imports `signing` and the modules of `settings` above it, but not `jobs`.
"""
