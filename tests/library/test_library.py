"""The Python API."""

from pathlib import Path

import pytest

from pipeline.errors import LedgerError
from pipeline.library import rerun, run
from pipeline.simulator import Simulator, client_config, write_client_keys

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


def config_for(folder: Path, url: str) -> Path:
    write_client_keys(folder / "keys")
    config = folder / "backfill.toml"
    config.write_text(client_config(url) + _JOB, encoding="utf-8")
    return config


def test_a_job_runs_from_python_and_its_outcome_is_a_frame(tmp_path: Path) -> None:
    """`run` returns exit code, summary and a DataFrame of outcomes; a `rerun` reports the rows left."""
    orders = tmp_path / "orders.csv"
    orders.write_text("out_biz_no,trade_no,trade_amount\nA-1,T1,12.50\nA-2,T2,wrong\n", encoding="utf-8")
    with Simulator() as simulator:
        config = config_for(tmp_path, simulator.url)
        result = run(config, "orders", [str(orders)], environ={})
        again = rerun(config, result.run_id, environ={})

    frame = result.outcome()
    assert (result.exit_code, again.exit_code, again.summary["rows"]) == (3, 3, 0)
    assert frame[["source_row", "request_key", "status", "code"]].to_numpy().tolist() == [
        [1, "A-1", "succeeded", "SUCCESS"],
        [2, "A-2", "invalid", "field_invalid"],
    ]
    assert result.summary["counts"]["succeeded"] == 1


def test_a_run_that_could_not_begin_releases_its_job(tmp_path: Path) -> None:
    """The same process can run the job again once the cause is fixed."""
    orders = tmp_path / "orders.csv"
    orders.write_text("out_biz_no,trade_no,trade_amount\nA-1,T1,12.50\n", encoding="utf-8")
    with Simulator() as simulator:
        config = config_for(tmp_path, simulator.url)
        quota = tmp_path / "state" / "backfill.db-quota"
        quota.parent.mkdir()
        quota.write_bytes(b"torn" * 500)
        with pytest.raises(LedgerError, match="damaged"):
            run(config, "orders", [str(orders)], environ={})
        quota.unlink()

        assert run(config, "orders", [str(orders)], environ={}).exit_code == 0
