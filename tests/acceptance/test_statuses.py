"""Every status and its codes in the outcome file."""

from collections.abc import Mapping

import pytest

from pipeline.simulator import Api, FaultKind, InjectedFault
from tests.acceptance.workspace import ROWS, Workspace, balance, order, state

LOST = InjectedFault(FaultKind.LOSE_AFTER_APPLYING)
LOST_ONCE = InjectedFault(FaultKind.LOSE_AFTER_APPLYING, times=1)


@pytest.mark.parametrize(
    ("job", "code"), [("orders", "SUCCESS"), ("tasks", "SUCCESS"), ("states", "10000"), ("points", "SUCCESS")]
)
def test_succeeded_has_the_platforms_code(job: str, code: str, workspace: Workspace) -> None:
    """A row that the platform confirms is succeeded, with the platform's code."""
    assert workspace.run_one_row(job) == (0, [f"succeeded {code}"])


@pytest.mark.parametrize(
    ("job", "code"),
    [("orders", "already_succeeded"), ("states", "unchanged"), ("points", "unchanged")],
)
def test_the_same_file_again_sends_nothing(job: str, code: str, workspace: Workspace) -> None:
    """Delivered rows are skipped, and no request is sent."""
    workspace.run_one_row(job)
    first = workspace.requests()

    assert workspace.run_one_row(job) == (0, [f"skipped {code}"])
    assert workspace.requests() == first


def test_of_several_balances_of_a_card_the_newest_is_sent(workspace: Workspace) -> None:
    """Within a run, older balances are superseded, by updated_at if present, else by their order."""
    rows = [balance(1, 10), balance(1, 20), balance(2, 7, updated_at="2025-11-20 10:00:00")]
    workspace.export("points.csv", [*rows, balance(2, 5, updated_at="2025-11-20 09:00:00")])

    ended = workspace.backfill("run", "points")

    assert (ended.exit_code, workspace.results()) == (
        0,
        ["skipped superseded", "succeeded SUCCESS", "succeeded SUCCESS", "skipped superseded"],
    )
    assert [entry.points for entry in workspace.simulator.journal.entries] == [20, 7]


def test_a_row_twice_in_a_run_is_sent_once(workspace: Workspace) -> None:
    """The same key and content again is a duplicate row."""
    workspace.export("orders.csv", [order(1), order(1)])

    ended = workspace.backfill("run", "orders")

    assert (ended.exit_code, workspace.results(), workspace.requests()) == (
        0,
        ["succeeded SUCCESS", "skipped duplicate_row"],
        ["A1"],
    )


def test_a_key_with_other_content_is_a_conflict_in_a_run_and_across_runs(workspace: Workspace) -> None:
    """The same key with other content is invalid, whether the first was in this run or an earlier one."""
    workspace.export("orders.csv", [order(1), order(1, trade_amount="9.99")])
    in_one_run = (workspace.backfill("run", "orders").exit_code, workspace.results())
    workspace.export("orders.csv", [order(1, trade_amount="8.88")])

    across_runs = (workspace.backfill("run", "orders").exit_code, workspace.results())

    assert in_one_run == (3, ["succeeded SUCCESS", "invalid key_conflict"])
    assert (across_runs, workspace.requests()) == ((3, ["invalid key_conflict"]), ["A1"])


@pytest.mark.parametrize(
    ("job", "row", "code"),
    [
        pytest.param("orders", order(1, biz_time=""), "field_missing", id="missing"),
        pytest.param("orders", order(1, user_id=""), "field_missing", id="no user"),
        pytest.param("orders", order(1, biz_action="ORDER_REFUND"), "field_missing", id="refund of nothing"),
        pytest.param("points", balance(1, 1, user_card_code="7" * 33), "field_too_long", id="too long"),
        pytest.param("states", state(1, biz_data=f'{{"a":"{"长" * 4096}"}}'), "field_too_long", id="biz_data too long"),
        pytest.param("orders", order(1, trade_amount="1.234"), "field_invalid", id="three decimals"),
        pytest.param("points", balance(1, 1, openid="oTEST😀"), "field_invalid", id="emoji"),
    ],
)
def test_invalid_rows_have_their_fault(job: str, row: Mapping[str, str], code: str, workspace: Workspace) -> None:
    """An invalid row is not sent; the other rows are."""
    workspace.export(f"{job}.csv", [row, dict(ROWS[job]) | {"out_biz_no": "B9"} if job != "points" else balance(9, 9)])

    ended = workspace.backfill("run", job)

    assert (ended.exit_code, workspace.results()[0], workspace.results()[1].split()[0]) == (
        3,
        f"invalid {code}",
        "succeeded",
    )
    assert len(workspace.requests()) == 1


def test_a_character_that_the_charset_lacks_is_not_decodable(workspace: Workspace) -> None:
    """A character that GBK lacks makes the row invalid before anything is sent."""
    workspace.configure({"accounts.zhima": {"charset": "gbk"}})
    workspace.export("states.csv", [state(1, biz_data='{"cinema":"光明😀"}'), state(2)])

    ended = workspace.backfill("run", "states")

    assert (ended.exit_code, workspace.results()) == (3, ["invalid not_decodable", "succeeded 10000"])


@pytest.mark.parametrize(
    ("job", "code", "status"),
    [
        pytest.param("orders", "INVALID_PARAMETER", 400, id="v3"),
        pytest.param("orders", "IDEMPOTENT_ERROR", 400, id="v3, key used"),
        pytest.param("orders", "EASY_MEMBER_CONSULT_FAIL", 400, id="v3, asked again once"),
        pytest.param("orders", "BRAND_NEW_CODE", 400, id="v3, in no document"),
        pytest.param("states", "ZMDATA.USER_ID_ERROR", 200, id="gateway"),
        pytest.param("states", "BRAND_NEW_CODE", 200, id="gateway, in no document"),
        pytest.param("points", "PARAM_ERROR", 400, id="wechat"),
        pytest.param("points", "RESOURCE_NOT_EXISTS", 404, id="wechat, not found"),
    ],
)
def test_rejected_has_the_platforms_code(job: str, code: str, status: int, workspace: Workspace) -> None:
    """A row that the platform refuses for good is rejected, with the platform's code and HTTP status."""
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, code=code, status=status)])

    assert workspace.run_one_row(job) == (3, [f"rejected {code}"])
    assert workspace.outcomes()[0]["http_status"] == str(status)


def test_rejected_by_its_status_alone(workspace: Workspace) -> None:
    """A refusal without a code gets a code from its HTTP status."""
    workspace.simulator.set_faults([InjectedFault(FaultKind.STATUS, status=422)])

    assert workspace.run_one_row("orders") == (3, ["rejected http_422"])


@pytest.mark.parametrize(
    ("job", "api", "code"), [("orders", Api.CUMULATION, "FAIL_REASON"), ("states", Api.STATE, "BIZ_RESULT_FAILED")]
)
def test_a_success_that_reports_a_failure_is_rejected(job: str, api: Api, code: str, workspace: Workspace) -> None:
    """Status 200 with a failure text is rejected."""
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, api=api, fail_reason="芝麻go协议已结束")])

    assert workspace.run_one_row(job) == (3, [f"rejected {code}"])
