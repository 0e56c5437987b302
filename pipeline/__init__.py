"""
backfill: sends nightly batches of loyalty data to Alipay Zhima Go and WeChat Pay; every row gets an outcome.

Read in this order:

- `cli` -> `assemble` -> `run`: the command, the parts it needs, and stage -> deliver -> conclude
- `notify`: what others learn of a run: messages, metrics, traces, lineage events
- `read`, `map`, `write`: the stages; none imports another
- `settings`: the config; `signing`, `limits`, `ledger`, `report`, `engines`: services
- `tables`: the data between the stages
- `model`, `errors`, `clock`, `resources`, `redact`, `language`: the ground, which imports nothing of ours
- `simulator`: a local stand-in for the platforms
- `library`: the Python API; `alias`: the wheel's package `backfill`
- `orchestrators`: Airflow and Dagster; they start the command

Imports point down this list; import-linter checks it.
"""

from functools import cache


@cache
def version() -> str:
    """Return the version of the installed distribution."""
    from importlib import metadata  # noqa: PLC0415 - slow to load, and seldom needed

    try:
        return metadata.version("loyalty-backfill")
    except metadata.PackageNotFoundError:
        return "(not installed)"
