"""A config with one job whose platform is a simulator, and orders for it."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from pipeline.simulator import Simulator, client_config, write_client_keys
from tests import signals

_JOB = """
[jobs.orders]
export = "orders"
api = "alipay.cumulation"
account = "zhima"
rate = 100
[jobs.orders.constants]
partner_id = "2088000000000000"
amount_name = "orders"
agreement_no = "20255108518085620001"
user_id = "2088000000005001"
biz_time = "2025-11-20 10:00:00"
"""


python_handles_sigint = signals.python_handles_sigint


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def config(tmp_path: Path, simulator: Simulator) -> Path:
    write_client_keys(tmp_path / "keys")
    path = tmp_path / "backfill.toml"
    path.write_text(client_config(simulator.url) + _JOB, encoding="utf-8")
    return path


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """An export with a valid and an invalid row."""
    path = tmp_path / "orders.csv"
    path.write_text("out_biz_no,trade_no,trade_amount\nA-1,T1,12.50\nA-2,T2,wrong\n", encoding="utf-8")
    return path


@pytest.fixture
def frame() -> pd.DataFrame:
    """Two valid rows."""
    return pd.DataFrame({"out_biz_no": ["A-1", "A-2"], "trade_no": ["T1", "T2"], "trade_amount": [12.5, 18.0]})
