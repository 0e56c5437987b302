"""
`init`: a folder to start from, with config, test keys, sample exports and a README.

Read `files`, then `samples`; `templates/` holds the texts. The config works at once against `backfill simulate`.
It imports `report.files` for workbooks, the simulator's test keys, `tables`, `errors`; only `cli` imports it.
"""

from pipeline.starter.files import write_starter

__all__ = ["write_starter"]
