"""`backfill reconcile`: rows in doubt are settled by what the platform lists, and by nothing else."""

import json
import signal
import sqlite3

import pytest

from pipeline.simulator import Api, FaultKind, InjectedFault, When
from tests.acceptance.workspace import Workspace, balance, end_of, order, read_csv, refund, state, task, wait_until

QUERY = Api.CUMULATE_QUERY


def lost(key: str) -> InjectedFault:
    return InjectedFault(FaultKind.LOSE_AFTER_APPLYING, key=key)


def lost_before(key: str) -> InjectedFault:
    return InjectedFault(FaultKind.LOSE_BEFORE_APPLYING, key=key)


@pytest.fixture
def doubtful(workspace: Workspace) -> Workspace:
    """Return a finished run: A0 succeeded, A1 was applied and A2 was not, both unknown, and a refund waits for A1."""
    workspace.simulator.set_faults([lost("A1"), lost_before("A2")])
    workspace.export("orders.csv", [order(0), order(1), order(2), refund(1, of=1)])
    assert workspace.backfill("run", "orders").exit_code == 3
    assert workspace.results() == [
        "succeeded SUCCESS",
        "unknown connection_lost",
        "unknown connection_lost",
        "blocked payment_not_succeeded",
    ]
    workspace.simulator.set_faults([])
    return workspace


def open_rows(workspace: Workspace, *words: str) -> tuple[int, list[str]]:
    """Reconcile the last run; return the exit code, and why rows are still open."""
    ended = workspace.backfill("reconcile", "last", "--json", *words)
    return ended.exit_code, [row["text"].partition(";")[0] for row in json.loads(ended.stdout)["open"]]


def test_a_listed_row_succeeds_and_an_absent_one_stays_unknown(doubtful: Workspace) -> None:
    """What the platform lists as sent is `succeeded reconciled`; absence proves nothing; keys are masked."""
    ended = doubtful.backfill("reconcile", "last")

    run_id = doubtful.short_id(doubtful.summary()["run_id"])
    assert (ended.exit_code, ended.stdout.splitlines()) == (
        3,
        [
            f"run {run_id} of job orders: exit code 3",
            "  deliveries in doubt: 2; found at the platform, now succeeded: 1",
            '    orders.csv: row 3 (line 4), key "A***2" (2 characters): not listed, which proves nothing; '
            "`backfill rerun` sends the same bytes under the same key",
            f"  2 rows of the run are left; `backfill show {run_id}` says what to do",
            f"  report: {doubtful.reports()[-1]}",
        ],
    )
    assert doubtful.results() == [
        "succeeded SUCCESS",
        "succeeded reconciled",
        "unknown connection_lost",
        "blocked payment_not_succeeded",
    ]
    assert doubtful.summary()["left"] == 2


def test_the_facts_of_the_last_attempt_stay(doubtful: Workspace) -> None:
    """The outcome keeps its columns: attempts and times are those of the report itself."""
    before = doubtful.outcomes()[1]

    doubtful.backfill("reconcile", "last")

    changed = {"status": "succeeded", "code": "reconciled", "message": "the platform lists this report as it was sent"}
    assert doubtful.outcomes()[1] == before | changed


def test_a_reconciled_row_is_never_sent_again(doubtful: Workspace) -> None:
    """A refund that waited is sent by the rerun; the reconciled row itself is known in all later runs."""
    doubtful.backfill("reconcile", "last")
    before = len(doubtful.requests(Api.CUMULATION))

    assert doubtful.backfill("rerun", "last").exit_code == 0
    assert doubtful.requests(Api.CUMULATION)[before:] == ["A2", "R1"]

    assert doubtful.backfill("run", "orders").exit_code == 0
    assert doubtful.results() == ["skipped already_succeeded"] * 4


def test_a_run_without_rows_left_ends_with_0(workspace: Workspace) -> None:
    """The recorded exit code becomes 0 once the last open row is settled."""
    workspace.simulator.set_faults([lost("A1")])
    workspace.export("orders.csv", [order(0), order(1)])
    workspace.backfill("run", "orders")
    workspace.simulator.set_faults([])

    assert workspace.backfill("reconcile", "last").exit_code == 0
    assert (workspace.summary()["exit_code"], workspace.summary()["left"]) == (0, 0)
    shown = json.loads(workspace.backfill("show", "last", "--json").stdout)
    assert (shown["exit_code"], shown["left"], shown["codes"]) == (0, 0, {"SUCCESS": 1, "reconciled": 1})


def test_each_part_of_a_task_is_settled(workspace: Workspace) -> None:
    """A task with several deliveries succeeds once each of them is listed."""
    workspace.simulator.set_faults([lost("K1-*")])
    workspace.export("tasks.csv", [task(0), task(1, times="3")])
    workspace.backfill("run", "tasks")
    workspace.simulator.set_faults([])

    assert workspace.backfill("reconcile", "last").exit_code == 0
    assert workspace.results() == ["succeeded SUCCESS", "succeeded reconciled"]


def test_amounts_are_compared_as_decimals(workspace: Workspace) -> None:
    """Amount and discounts are compared exactly, however many digits they have."""
    workspace.simulator.set_faults([lost("A1")])
    discount = {"discount_name": "立减", "discount_type": "exclusiveDiscount", "discount_amount": "0.10"}
    workspace.export("orders.csv", [order(0), order(1, trade_amount="9007199254740.93", **discount)])
    workspace.backfill("run", "orders")
    workspace.simulator.set_faults([])

    assert workspace.backfill("reconcile", "last").exit_code == 0
    assert workspace.results() == ["succeeded SUCCESS", "succeeded reconciled"]


def test_pages_are_read_until_one_is_not_full(workspace: Workspace) -> None:
    """All pages of an agreement are asked for, since a later one may have the row, or have it again."""
    one_user = {"agreement_no": order(1)["agreement_no"], "user_id": order(1)["user_id"]}
    workspace.simulator.set_faults([lost("A39")])
    workspace.export("orders.csv", [order(number, **one_user) for number in range(40)])
    workspace.backfill("run", "orders")
    workspace.simulator.set_faults([])

    assert workspace.backfill("reconcile", "last").exit_code == 0
    # 40 reports fill two pages, and the third is empty; once for the calibration, once for the row.
    assert workspace.requests(QUERY) == [one_user["agreement_no"]] * 6


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        pytest.param(
            InjectedFault(FaultKind.WRONG_AMOUNT, api=QUERY, key="*000001"),
            "listed with another amount, task or direction",
            id="another amount",
        ),
        pytest.param(
            InjectedFault(FaultKind.LISTED_TWICE, api=QUERY, key="*000001"), "listed more than once", id="listed twice"
        ),
        pytest.param(
            InjectedFault(FaultKind.FAIL_REASON_BESIDE, api=QUERY, key="*000001", fail_reason="协议已结束"),
            "the query failed (FAIL_REASON: 协议已结束)",
            id="fail_reason beside the data",
        ),
        pytest.param(
            InjectedFault(FaultKind.REFUSE, api=QUERY, key="*000001", code="INVALID_PARAMETER", message="no"),
            "the query failed (INVALID_PARAMETER: no)",
            id="an error",
        ),
        pytest.param(
            InjectedFault(FaultKind.BAD_SIGNATURE, api=QUERY, key="*000001"),
            "the query failed (signature_invalid)",
            id="a bad signature",
        ),
        pytest.param(
            InjectedFault(FaultKind.WRONG_ECHO, api=QUERY, key="*000001"),
            "the query failed (echo_differs)",
            id="the answer to another query",
        ),
    ],
)
def test_nothing_else_settles_a_row(fault: InjectedFault, why: str, doubtful: Workspace) -> None:
    """Another amount, two entries, a fail_reason, an error, a bad signature: the row stays unknown."""
    doubtful.simulator.set_faults([fault])

    assert open_rows(doubtful) == (3, [why, "not listed, which proves nothing"])
    assert doubtful.results()[1:3] == ["unknown connection_lost"] * 2


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        pytest.param(
            InjectedFault(FaultKind.UNLISTED, api=QUERY),
            "the query does not show the account's newest confirmed report: it may list reports later, or never those "
            "of this call",
            id="it lists no reports of this call",
        ),
        pytest.param(
            InjectedFault(FaultKind.UNLISTED, api=QUERY, seconds=3600),
            "the query does not show the account's newest confirmed report: it may list reports later, or never those "
            "of this call",
            id="it lists reports later",
        ),
        pytest.param(
            InjectedFault(FaultKind.WRONG_AMOUNT, api=QUERY),
            "the query does not show the account's newest confirmed report: it is listed with another amount, task or "
            "direction",
            id="another amount",
        ),
        pytest.param(
            InjectedFault(FaultKind.REFUSE, api=QUERY, code="SYSTEM_ERROR"),
            "the query for a confirmed report of the account failed (SYSTEM_ERROR)",
            id="an error",
        ),
    ],
)
def test_a_query_that_shows_no_confirmed_report_proves_nothing(
    fault: InjectedFault, why: str, doubtful: Workspace
) -> None:
    """The query is calibrated first with a report that surely succeeded. Else nothing is asked or settled."""
    doubtful.simulator.set_faults([fault])

    ended = doubtful.backfill("reconcile", "last", "--json")

    assert (ended.exit_code, json.loads(ended.stdout)["reason"]) == (3, why)
    assert doubtful.results()[1:3] == ["unknown connection_lost"] * 2
    assert set(doubtful.requests(QUERY)) == {order(0)["agreement_no"]}


def test_without_a_confirmed_report_no_query_is_sent(workspace: Workspace) -> None:
    """An account whose ledger knows no confirmed report cannot calibrate the query."""
    workspace.simulator.set_faults([lost("A1")])
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")
    workspace.simulator.set_faults([])

    ended = workspace.backfill("reconcile", "last", "--json")

    why = "this ledger knows no confirmed report of the account, which the query would have to list"
    assert (ended.exit_code, json.loads(ended.stdout)["reason"], workspace.requests(QUERY)) == (3, why, [])


def test_a_refused_caller_stops_it(doubtful: Workspace) -> None:
    """A refusal of the caller ends the command with exit code 4, and says what to check."""
    doubtful.simulator.set_faults([InjectedFault(FaultKind.REFUSE, api=QUERY, code="invalid-signature", status=401)])

    ended = doubtful.backfill("reconcile", "last", "--json")

    assert ended.exit_code == 4
    assert json.loads(ended.stdout)["reason"].startswith("invalid-signature: ")
    assert len(doubtful.requests(QUERY)) <= 3


@pytest.mark.parametrize(
    ("job", "row"), [pytest.param("points", balance(1, 5), id="points"), pytest.param("states", state(1), id="states")]
)
def test_other_apis_have_no_query(job: str, row: dict[str, str], workspace: Workspace) -> None:
    """For points and states no query exists: exit code 2, with the command that helps."""
    workspace.export(f"{job}.csv", [row])
    workspace.backfill("run", job)

    ended = workspace.backfill("reconcile", "last")

    assert ended.exit_code == 2
    assert "the platform has no query for what it holds; `backfill rerun " in ended.stderr


def test_an_active_run_of_the_job_keeps_it_out(doubtful: Workspace) -> None:
    """While a run of the job is active nothing is asked: exit code 6."""
    run_id = doubtful.summary()["run_id"]
    doubtful.simulator.set_faults([InjectedFault(FaultKind.SLOW, api=Api.CUMULATION, seconds=20)])
    doubtful.export("orders.csv", [order(7)])
    active = doubtful.start("run", "orders")
    wait_until(lambda: "A7" in doubtful.requests() or bool(doubtful.reports()[1:]))

    ended = doubtful.backfill("reconcile", run_id)

    active.kill()
    end_of(active)
    assert (ended.exit_code, doubtful.requests(QUERY)) == (6, [])


def test_a_signal_ends_it_with_5(doubtful: Workspace) -> None:
    """SIGINT ends the command with exit code 5; what was settled stays, and it may be repeated."""
    doubtful.simulator.set_faults([InjectedFault(FaultKind.THROTTLE, api=QUERY, retry_after=3)])
    running = doubtful.start("reconcile", "last", "--json")
    wait_until(lambda: doubtful.requests(QUERY) != [])
    running.send_signal(signal.SIGINT)
    ended = end_of(running)
    doubtful.simulator.set_faults([])

    assert ended.exit_code == 5
    assert json.loads(ended.stdout)["reason"] == "stopped by SIGINT; run `backfill reconcile last` again"
    assert doubtful.backfill("reconcile", "last").exit_code == 3
    assert doubtful.results()[1] == "succeeded reconciled"


def test_the_state_of_the_agreement_joins_the_message_of_a_refusal(workspace: Workspace) -> None:
    """`--agreement-status` names the state of the agreement, the newest one only if it is asked twice."""
    refusals = [
        InjectedFault(FaultKind.REFUSE, key="A1", code="EASY_MEMBER_CONSULT_FAIL"),
        InjectedFault(FaultKind.REFUSE, key="A2", code="INVALID_PARAMETER"),
    ]
    workspace.simulator.set_faults(refusals)
    workspace.export("orders.csv", [order(0), order(1), order(2)])
    workspace.backfill("run", "orders")
    before = [line["message"] for line in workspace.outcomes()]
    ended_agreement = InjectedFault(FaultKind.AGREEMENT_STATUS, api=Api.AGREEMENT_QUERY, code="N")

    workspace.simulator.set_faults([])
    first = workspace.backfill("reconcile", "last", "--agreement-status")
    workspace.simulator.set_faults([ended_agreement])
    workspace.backfill("reconcile", "last", "--agreement-status")

    assert 'key "A***1" (2 characters): EASY_MEMBER_CONSULT_FAIL, and the agreement is valid' in first.stdout
    assert [line["message"] for line in workspace.outcomes()] == [
        before[0],
        f"{before[1]}; asked later, the agreement is ended",
        before[2],
    ]
    assert workspace.requests(Api.AGREEMENT_QUERY) == [order(1)["agreement_no"]] * 2


def test_rows_of_a_killed_run_are_settled(workspace: Workspace) -> None:
    """Rows of a killed run can be settled too; `resume` then sends only the others."""
    workspace.export("orders.csv", [order(0)])
    workspace.backfill("run", "orders")
    workspace.simulator.set_faults(
        [InjectedFault(FaultKind.SLOW, api=Api.CUMULATION, seconds=20, when=When.AFTER_APPLYING)]
    )
    workspace.export("orders.csv", [order(1)])
    killed = workspace.start("run", "orders")
    wait_until(lambda: "A1" in workspace.simulator.journal.applied_keys())
    killed.kill()
    end_of(killed)
    workspace.simulator.set_faults([])

    assert workspace.backfill("reconcile", "last").exit_code == 0
    assert workspace.backfill("resume", "last").exit_code == 0
    assert workspace.results() == ["succeeded reconciled"]
    assert workspace.requests(Api.CUMULATION) == ["A0", "A1"]


def test_an_existing_report_keeps_its_format(doubtful: Workspace) -> None:
    """The report is written again in the format that it has."""
    folder = doubtful.reports()[-1]
    (folder / "outcome.csv").unlink()
    doubtful.backfill("report", "last", "--format", "jsonl")

    doubtful.backfill("reconcile", "last")

    lines = [json.loads(line) for line in (folder / "outcome.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines[1]["code"] == "reconciled"
    assert not (folder / "outcome.csv").exists()
    assert read_csv(folder / "rows_to_fix.csv") == []


def test_the_page_is_written_again_in_full(doubtful: Workspace) -> None:
    """It has the language of LC_ALL, the settings of the job, and the agreements that are not final."""
    ended = doubtful.command("reconcile", "last", environ={"LC_ALL": "zh_CN.UTF-8"})

    page = (doubtful.reports()[-1] / "report.html").read_text(encoding="utf-8")
    assert ended.exit_code == 3
    assert "运行完成：部分行需要处理。" in page
    assert "<code>share</code></dt><dd>1</dd>" in page
    assert "累计尚未最终确定的协议：2" in page


def test_only_one_confirmed_report_stays_in_the_ledger(doubtful: Workspace) -> None:
    """The ledger keeps the body of the account's newest confirmed report, and of no other delivered row."""
    doubtful.backfill("reconcile", "last")

    with sqlite3.connect(doubtful.folder / "state" / "backfill.db") as ledger:
        bodies = ledger.execute("SELECT count(*) FROM dues WHERE status = 'succeeded' AND body IS NOT NULL").fetchone()
        (kept,) = ledger.execute("SELECT confirmed_report FROM accounts").fetchone()

    assert (bodies, json.loads(kept)["out_biz_no"]) == ((0,), "A0")
