"""What a server that logs every statement knows of a run afterwards."""

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pipeline.cli.main import main
from tests.acceptance.workspace import balance, order, refund, state
from tests.postgresql.server import SETTINGS, PostgresServer, running
from tests.senders.scene import scene_on

_LOG = ("log_min_messages=warning", "log_statement=all", "logging_collector=on", "log_filename=server.log")
_USER = "2088777700001234"
# Values of rows, apart from their keys.
_IDS = {"user_id": _USER, "agreement_no": "20255108518099887766", "openid": "oSECRET", "user_card_code": "889900112233"}


@pytest.fixture(scope="module")
def logging_server() -> Iterator[PostgresServer]:
    """A server that logs every statement."""
    with running((*SETTINGS, *_LOG)) as server:
        yield server


def test_the_text_of_statements_names_nobody(
    tmp_path: Path, logging_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With parameters left out of the log, as the how-to advises, it has no id or key of a row, and no merchant."""
    monkeypatch.chdir(tmp_path)
    ids = {name: _IDS[name] for name in ("user_id", "agreement_no")}
    with scene_on(logging_server, tmp_path) as scene:
        database = scene.url.rpartition("/")[2]
        with psycopg.connect(scene.url, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {database} SET log_parameter_max_length = 0".encode())
        for part in range(2):
            rows = [order(n, **ids, out_biz_no=f"PAY-{n}") for n in range(part, 8, 2)]
            scene.export(f"orders-{part}.csv", [*rows, refund(part, part, **ids, pay_out_biz_no=f"PAY-{part}")])
        scene.export("states.csv", [state(1, user_id=_USER, out_biz_no="OBJECT-1")])
        scene.export("points.csv", [balance(1, 5, openid=_IDS["openid"], user_card_code=_IDS["user_card_code"])])
        scene.configure({"jobs.orders": {"input": ["orders-*.csv"], "processes": 2}})
        ends = [main(["run", job]) for job in ("orders", "states", "points")]
        keys, config = scene.keys(), (tmp_path / "backfill.toml").read_text(encoding="utf-8")
    logged = (logging_server.folder / "data" / "log" / "server.log").read_text(encoding="utf-8")
    merchants = re.findall(r'^(?:app_id|mchid) = "(\d+)"', config, re.MULTILINE)

    assert ends == [0, 0, 0]
    assert len(keys) == 12
    assert len(merchants) == 2
    assert "UPDATE quotas SET state" in logged
    assert [each for each in (*_IDS.values(), "OBJECT-1", *keys, *merchants) if each in logged] == []
