"""The config file and the keys it names: every fault told in one go, then values that need no file."""

from pipeline.settings.cautions import secrets, warnings
from pipeline.settings.jobs.job import ONE_PROCESS
from pipeline.settings.load import load
from pipeline.settings.model import (
    Account,
    AlipayAccount,
    Config,
    Job,
    TransportName,
    WechatAccount,
)

__all__ = [
    "ONE_PROCESS",
    "Account",
    "AlipayAccount",
    "Config",
    "Job",
    "TransportName",
    "WechatAccount",
    "load",
    "secrets",
    "warnings",
]
