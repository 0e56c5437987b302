"""
Who learns of runs: the tables `notify` and `telemetry` of the config.

- `notify`: robots, web servers and mail servers that get messages
- `telemetry`: where metrics, traces and lineage events go

Imports `accounts.network` (URLs, proxies, CA bundles) and the ground of `settings`.
"""
