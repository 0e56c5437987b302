"""The quota: how many seconds until the next request may start."""
