"""The config file and the keys it names: every fault told in one go, then values that need no file."""

from pipeline.settings.cautions import secrets, warnings
from pipeline.settings.load import load
from pipeline.settings.model import (
    Account,
    AlipayAccount,
    Config,
    Job,
    LedgerUrl,
    PostgresUrl,
    SqliteUrl,
    TransportName,
    WechatAccount,
)

__all__ = [
    "Account",
    "AlipayAccount",
    "Config",
    "Job",
    "LedgerUrl",
    "PostgresUrl",
    "SqliteUrl",
    "TransportName",
    "WechatAccount",
    "load",
    "secrets",
    "warnings",
]
