"""The values of a config, with its keys read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from pipeline.language import later
from pipeline.ledger.store.port import Server
from pipeline.model import DEFAULT_MAX_INVALID, Api, CsvFormat, Export, Int96, LaneOrder, RowLimit


@dataclass(frozen=True, slots=True)
class AlipayAccount:
    """
    An Alipay app, and the keys that it signs and verifies with.

    Public key mode has `public_key`; certificate mode has `app_cert`, `alipay_certs` and `root_certs` instead.
    `proxy` and `ca_bundle_file` come from the config, else from the environment; None means none. No other code reads
    these environment variables. `secret_files` should be readable by their owner only.
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
    A WeChat Pay merchant, and the keys that it signs and verifies with.

    Answers are verified with `public_key`, `platform_certs`, certificates downloaded with `apiv3_key`, or several of
    them. `serial_no` is in capitals, as the platform writes it. `proxy`, `ca_bundle_file` and `secret_files` are as
    in `AlipayAccount`.
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


@dataclass(frozen=True, slots=True)
class BrandAccount:
    """
    A brand that calls WeChat Pay itself, and the keys that it signs and verifies with.

    All of them are the brand's own, apart from those of any merchant. There are no platform certificates. The other
    fields are as in `WechatAccount`.
    """

    name: str
    brand_id: str
    serial_no: str
    private_key: RSAPrivateKey = field(repr=False)
    public_key_id: str
    public_key: RSAPublicKey
    base_url: str
    backup_url: str | None
    proxy: str | None = field(repr=False)
    ca_bundle_file: Path | None
    secret_files: tuple[Path, ...]


Account = AlipayAccount | WechatAccount | BrandAccount


class AccountKind(StrEnum):
    """The kind of an account, in the words of a fault."""

    ALIPAY = "alipay"
    MERCHANT = later("wechatpay with mchid")
    BRAND = later("wechatpay with brand_id")


class TransportName(StrEnum):
    """The HTTP client that sends the requests of a job."""

    REQUESTS = "requests"
    CURL = "curl"


@dataclass(frozen=True, slots=True)
class Job:
    """
    One export, read, mapped and sent to one API with one account.

    - `inputs` are as written, with `{date}` not filled in, relative to the config file's folder. None are given where
      the command line names them.
    - `rate` is in requests per second; this program uses `share` of it. `concurrency` is the most requests in flight.
    - `columns`, `units` (`yuan` or `fen`), `constants`, `defaults` and `formats` are by field. The name of a dotted
      field is whole, such as `biz_data.city`.
    - `formats` are forms of a field's times, beside the built-in ones.
    - `values` are by field and word, `filter` holds the wanted texts by column.
    - `ready` names a file that must be beside the inputs.
    - `sheet` is that of a workbook, None the first one.
    - `int96` says how INT96 times count where the file does not say.
    - `trusted_for` is how long a confirmed balance counts as what the platform has. None is for ever: nobody else sends
      balances. If others do, it is `unchanged_for`, or zero.
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
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    defaults: Mapping[str, str] = field(default_factory=dict, repr=False)
    filter: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    order: LaneOrder = LaneOrder.SOURCE
    transport: TransportName = TransportName.REQUESTS
    formats: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sends_suspicious_ids: bool = False
    max_failures: RowLimit | None = None
    max_invalid: RowLimit = DEFAULT_MAX_INVALID
    ready: str | None = None
    sheet: str | None = None
    int96: Int96 | None = None
    share: float = 1.0
    trusted_for: timedelta | None = None
    processes: int = 1

    @property
    def limit_per_s(self) -> float:
        """The requests per second of this program."""
        # 100 * 0.29 is a little less than 29, which would allow 28.
        return float(f"{self.rate * self.share:.9g}")


class ReceiverType(StrEnum):
    """What receives messages: a group robot, any web server, or a mail server."""

    DINGTALK = "dingtalk"
    WECOM = "wecom"
    FEISHU = "feishu"
    WEBHOOK = "webhook"
    MAIL = "mail"


class When(StrEnum):
    """After which runs of a job a message is sent: those that end otherwise than the one before, failed ones, all."""

    CHANGE = "change"
    FAILURE = "failure"
    ALWAYS = "always"


class MailTls(StrEnum):
    """How the connection to a mail server is encrypted."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class WebReceiver:
    """
    A robot or web server that receives messages about some jobs.

    The URL is a secret, because a robot's URL holds its token. `secret` signs messages to DingTalk and Feishu; None
    means unsigned. `proxy`, `ca_bundle_file` and `secret_files` are as in `AlipayAccount`.
    """

    name: str
    type: ReceiverType
    when: When
    jobs: frozenset[str]
    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    ca_bundle_file: Path | None = None
    secret_files: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class MailReceiver:
    """A mail server that receives messages about some jobs, with their sender and recipients."""

    name: str
    when: When
    jobs: frozenset[str]
    host: str
    port: int
    tls: MailTls
    user: str | None
    password: str | None = field(repr=False)
    sender: str
    recipients: tuple[str, ...]
    ca_bundle_file: Path | None = None
    secret_files: tuple[Path, ...] = ()


Receiver = WebReceiver | MailReceiver


@dataclass(frozen=True, slots=True)
class Telemetry:
    """
    Where metrics, traces (OTLP) and lineage events (OpenLineage) go; None is nowhere.

    The values come from the config, else from the environment. `namespace` is that of jobs in lineage events.
    """

    otlp_endpoint: str | None = None
    openlineage_url: str | None = None
    openlineage_api_key: str | None = field(default=None, repr=False)
    namespace: str = "backfill"


@dataclass(frozen=True, slots=True)
class Config:
    """
    A config file without a fault.

    `accounts` holds the accounts whose keys were read; `unused_accounts` names those that no job uses. `key_files` are
    all files that accounts and receivers name. `receivers` is empty if no key was read. `backup_path` is where the
    newest copy of the ledger should be. With `ledger_server` the ledger is there, and `ledger_path` names no file.
    """

    path: Path
    ledger_path: Path
    accounts: Mapping[str, Account]
    jobs: Mapping[str, Job]
    unused_accounts: tuple[str, ...] = ()
    key_files: tuple[Path, ...] = ()
    receivers: tuple[Receiver, ...] = ()
    telemetry: Telemetry = field(default_factory=Telemetry)
    backup_path: Path | None = None
    ledger_server: Server | None = None

    @property
    def ledger(self) -> Path | Server:
        """The ledger: a file, or a database on a server."""
        return self.ledger_server or self.ledger_path

    @property
    def folder(self) -> Path:
        """The folder that relative inputs start from, and that holds `reports/`."""
        return self.path.absolute().parent
