"""
backfill: nightly batches of loyalty data to Alipay Zhima Go and WeChat Pay, with an outcome for every row.

`pipeline.library` is its face for Python.
"""
