"""
The quota: permits to start attempts, so that the platform never counts more requests per second than it allows.

Read in this order: `window` (the arithmetic, pure functions), `route` (measurements of the way to the platform),
`permits` (threads and processes that share a quota).

It may import `model` and `clock`. The store of a quota's state is a protocol in `permits`.
"""
