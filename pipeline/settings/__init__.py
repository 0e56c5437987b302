"""
The config file and its keys: all faults in one error, then plain values.

Read in this order:

1. `model`: the values, `Config`, `Job` and the accounts.
2. `load`: the steps from a path to a `Config`.
3. `document`, `json_copy`, `structure`: TOML, and its check against schemas/config.json.
4. `table`, `wording`: one table of the config, and how its faults are worded.
5. `jobs/`: what a job says. `accounts/`: accounts with their keys. `ledger`: where the ledger is.
6. `key_material`: keys and secrets from files and environment variables.
7. `receivers/`: who gets messages, metrics, traces and lineage events.
8. `cautions`: warnings that do not stop a run, and the texts that logs must mask.

It imports `signing` (to load and check keys), `model`, `errors`, `resources`, and no other room.
"""

from pipeline.settings.cautions import secrets, warnings
from pipeline.settings.jobs.job import ONE_PROCESS
from pipeline.settings.load import load
from pipeline.settings.model import (
    Account,
    AlipayAccount,
    BrandAccount,
    Config,
    Job,
    MailReceiver,
    MailTls,
    Receiver,
    ReceiverType,
    Telemetry,
    TransportName,
    WebReceiver,
    WechatAccount,
    When,
)

__all__ = [
    "ONE_PROCESS",
    "Account",
    "AlipayAccount",
    "BrandAccount",
    "Config",
    "Job",
    "MailReceiver",
    "MailTls",
    "Receiver",
    "ReceiverType",
    "Telemetry",
    "TransportName",
    "WebReceiver",
    "WechatAccount",
    "When",
    "load",
    "secrets",
    "warnings",
]
