"""A repr, which may be in tracebacks and debuggers, shows no row, no answer and no secret."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

import pipeline
from pipeline.assemble.parts.platform import endpoint_of, signer_of
from pipeline.ledger.records import Due, InputRecord, NewRun
from pipeline.ledger.staging.staged_chunk import staged_chunk
from pipeline.map import MappingRules, bind, bind_chunks
from pipeline.model import Api, BadRow, Export, Fault, Loss, Lost, Opened, Reply, Row, Status, Trust
from pipeline.read.parquet.text import TextColumn
from pipeline.settings import AlipayAccount, load
from pipeline.tables.chunk import Chunk
from pipeline.tables.outcome_page import Outcome
from pipeline.tables.text_columns import column_of
from pipeline.write.answers.answer_content import parse_answer, trace_id
from pipeline.write.answers.diagnosis import diagnose
from pipeline.write.answers.judge import judge
from pipeline.write.answers.sent_request import sent_request_of
from tests.acceptance.workspace import Workspace, order
from tests.security.planted import ECHO, IDS, PROXY_PASSWORD, TOKEN, USER, secrets

# Bytes that a repr may show: digests, which reveal no id.
DIGESTS = {"lane", "card", "digest"}
# Names of fields with rows, bodies, answers, secrets and texts of a user.
PRIVATE = {
    "apiv3_key", "app_auth_token", "body", "cells", "constants", "content", "data", "encrypt_key", "environ",
    "fields", "headers", "inputs", "node", "openlineage_api_key", "options", "otherwise", "partitions", "password",
    "private", "private_key", "proxy", "secret", "sign", "target", "url", "values",
}  # fmt: skip
# File names, as reports show them, and names of fields.
SHOWABLE = {"pipeline.report.summary.Summary.inputs", "pipeline.run.input_columns.InputColumns.constants"}
# Modules without rows of users, and those that need Airflow or Dagster, which have an environment of their own.
APART = ("pipeline.simulator", "pipeline.__main__", "pipeline.orchestrators.airflow", "pipeline.orchestrators.dagster")
AT = datetime(2025, 11, 20, tzinfo=UTC)
ROW = order(1, user_id=USER, agreement_no=IDS[3], trade_no=IDS[1], ext_info=orjson.dumps({"card": IDS[2]}).decode())


def own_classes() -> Iterator[type]:
    for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
        if not module.name.startswith(APART):
            found = vars(importlib.import_module(module.name)).values()
            yield from (one for one in found if isinstance(one, type) and one.__module__ == module.name)


SHOWN = [
    (f"{kind.__module__}.{kind.__qualname__}.{field.name}", field.name, field.type)
    for kind in own_classes()
    if is_dataclass(kind)
    for field in fields(kind)
    if field.repr
]


def test_no_field_that_holds_rows_or_secrets_is_shown() -> None:
    """Each field that can have a row, a body, an answer or a secret is left out of the repr."""
    assert len(SHOWN) > 200
    assert [place for place, name, _ in SHOWN if name in PRIVATE and place not in SHOWABLE] == []
    binary = [(place, name) for place, name, kind in SHOWN if "bytes" in str(kind) and "Callable" not in str(kind)]
    assert [place for place, name in binary if name not in DIGESTS] == []


def config_of(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MARK_TOKEN", TOKEN)
    zhima = {"encrypt_key_file": "keys/encrypt_key.txt", "app_auth_token_env": "MARK_TOKEN"}
    inputs = {"input": [f"s3://KEY:{PROXY_PASSWORD}@bucket/orders.csv"]}
    workspace.configure({"accounts.zhima": zhima, "jobs.orders": inputs}, certificates=True)
    environ = {"MARK_TOKEN": TOKEN, "HTTPS_PROXY": f"http://etl:{PROXY_PASSWORD}@proxy.example:1"}
    return load(workspace.folder / "backfill.toml", environ=environ, at=datetime.now(UTC))


def test_no_value_between_cell_and_outcome_shows_its_row(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """From cell to outcome, no repr has an id of the row or a secret of the account."""
    config = config_of(workspace, monkeypatch)
    account = config.accounts["zhima"]
    assert isinstance(account, AlipayAccount)
    signer = signer_of(replace(account, proxy=f"http://etl:{PROXY_PASSWORD}@proxy.example:1"), Api.CUMULATION)
    cells = tuple(cell or None for cell in ROW.values())
    constants = {"partner_id": USER, "amount_name": IDS[1]}
    rules = MappingRules(
        export=Export.ORDERS, api=Api.CUMULATION, columns={}, units={}, constants=constants, timezone=ZoneInfo("UTC")
    )
    row = Row(1, cells)
    mapped = bind(rules, tuple(ROW))(row)
    assert isinstance(mapped, tuple)
    (payload,) = mapped
    chunk = bind_chunks(rules, tuple(ROW))(Chunk.of_rows(tuple(ROW), [row]))
    reply = Reply(400, {"alipay-trace-id": f"id-{USER}"}, orjson.dumps({"code": f"NO_{USER}", "message": ECHO}))
    sent = sent_request_of(Api.CUMULATION, payload.request_key, payload.body)
    opened = Opened(Trust.VERIFIED, reply.body, IDS[0])
    due = Due(
        due_no=1,
        row_no=1,
        request_key="A1",
        identity="A1",
        digest=b"",
        body=payload.body,
        lane=payload.lane,
        refund_of=None,
        balance=None,
        position=0,
    )
    lost, options = Lost(Loss.TIMEOUT, ECHO), {"inputs": config.jobs["orders"].inputs}
    outcome = Outcome(
        source_file="a.csv",
        source_row=1,
        request_key="A1",
        status=Status.INVALID,
        code="",
        message="",
        http_status=None,
        attempts=0,
        first_sent_at=None,
        finished_at=None,
        latency_ms=None,
        trace_id=None,
        file_no=1,
        cells=str(ROW),
    )

    values = [
        config,
        *config.accounts.values(),
        *config.jobs.values(),
        endpoint_of(account, config.jobs["orders"]),
        signer,
        signer.sign(payload.body, at=AT, nonce="1"),
        signer_of(account, Api.STATE),
        rules,
        row,
        BadRow(1, Fault("x", "y"), cells),
        Chunk.of_rows(tuple(ROW), [row]),
        TextColumn(column_of(cells)),
        chunk,
        chunk.at(0),
        payload,
        staged_chunk(1, 1, chunk),
        due,
        reply,
        replace(opened, serial=None),
        sent,
        parse_answer(Api.CUMULATION, reply.body, sent.private),
        diagnose(sent, reply, opened),
        judge(sent, reply, opened, doubt=False, at=AT),
        judge(sent, lost, None, doubt=True, at=AT),
        trace_id(Api.CUMULATION, reply, sent.private),
        outcome,
        InputRecord(file_no=1, name="a.csv", location="a.csv", columns=("a",), rows=1, sha256=""),
        NewRun(
            run_id="1",
            job="orders",
            export=Export.ORDERS,
            api=Api.CUMULATION,
            account="zhima",
            limit_per_s=1.0,
            started_at="",
            options=options,
        ),
    ]
    marks = (*IDS, *secrets(workspace.folder))
    assert [(type(value), mark) for value in values for mark in marks if mark in repr(value)] == []
    assert trace_id(Api.CUMULATION, reply, sent.private) == "id-***"


def test_a_config_shows_the_paths_of_secrets_only(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The paths of secret files may be shown, but not their content."""
    shown = repr(config_of(workspace, monkeypatch))

    assert str(Path("keys") / "app_private_key.pem") in shown
    assert [secret for secret in secrets(workspace.folder) if secret in shown] == []
