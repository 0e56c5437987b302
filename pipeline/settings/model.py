"""What the config file says, with its keys read: values that no longer need the file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from pipeline.model import Api, CsvFormat, Export, LaneOrder


@dataclass(frozen=True, slots=True)
class AlipayAccount:
    """
    An Alipay app and what it signs and verifies with.

    Public key mode has `public_key`; certificate mode has `app_cert`, `alipay_certs` and `root_certs` instead.
    `proxy` and `ca_bundle_file` are settled between config and environment: nothing else reads HTTPS_PROXY or a CA
    bundle's variable, None means none. `secret_files` are those that only the owner should be able to read.
    """

    name: str
    app_id: str
    private_key: RSAPrivateKey = field(repr=False)
    public_key: RSAPublicKey | None
    app_cert: x509.Certificate | None
    alipay_certs: tuple[x509.Certificate, ...]
    root_certs: tuple[x509.Certificate, ...]
    encrypt_key: bytes | None = field(repr=False)
    app_auth_token: str | None = field(repr=False)
    base_url: str
    gateway_url: str
    charset: str
    sign_type: str
    proxy: str | None = field(repr=False)
    ca_bundle_file: Path | None
    secret_files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class WechatAccount:
    """
    A WeChat Pay merchant and what it signs and verifies with: a public key, certificates, the APIv3 key, or several.

    `serial_no` is in capitals, as the platform writes it. `proxy`, `ca_bundle_file` and `secret_files` are as in
    `AlipayAccount`.
    """

    name: str
    mchid: str
    serial_no: str
    private_key: RSAPrivateKey = field(repr=False)
    public_key_id: str | None
    public_key: RSAPublicKey | None
    platform_certs: tuple[x509.Certificate, ...]
    apiv3_key: bytes | None = field(repr=False)
    base_url: str
    backup_url: str | None
    proxy: str | None = field(repr=False)
    ca_bundle_file: Path | None
    secret_files: tuple[Path, ...]


Account = AlipayAccount | WechatAccount


class TransportName(StrEnum):
    """What carries the requests of a job."""

    REQUESTS = "requests"
    CURL = "curl"


@dataclass(frozen=True, slots=True)
class Job:
    """
    One export, read, mapped and sent to one API with one account.

    `inputs` are as written, `{date}` unfilled, relative to the config file's folder; none means that the command
    line names them. A dotted field such as `biz_data.city` stands in `columns` and `constants` under that name;
    `units` are `yuan` or `fen`.
    """

    name: str
    export: Export
    api: Api
    account: str
    # A URI may hold credentials.
    inputs: tuple[str, ...] = field(repr=False)
    rate: float
    concurrency: int
    timeout_s: float
    max_attempts: int
    outage_limit_s: float
    timezone: ZoneInfo
    csv: CsvFormat
    columns: Mapping[str, str]
    units: Mapping[str, str]
    constants: Mapping[str, str] = field(repr=False)
    order: LaneOrder = LaneOrder.SOURCE
    transport: TransportName = TransportName.REQUESTS


@dataclass(frozen=True, slots=True)
class Config:
    """
    A config file without a fault.

    `accounts` holds those whose keys were asked for and read; `unused_accounts` names those of no job.
    """

    path: Path
    ledger_path: Path
    accounts: Mapping[str, Account]
    jobs: Mapping[str, Job]
    unused_accounts: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder that inputs start from and that `reports/` lies in."""
        return self.path.absolute().parent
