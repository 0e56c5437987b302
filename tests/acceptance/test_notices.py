"""Messages, metrics, traces and lineage events of the command, at real receivers on loopback."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.acceptance.workspace import Workspace, order
from tests.notify.loopback import WebServer, web_server

TOKEN = "d41d8cd98f00b204e9800998ecf8427e"
USER, AGREEMENT = "2088765432109876", "20259988776655443322"
USERS = {"user_id": USER, "agreement_no": AGREEMENT}


@pytest.fixture
def team(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A web server that the config names as a receiver of changes."""
    with web_server() as server:
        monkeypatch.setenv("TEAM_URL", f"{server.url}/{TOKEN}")
        workspace.configure({"notify.team": {"type": "webhook", "url_env": "TEAM_URL"}})
        yield server


def events(server: WebServer) -> list[tuple[str, int, int | None]]:
    """Return event, exit code and exit code before of each message."""
    bodies = [json.loads(received.body) for received in server.requests]
    return [(body["event"], body["exit_code"], body["exit_code_before"]) for body in bodies]


def test_a_failure_and_a_recovery_are_sent_once(workspace: Workspace, team: WebServer) -> None:
    """Five nights: good, rows left, rows left again, not started, good. `plan` sends nothing."""
    nights = [[order(1)], [order(2, trade_amount="x")], [order(3, trade_amount="x")], None, [order(5)]]
    exit_codes = []
    for rows in nights:
        if rows is None:
            (workspace.folder / "orders.csv").unlink()
        else:
            workspace.export("orders.csv", rows)
        exit_codes.append(workspace.backfill("run", "orders").exit_code)
    workspace.backfill("plan", "orders")

    assert exit_codes == [0, 3, 3, 2, 0]
    assert events(team) == [("failed", 3, 0), ("failed", 2, None), ("recovered", 0, 3)]


def test_a_fix_is_a_recovery(workspace: Workspace, team: WebServer) -> None:
    """The run of the fixed rows ends with 0 after a run with rows left."""
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])
    workspace.backfill("run", "orders")
    fix = workspace.reports()[-1] / "rows_to_fix.csv"
    fix.write_text(fix.read_text(encoding="utf-8-sig").replace(",x,", ",1.00,"), encoding="utf-8")

    assert workspace.backfill("run", "orders", str(fix)).exit_code == 0
    assert events(team) == [("failed", 3, 0), ("recovered", 0, 3)]


def test_a_resumed_run_is_measured_against_its_own_first_end(workspace: Workspace, team: WebServer) -> None:
    """A run that stopped at a limit and then ended well is a failure and a recovery."""
    workspace.export("orders.csv", [order(1), order(2)])
    assert workspace.backfill("run", "orders", "--until", workspace.now()).exit_code == 5
    assert workspace.backfill("resume", "last").exit_code == 0

    assert events(team) == [("failed", 5, 0), ("recovered", 0, 5)]


def test_messages_hold_neither_ids_nor_secrets(workspace: Workspace, team: WebServer) -> None:
    """Rows that are wrong in many ways, with ids in wrong columns."""
    rows = [order(1, **USERS, trade_amount=USER), order(2, user_id=AGREEMENT), order(3, **USERS, biz_action=USER)]
    workspace.export("orders.csv", rows)

    ended = workspace.backfill("run", "orders", "--json")

    (received,) = team.requests
    assert (ended.exit_code, json.loads(received.body)["run"]["counts"]["invalid"]) == (3, 3)
    assert [mark for mark in (USER, AGREEMENT, TOKEN) if mark in received.body.decode()] == []
    assert TOKEN not in ended.stdout + ended.stderr


def test_a_receiver_that_is_down_changes_no_exit_code(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report is complete, the exit code is that of the run, and the log has a warning without the URL."""
    monkeypatch.setenv("TEAM_URL", f"http://127.0.0.1:9/{TOKEN}")
    workspace.configure({"notify.team": {"type": "dingtalk", "url_env": "TEAM_URL", "when": "always"}})
    workspace.export("orders.csv", [order(1)])

    ended = workspace.backfill("run", "orders")

    assert (ended.exit_code, workspace.results()) == (0, ["succeeded SUCCESS"])
    assert "WARNING [notify.team]: 127.0.0.1:9 can't be reached (NewConnectionError)" in ended.stderr
    assert TOKEN not in ended.stderr


def test_metrics_replace_no_file_of_the_user(workspace: Workspace) -> None:
    """`--metrics-file` refuses an export, a key, the config, the ledger and the file of a receiver's URL."""
    names = ["orders.csv", "keys/app_private_key.pem", "backfill.toml", "state/backfill.db", "url"]
    (workspace.folder / "url").write_text("https://example.com/hook", encoding="utf-8")
    (workspace.folder / "url").chmod(0o600)
    workspace.configure({"notify.team": {"type": "webhook", "url_file": "url", "jobs": ["points"]}})
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")
    before = [(workspace.folder / name).read_bytes() for name in names]

    ended = [workspace.backfill("run", "orders", "--metrics-file", name) for name in names]
    ended += [workspace.backfill(command, "last", "--metrics-file", names[0]) for command in ("rerun", "resume")]

    assert {(each.exit_code, "is not overwritten" in each.stderr) for each in ended} == {(2, True)}
    assert [(workspace.folder / name).read_bytes() for name in names] == before


def test_metrics_are_written_at_the_end_of_a_run(workspace: Workspace) -> None:
    """The path is relative to the working directory."""
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])

    assert workspace.backfill("run", "orders", "--metrics-file", "orders.prom").exit_code == 3
    lines = (workspace.folder / "orders.prom").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith(("backfill_exit_code", "backfill_rows_left"))] == [
        'backfill_rows_left{job="orders"} 1.0',
        'backfill_exit_code{job="orders"} 3.0',
    ]


def spans_of(body: bytes) -> set[str]:
    request = ExportTraceServiceRequest.FromString(body)
    return {span.name for each in request.resource_spans for scope in each.scope_spans for span in scope.spans}


def test_trace_and_lineage_go_where_the_environment_says(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run has one trace with its phases, and its begin and end as events with its input."""
    workspace.export("orders.csv", [order(1)])
    with web_server([(200, b"")]) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        monkeypatch.setenv("OPENLINEAGE_URL", server.url)
        ended = workspace.backfill("run", "orders")

    received: dict[str, list[Any]] = {}
    for request in server.requests:
        received.setdefault(request.path, []).append(request.body)
    (trace,), lineage = received["/v1/traces"], [json.loads(body) for body in received["/api/v1/lineage"]]
    assert (ended.exit_code, len(received["/v1/metrics"])) == (0, 1)
    assert spans_of(trace) == {"run orders", "reading", "deciding", "sending", "writing"}
    assert [event["eventType"] for event in lineage] == ["START", "COMPLETE"]
    assert [each["name"] for each in lineage[1]["inputs"]] == [str(Path(workspace.folder / "orders.csv"))]
    assert "WARNING" not in ended.stderr
