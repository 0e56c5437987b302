"""`backfill check`: findings, columns, exit codes, and nothing sent."""

import json
from dataclasses import replace
from typing import Any

import pytest

from pipeline.simulator import Api, FaultKind, InjectedFault
from tests.acceptance.test_brand_points import BRAND_JOB
from tests.acceptance.workspace import Workspace, balance, order, state, task


@pytest.fixture
def whole(workspace: Workspace) -> Workspace:
    """Return a workspace with an export for each job."""
    workspace.export("orders.csv", [order(1, note="少冰"), order(2)])
    workspace.export("tasks.csv", [task(1)])
    workspace.export("states.csv", [state(1)])
    workspace.export("points.csv", [balance(1, 100)])
    return workspace


def found(workspace: Workspace, *words: str) -> tuple[int, dict[str, Any]]:
    """Return exit code and JSON of a check."""
    result = workspace.backfill("check", "--json", *words)
    printed = json.loads(result.stdout)
    assert printed["exit_code"] == result.exit_code
    return result.exit_code, printed


def test_a_right_config_has_no_finding_to_fix(whole: Workspace) -> None:
    """All is ok: jobs, keys, clock, shared quota and ledger. No row is sent, and no ledger is made."""
    exit_code, printed = found(whole)

    assert {finding["level"] for finding in printed["findings"]} == {"ok"}
    assert exit_code == 0
    assert whole.requests() == []
    assert not (whole.folder / "state").exists()
    messages = [f"{finding['what']}: {finding['message']}" for finding in printed["findings"]]
    assert f"account zhima: {whole.simulator.url} answers; the clock is right to a second" in messages
    assert (
        "quota of alipay.cumulation: jobs orders, tasks share 200 requests per second of "
        "Alipay app 2021000000000001 (simulated)" in messages
    )


def test_columns_are_listed_with_three_values(whole: Workspace) -> None:
    """Mapped columns have sample values without ids; constants, absent fields and unused columns are named."""
    _, printed = found(whole, "orders")

    columns = printed["columns"]["orders"]
    assert columns["file"] == "orders.csv"
    assert {each["field"]: each["samples"] for each in columns["mapped"]} == {
        "out_biz_no": ["A1", "A2"],
        "agreement_no": ["<20 characters>"],
        "user_id": ["<16 characters>"],
        "biz_time": ["2025-11-20 10:00:00"],
        "biz_action": ["ORDER_PAID"],
        "pay_out_biz_no": [],
        "trade_no": ["T1", "T2"],
        "trade_amount": ["12.50"],
    }
    assert columns["constants"] == ["partner_id", "amount_name"]
    assert columns["unused"] == ["note"]
    assert "discount_name" in columns["absent"]
    assert list(printed["columns"]) == ["orders"]


def test_ids_are_shown_on_request(whole: Workspace) -> None:
    """--show-ids shows the values as they are."""
    _, printed = found(whole, "orders", "--show-ids")

    samples = {each["field"]: each["samples"] for each in printed["columns"]["orders"]["mapped"]}
    assert samples["user_id"] == ["2088000000000001", "2088000000000002"]


def test_all_faults_are_listed_at_once(whole: Workspace) -> None:
    """A missing input, a missing column and a wrong key are three findings of one check, and exit 2."""
    (whole.folder / "tasks.csv").unlink()
    whole.export("points.csv", [{"openid": "o1", "point_balance": "5"}])
    (whole.folder / "keys" / "app_private_key.pem").write_text("no key", encoding="utf-8")

    exit_code, printed = found(whole)

    assert exit_code == 2
    errors = [f"{each['what']}: {each['message']}" for each in printed["findings"] if each["level"] == "error"]
    assert [error.partition(":")[0] for error in errors] == ["config", "job tasks", "job points"]
    assert "app_private_key.pem" in errors[0]
    assert "no file matches 'tasks.csv'" in errors[1]
    assert "points.csv: no column or constant feeds user_card_code" in errors[2]


def test_warnings_exit_with_3(whole: Workspace) -> None:
    """A key that others can read, and a platform that does not answer, are warnings."""
    (whole.folder / "keys" / "app_private_key.pem").chmod(0o644)

    exit_code, printed = found(whole, "orders")

    assert exit_code == 3
    (warning,) = [each["message"] for each in printed["findings"] if each["level"] == "warning"]
    assert "users other than its owner may open" in warning


def test_findings_are_lines_of_text(whole: Workspace) -> None:
    """Without --json each finding is one line, columns come first, and the last line counts."""
    result = whole.backfill("check", "states")

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0] == "columns of job states, in states.csv:"
    assert "  out_biz_no       = out_biz_no: S1" in lines
    assert lines[-1] == "0 to fix, 0 warnings, 7 ok: nothing was sent"


def test_an_unreadable_config_exits_with_2(whole: Workspace) -> None:
    """A config that is no TOML is reported as every command does."""
    (whole.folder / "backfill.toml").write_text("[jobs", encoding="utf-8")

    result = whole.backfill("check")

    assert result.exit_code == 2
    assert "backfill.toml" in result.stderr


def test_the_platform_accepts_the_signatures(whole: Workspace) -> None:
    """--online sends one signed request for each account, which reports nothing."""
    exit_code, printed = found(whole, "--online")

    messages = [each["message"] for each in printed["findings"]]
    accepted = f"{whole.simulator.url} accepts the signature, and its own signature verifies"
    assert (exit_code, messages.count(accepted)) == (0, 2)
    assert [entry.api for entry in whole.simulator.journal.entries] == [Api.AGREEMENT_QUERY, Api.USER_CARDS]


def test_a_brand_asks_for_cards_at_its_own_path(workspace: Workspace) -> None:
    """The request of a brand is signed with the scheme of brands."""
    workspace.configure(BRAND_JOB)
    workspace.export("brand.csv", [balance(1, 5)])

    _, printed = found(workspace, "brand", "--online")

    assert printed["findings"][-4]["message"].startswith(f"{workspace.simulator.url} answers; the clock")
    assert [(entry.api, entry.merchant) for entry in workspace.simulator.journal.entries] == [(Api.USER_CARDS, "1004")]


@pytest.mark.parametrize(
    ("fault", "level", "text"),
    [
        (InjectedFault(FaultKind.REFUSE, code="invalid-signature", status=401), "error", "refuses the account"),
        (InjectedFault(FaultKind.REFUSE, code="AGREEMENT_NOT_EXIST"), "ok", "refuses the made-up question"),
        (InjectedFault(FaultKind.THROTTLE), "warning", "gave no usable answer"),
    ],
    ids=["signature", "question", "throttled"],
)
def test_the_answer_decides(whole: Workspace, fault: InjectedFault, level: str, text: str) -> None:
    """A refused signature must be fixed; a refusal of the made-up agreement is fine; a throttled request warns."""
    whole.simulator.set_faults([replace(fault, api=Api.AGREEMENT_QUERY)])

    _, printed = found(whole, "orders", "--online")

    (finding,) = [each for each in printed["findings"] if text in each["message"]]
    assert (finding["level"], finding["what"]) == (level, "account zhima")
