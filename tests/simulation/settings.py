"""The config of a simulated job, with accounts that need no keys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from pipeline.ledger.store.port import Server
from pipeline.model import Api, CsvFormat, Export
from pipeline.settings import Account, AlipayAccount, BrandAccount, Config, Job, WechatAccount
from tests.simulation.platform import BRAND_ID
from tests.simulation.scenario import Scenario, Step


def config_of(scenario: Scenario, folder: Path, step: Step, ledger: Path | Server) -> Config:
    """Return the config of a history at one step, with its ledger."""
    job = Job(
        name=step.job,
        export=scenario.export,
        api=scenario.api,
        account="account",
        inputs=(f"{step.job}-{step.day}.csv",),
        rate=scenario.rate_of(step.job),
        concurrency=scenario.concurrency,
        timeout_s=10.0,
        max_attempts=scenario.max_attempts,
        outage_limit_s=scenario.outage_limit,
        timezone=ZoneInfo("Asia/Shanghai"),
        csv=CsvFormat(),
        columns={},
        units={},
        constants=_constants(scenario, changed=step.changed_mapping),
        share=scenario.share,
        trusted_for=scenario.trusted_for,
    )
    account: Any = _account(scenario)
    return Config(
        path=folder / "backfill.toml",
        ledger_path=ledger if isinstance(ledger, Path) else folder / "unused.db",
        accounts={"account": account},
        jobs={step.job: job},
        ledger_server=ledger if isinstance(ledger, Server) else None,
    )


def _constants(scenario: Scenario, *, changed: bool) -> Mapping[str, str]:
    name = "changed" if changed else "name"
    brand = {"brand_id": BRAND_ID} if scenario.api is Api.POINTS else {}
    return {
        Export.ORDERS: {"partner_id": "2088000000000000", "amount_name": name},
        Export.TASKS: {"partner_id": "2088000000000000", "task_name": name},
        Export.POINTS: {**brand, "card_id": "card"},
        Export.STATES: {"category_code": name, "service_id": "1"},
    }[scenario.export]


_NO_KEY = cast("Any", None)


def _account(scenario: Scenario) -> Account:
    if scenario.api is Api.BRAND_POINTS:
        return BrandAccount(
            name="account", brand_id=BRAND_ID, serial_no="A", private_key=_NO_KEY, public_key_id="", public_key=_NO_KEY,
            base_url="https://x", backup_url=None, proxy=None, ca_bundle_file=None, secret_files=(),
        )  # fmt: skip
    if scenario.export is Export.POINTS:
        return WechatAccount(
            name="account", mchid="1", serial_no="A", private_key=_NO_KEY, public_key_id=None, public_key=None,
            platform_certs=(), apiv3_key=None, base_url="https://x", backup_url=None, proxy=None, ca_bundle_file=None,
            secret_files=(),
        )  # fmt: skip
    return AlipayAccount(
        name="account", app_id="1", private_key=_NO_KEY, public_key=None, app_cert=None, alipay_certs=(), root_certs=(),
        encrypt_key=None, app_auth_token=None, base_url="https://x", gateway_url="https://x/gateway.do",
        charset="utf-8", sign_type="RSA2", proxy=None, ca_bundle_file=None, secret_files=(),
    )  # fmt: skip
