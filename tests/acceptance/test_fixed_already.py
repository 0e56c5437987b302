"""`fixed_already`: the next export skips rows whose fix was delivered, and no others."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import Workspace, balance, order, read_csv, refund, state, task

Row = dict[str, str]


def lost(key: str) -> InjectedFault:
    return InjectedFault(FaultKind.LOSE_BEFORE_APPLYING, key=key)


def refused(key: str) -> InjectedFault:
    return InjectedFault(FaultKind.REFUSE, key=key, code="INVALID_PARAMETER")


def run(workspace: Workspace, job: str, *words: str, faults: Sequence[InjectedFault] = ()) -> list[str]:
    """Run a job with faults of the platform; return the results of its rows."""
    workspace.simulator.set_faults(list(faults))
    workspace.backfill("run", job, *words)
    workspace.simulator.set_faults([])
    return workspace.results()


def fix(workspace: Workspace, job: str, changes: Mapping[str, str], faults: Sequence[InjectedFault] = ()) -> list[str]:
    """Run the newest rows to fix with changes; return their results."""
    rows = read_csv(workspace.reports()[-1] / "rows_to_fix.csv")
    workspace.export("fixed.csv", [row | dict(changes) for row in rows])
    return run(workspace, job, "fixed.csv", faults=faults)


def planned(workspace: Workspace, job: str, *words: str) -> Any:
    return json.loads(workspace.backfill("plan", job, *words, "--json").stdout)["codes"]


# Job, wrong row, fix, and the result of the first run.
KINDS = [
    pytest.param("orders", order(2, trade_amount="x"), {"trade_amount": "2.00"}, "invalid", id="order, invalid"),
    pytest.param("orders", order(2, out_biz_no=""), {"out_biz_no": "A2"}, "invalid", id="order without a key"),
    pytest.param("orders", order(2, out_biz_no="bad"), {"trade_amount": "2.00"}, "rejected", id="order, rejected"),
    pytest.param("orders", order(2, out_biz_no="bad"), {"out_biz_no": "A2"}, "rejected", id="order under another key"),
    pytest.param("tasks", task(2, times="x"), {"times": "3"}, "invalid", id="task, three times"),
    pytest.param("tasks", task(2, out_biz_no="bad", times="2"), {"out_biz_no": "K2"}, "rejected", id="task, twice"),
    pytest.param("points", balance(2, 5) | {"point_balance": "x"}, {"point_balance": "5"}, "invalid", id="balance"),
    pytest.param("states", state(2, biz_data="x"), {"biz_data": '{"a":"b"}'}, "invalid", id="state, invalid"),
    pytest.param("states", state(2, out_biz_no="bad"), {"out_biz_no": "S2"}, "rejected", id="state under another key"),
]
GOOD = {"orders": order(1), "tasks": task(1), "points": balance(1, 100), "states": state(1)}


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize(("job", "row", "changes", "first"), KINDS)
def test_a_row_whose_fix_was_delivered_is_skipped(
    workspace: Workspace, job: str, row: Row, changes: Row, first: str, form: str
) -> None:
    """The unfixed row in later exports is skipped each time, also in a plan, and nothing is sent."""
    rows = [GOOD[job], row]
    if form == "csv":
        name = workspace.export(f"{job}.csv", rows).name
    else:
        name = f"{job}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), workspace.folder / name)
    before = run(workspace, job, name, faults=[refused("bad*")])

    assert before[1].split()[0] == first
    assert {result.split()[0] for result in fix(workspace, job, changes)} == {"succeeded"}
    sent = workspace.requests()
    for _ in range(2):
        assert (planned(workspace, job, name)["fixed_already"], run(workspace, job, name)[1]) == (
            1,
            "skipped fixed_already",
        )
    assert workspace.requests() == sent


def test_a_row_is_known_in_another_kind_of_file(workspace: Workspace) -> None:
    """From CSV to typed Parquet the texts change, and the values do not."""
    run(workspace, "orders", workspace.export("orders.csv", [order(1), order(2, agreement_no="")]).name)
    fix(workspace, "orders", {"agreement_no": "20255108518085000002"})
    rows = [{**order(1), "trade_amount": 12.5}, {**order(2, agreement_no=""), "trade_amount": 12.5}]
    pq.write_table(pa.Table.from_pylist(rows), workspace.folder / "orders.parquet")

    assert run(workspace, "orders", "orders.parquet") == ["skipped already_succeeded", "skipped fixed_already"]


def test_a_row_is_known_after_a_change_of_the_config(workspace: Workspace) -> None:
    """A row that a new config makes valid is recognised by its texts, and not sent beside its fix."""
    workspace.export("orders.csv", [order(1, trade_amount="1250.5")])
    workspace.configure({"jobs.orders.units": {"trade_amount": "fen"}})
    first = run(workspace, "orders")
    fix(workspace, "orders", {"trade_amount": "1250", "out_biz_no": "B1"})
    workspace.configure({"jobs.orders.units": {"trade_amount": "yuan"}})

    assert first == ["invalid field_invalid"]
    assert (run(workspace, "orders"), workspace.requests()) == (["skipped fixed_already"], ["B1"])


@pytest.mark.parametrize("changes", [{"trade_amount": "2.00"}, {"out_biz_no": "A2"}], ids=["same key", "other key"])
def test_a_row_whose_fix_failed_is_handled_as_before(workspace: Workspace, changes: Row) -> None:
    """A rejected fix does not count: the row is sent again and may succeed."""
    workspace.export("orders.csv", [order(2, out_biz_no="bad")])
    run(workspace, "orders", faults=[refused("bad")])
    failed = fix(workspace, "orders", changes, faults=[refused("*")])

    assert (failed, run(workspace, "orders")) == (["rejected INVALID_PARAMETER"], ["succeeded SUCCESS"])


def test_a_row_that_changed_is_another_row(workspace: Workspace) -> None:
    """Only a row with the same content as the fixed one is skipped."""
    workspace.export("orders.csv", [order(2, trade_amount="x")])
    run(workspace, "orders")
    fix(workspace, "orders", {"trade_amount": "2.00", "out_biz_no": "B2"})
    workspace.export("orders.csv", [order(2, trade_amount="3.00"), order(2, trade_amount="y")])

    assert run(workspace, "orders") == ["succeeded SUCCESS", "invalid field_invalid"]


def test_each_of_two_equal_rows_needs_its_fix(workspace: Workspace) -> None:
    """Of 2 equal invalid rows one is fixed: the other one still needs a fix."""
    workspace.export("orders.csv", [order(2, out_biz_no="")] * 2)
    run(workspace, "orders")
    rows = read_csv(workspace.reports()[-1] / "rows_to_fix.csv")
    workspace.export("fixed.csv", [rows[0] | {"out_biz_no": "A2"}])
    run(workspace, "orders", "fixed.csv")

    one = run(workspace, "orders")
    workspace.export("fixed.csv", [rows[1] | {"out_biz_no": "A3"}])
    run(workspace, "orders", "fixed.csv")

    assert one == ["skipped fixed_already", "invalid field_missing"]
    assert run(workspace, "orders") == ["skipped fixed_already"] * 2


@pytest.mark.parametrize("changes", [{"trade_amount": "2.00"}, {"out_biz_no": "A2"}], ids=["same key", "other key"])
def test_a_row_waits_while_its_fix_is_in_doubt(workspace: Workspace, changes: Row) -> None:
    """While a fix is in doubt, its row is not sent; once the fix succeeded, the row is skipped."""
    workspace.export("orders.csv", [order(2, out_biz_no="bad")])
    run(workspace, "orders", faults=[refused("bad")])
    doubt = fix(workspace, "orders", changes, faults=[InjectedFault(FaultKind.LOSE_AFTER_APPLYING, key="*")])
    fixing = workspace.reports()[-1].name
    sent = workspace.requests()

    waiting = run(workspace, "orders")
    unsent = workspace.requests() == sent
    waiting_run = workspace.reports()[-1].name
    workspace.backfill("rerun", fixing)
    settled = workspace.results()
    workspace.backfill("rerun", waiting_run)

    assert (doubt, waiting, unsent) == (["unknown connection_lost"], ["blocked fix_open"], True)
    assert (settled, workspace.results()) == (["succeeded SUCCESS"], ["skipped fixed_already"])
    assert len(workspace.simulator.journal.applied_keys()) == 1


def test_a_fix_waits_while_its_row_is_in_doubt(workspace: Workspace) -> None:
    """A rejected row that was sent again and is in doubt is not sent under another key."""
    workspace.export("orders.csv", [order(2, out_biz_no="bad")])
    run(workspace, "orders", faults=[refused("bad")])
    first = workspace.reports()[-1]
    workspace.simulator.set_faults([InjectedFault(FaultKind.LOSE_AFTER_APPLYING, key="*")])
    workspace.backfill("rerun", "last", "--only", "rejected")
    doubt = workspace.results()
    workspace.simulator.set_faults([])

    workspace.export("fixed.csv", [row | {"out_biz_no": "A2"} for row in read_csv(first / "rows_to_fix.csv")])
    waiting = run(workspace, "orders", "fixed.csv")
    workspace.backfill("rerun", first.name, "--only", "rejected")
    settled = workspace.results()
    again = run(workspace, "orders", "fixed.csv")

    assert (doubt, waiting, settled) == (["unknown connection_lost"], ["blocked fix_open"], ["succeeded SUCCESS"])
    assert (again, workspace.simulator.journal.applied_keys()) == (["invalid key_conflict"], ["bad"])
    assert "empty its cell _row" in workspace.outcomes()[0]["message"]


def test_a_row_staged_before_its_fix_is_not_sent_after_it(workspace: Workspace) -> None:
    """A run resumed after the fix was delivered skips the row."""
    workspace.export("orders.csv", [order(2, out_biz_no="bad")])
    run(workspace, "orders", faults=[refused("bad")])
    first = workspace.reports()[-1]
    stopped = workspace.backfill("rerun", "last", "--only", "rejected", "--until", workspace.now())
    stopped_run = workspace.reports()[-1].name
    workspace.export("fixed.csv", [row | {"out_biz_no": "A2"} for row in read_csv(first / "rows_to_fix.csv")])
    fixed = run(workspace, "orders", "fixed.csv")

    workspace.backfill("resume", stopped_run)

    assert (stopped.exit_code, fixed) == (5, ["succeeded SUCCESS"])
    assert read_csv(workspace.folder / "reports" / stopped_run / "outcome.csv")[0]["code"] == "fixed_already"
    assert workspace.simulator.journal.applied_keys() == ["A2"]


# While `biz_time` is mapped from the column `other`, rows without that are invalid.
OTHER_TIME = {"biz_time": "other"}
VALID_LATER = [
    pytest.param("orders", order(2, other=""), {"trade_amount": "9.00", "out_biz_no": "B1"}, id="order"),
    pytest.param("tasks", task(2, other="", times="2"), {"times": "3", "out_biz_no": "B1"}, id="task"),
]


def invalid_run(workspace: Workspace, job: str, rows: Sequence[Row], changes: Row) -> Path:
    """Run rows that the config makes invalid; then correct the config. Return the report; `fixed.csv` is their fix."""
    workspace.export(f"{job}.csv", rows)
    workspace.configure({f"jobs.{job}.columns": OTHER_TIME})
    run(workspace, job, faults=[InjectedFault(FaultKind.REFUSE, key="A1", code="IDEMPOTENT_ERROR")])
    report = workspace.reports()[-1]
    left = [row for row in read_csv(report / "rows_to_fix.csv") if row["_status"] == "invalid"]
    workspace.export("fixed.csv", [row | changes for row in left])
    workspace.configure()
    return report


def staged(workspace: Workspace, job: str, first: str) -> dict[str, str]:
    """Stage the rows and their fix, and send nothing; return the ids of the runs `row` and `fix`."""
    runs = {}
    for name in (first, "row" if first == "fix" else "fix"):
        run(workspace, job, *(["fixed.csv"] if name == "fix" else []), "--until", workspace.now())
        runs[name] = workspace.reports()[-1].name
    return runs


def resumed(workspace: Workspace, run_id: str) -> list[str]:
    """Resume a run; return the results of its rows."""
    workspace.backfill("resume", run_id)
    lines = read_csv(workspace.folder / "reports" / run_id / "outcome.csv")
    return [f"{line['status']} {line['code']}" for line in lines]


@pytest.mark.parametrize("first_sent", ["fix", "row"])
@pytest.mark.parametrize("first_staged", ["fix", "row"])
@pytest.mark.parametrize(("job", "row", "changes"), VALID_LATER)
def test_a_row_that_becomes_valid_is_not_sent_beside_its_fix(
    workspace: Workspace, job: str, row: Row, changes: Row, first_staged: str, first_sent: str
) -> None:
    """Both wait in runs that were stopped; whichever is sent first, the other one is not sent."""
    invalid_run(workspace, job, [row], changes)
    first = workspace.results()
    runs = staged(workspace, job, first_staged)
    results = [resumed(workspace, runs[name]) for name in (first_sent, "row" if first_sent == "fix" else "fix")]

    other = "skipped fixed_already" if first_sent == "fix" else "invalid key_conflict"
    assert (first, results) == (["invalid field_missing"], [["succeeded SUCCESS"], [other]])


@pytest.mark.parametrize("has_new_key", [False, True], ids=["own key", "new key"])
@pytest.mark.parametrize(("job", "row", "changes"), VALID_LATER)
def test_a_fix_is_not_sent_once_its_row_was_delivered(
    workspace: Workspace, job: str, row: Row, changes: Row, *, has_new_key: bool
) -> None:
    """The row became valid, and was delivered before its fix was read."""
    invalid_run(workspace, job, [row], changes)
    refusals = [InjectedFault(FaultKind.REFUSE, key="*", code="IDEMPOTENT_ERROR")] if has_new_key else []
    run(workspace, job, faults=refusals)
    if has_new_key:
        workspace.backfill("rerun", "last", "--new-keys", "--only", "rejected")

    assert workspace.results() == ["succeeded SUCCESS"]
    assert run(workspace, job, "fixed.csv") == ["invalid key_conflict"]


def test_a_fix_waits_for_the_rest_of_its_row(workspace: Workspace) -> None:
    """Of a task done twice, which became valid, one completion was delivered and one refused: the fix is not sent."""
    invalid_run(workspace, "tasks", [task(2, other="", times="2")], {"times": "3", "out_biz_no": "B1"})
    half = run(workspace, "tasks", faults=[refused("K2-2")])
    half_run = workspace.reports()[-1].name
    waiting = run(workspace, "tasks", "fixed.csv")
    fixing = workspace.reports()[-1].name
    workspace.backfill("rerun", half_run, "--only", "rejected")
    workspace.backfill("rerun", fixing)

    assert (half, waiting) == (["rejected INVALID_PARAMETER"], ["blocked fix_open"])
    assert (workspace.results(), workspace.simulator.journal.applied_keys()) == (
        ["invalid key_conflict"],
        ["K2-1", "K2-2"],
    )


def test_of_two_rows_with_one_key_the_other_may_be_fixed(workspace: Workspace) -> None:
    """What was delivered under the key is another row, so the fix under a key of its own counts as well."""
    workspace.export("orders.csv", [order(2), order(2, trade_amount="9.00")])
    first = run(workspace, "orders")
    (left,) = read_csv(workspace.reports()[-1] / "rows_to_fix.csv")
    workspace.export("fixed.csv", [left | {"out_biz_no": "B1"}])

    assert (first, run(workspace, "orders", "fixed.csv")) == (
        ["succeeded SUCCESS", "invalid key_conflict"],
        ["succeeded SUCCESS"],
    )


@pytest.mark.parametrize("first_staged", ["fix", "row"])
@pytest.mark.parametrize("is_staged_before", [False, True], ids=["new key later", "new key before"])
def test_a_row_under_a_new_key_is_not_sent_beside_its_fix(
    workspace: Workspace, first_staged: str, *, is_staged_before: bool
) -> None:
    """A rerun gives the row another key, before or after its fix was delivered: the row is still known."""
    invalid_run(workspace, "orders", [order(1, other="")], {"out_biz_no": "B1"})
    runs = staged(workspace, "orders", first_staged)
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, key="A1", code="IDEMPOTENT_ERROR")])
    assert resumed(workspace, runs["row"]) == ["rejected IDEMPOTENT_ERROR"]
    workspace.simulator.set_faults([])

    rerun = ["rerun", runs["row"], "--new-keys", "--only", "rejected"]
    if is_staged_before:
        workspace.backfill(*rerun, "--until", workspace.now())
        rerun = ["resume", workspace.reports()[-1].name]
    assert resumed(workspace, runs["fix"]) == ["succeeded SUCCESS"]
    workspace.backfill(*rerun)

    assert (workspace.results(), workspace.simulator.journal.applied_keys()) == (["skipped fixed_already"], ["B1"])


def test_a_refund_of_a_moved_payment_is_not_sent_beside_its_fix(workspace: Workspace) -> None:
    """The payment is given another key, so the body of the refund changes: the refund is still known."""
    rows = [order(1, other="2025-11-20 10:00:00"), refund(2, of=1, other="")]
    report = invalid_run(workspace, "orders", rows, {"out_biz_no": "B1"})
    runs = staged(workspace, "orders", "fix")
    workspace.backfill("rerun", report.name, "--new-keys", "--only", "rejected")
    results = [resumed(workspace, runs["fix"]), resumed(workspace, runs["row"])]

    assert results == [["succeeded SUCCESS"], ["skipped already_succeeded", "skipped fixed_already"]]
    assert workspace.simulator.journal.applied_keys() == ["A1-k2", "B1"]


def test_a_delivered_fix_is_not_sent_in_another_form(workspace: Workspace) -> None:
    """A second fix of the same row with another key is refused, because it would count twice."""
    workspace.export("orders.csv", [order(2, trade_amount="x")])
    run(workspace, "orders")
    (row,) = read_csv(workspace.reports()[-1] / "rows_to_fix.csv")
    results = []
    for key in ("B1", "B2"):
        workspace.export("fixed.csv", [row | {"trade_amount": "2.00", "out_biz_no": key}])
        results += [planned(workspace, "orders", "fixed.csv"), run(workspace, "orders", "fixed.csv")]

    assert results == [{}, ["succeeded SUCCESS"], {"key_conflict": 1}, ["invalid key_conflict"]]
    assert workspace.requests() == ["B1"]


def test_a_partly_delivered_task_waits_for_its_rest(workspace: Workspace) -> None:
    """Of a fixed task, one completion was delivered and one refused: the row is not sent beside them."""
    workspace.export("tasks.csv", [task(2, out_biz_no="bad", times="2")])
    run(workspace, "tasks", faults=[refused("bad*")])
    half = fix(workspace, "tasks", {"out_biz_no": "K2"}, faults=[refused("K2-2")])
    fixing = workspace.reports()[-1].name

    waiting = run(workspace, "tasks")
    workspace.backfill("rerun", fixing, "--only", "rejected")

    assert (half, waiting) == (["rejected INVALID_PARAMETER"], ["blocked fix_open"])
    assert (run(workspace, "tasks"), workspace.simulator.journal.applied_keys()) == (
        ["skipped fixed_already"],
        ["K2-1", "K2-2"],
    )


def test_a_superseded_balance_no_longer_counts_as_fixed(workspace: Workspace) -> None:
    """After a newer balance was confirmed, the wrong row may mean something new and is reported again."""
    broken = balance(2, 0) | {"point_balance": "x"}
    workspace.export("points.csv", [broken])
    run(workspace, "points")
    fix(workspace, "points", {"point_balance": "5"})
    skipped = run(workspace, "points")
    workspace.export("other.csv", [balance(2, 9)])
    run(workspace, "points", "other.csv")

    assert (skipped, run(workspace, "points")) == (["skipped fixed_already"], ["invalid field_invalid"])


def test_an_older_balance_does_not_undo_a_fixed_one(workspace: Workspace) -> None:
    """A fixed balance has the place of its row: balances above it in the export are superseded."""
    workspace.export("points.csv", [balance(2, 3), balance(2, 0) | {"point_balance": "x"}])
    first = run(workspace, "points")
    fix(workspace, "points", {"point_balance": "5"})

    assert first == ["succeeded SUCCESS", "invalid field_invalid"]
    assert run(workspace, "points") == ["skipped superseded", "skipped fixed_already"]
    assert [entry.points for entry in workspace.simulator.journal.entries] == [3, 5]


def test_an_old_fix_run_again_changes_nothing(workspace: Workspace) -> None:
    """A fixed balance that was delivered and superseded since is not sent again."""
    workspace.export("points.csv", [balance(2, 0) | {"point_balance": "x"}])
    run(workspace, "points")
    fix(workspace, "points", {"point_balance": "5"})
    run(workspace, "points", workspace.export("other.csv", [balance(2, 9)]).name)

    assert run(workspace, "points", "fixed.csv") == ["skipped already_succeeded"]
    assert [entry.points for entry in workspace.simulator.journal.entries] == [5, 9]


def test_a_fix_under_new_keys_counts(workspace: Workspace) -> None:
    """A fix that a rerun sent under a new key counts as the fix of its row."""
    workspace.export("orders.csv", [order(2, trade_amount="x")])
    run(workspace, "orders")
    fix(
        workspace,
        "orders",
        {"trade_amount": "2.00"},
        faults=[InjectedFault(FaultKind.REFUSE, key="A2", code="IDEMPOTENT_ERROR")],
    )
    workspace.backfill("rerun", "last", "--new-keys")
    rekeyed = workspace.results()

    assert (rekeyed, run(workspace, "orders")) == (["succeeded SUCCESS"], ["skipped fixed_already"])
    assert workspace.requests()[-1] == "A2-k2"


def test_a_row_that_two_runs_found_invalid_is_fixed_once(workspace: Workspace) -> None:
    """2 runs have the row to fix; after the fix of the first run was delivered, that of the second is refused."""
    workspace.export("orders.csv", [order(2, trade_amount="x")])
    rows = []
    for _ in range(2):
        run(workspace, "orders")
        rows += read_csv(workspace.reports()[-1] / "rows_to_fix.csv")
    results = []
    for row, key in zip(rows, ("B1", "B2"), strict=True):
        workspace.export("fixed.csv", [row | {"trade_amount": "2.00", "out_biz_no": key}])
        results += run(workspace, "orders", "fixed.csv")

    assert (results, workspace.requests()) == (["succeeded SUCCESS", "invalid key_conflict"], ["B1"])


def test_a_row_that_came_back_as_it_was_is_not_fixed_after_that(workspace: Workspace) -> None:
    """2 runs have a row to fix that another row contradicts. It is delivered as it was, and the later fix refused."""
    right = order(1)
    wrong = order(2, agreement_no=right["agreement_no"], user_id="2088000000000099")
    workspace.export("orders.csv", [right, wrong])
    rows = []
    for _ in range(2):
        run(workspace, "orders")
        rows.append(read_csv(workspace.reports()[-1] / "rows_to_fix.csv")[0])
    workspace.export("fixed.csv", [rows[0]])
    results = run(workspace, "orders", "fixed.csv")
    workspace.export("fixed.csv", [rows[1] | {"out_biz_no": "B1"}])
    results += run(workspace, "orders", "fixed.csv")

    assert (results, len(workspace.requests())) == (["succeeded SUCCESS", "invalid key_conflict"], 1)


def test_a_later_run_may_fix_the_other_of_two_equal_rows(workspace: Workspace) -> None:
    """If an export has a row twice and one was fixed, the next run's fix belongs to the other one."""
    workspace.export("orders.csv", [order(2, out_biz_no="")] * 2)
    run(workspace, "orders")
    (row, _) = read_csv(workspace.reports()[-1] / "rows_to_fix.csv")
    workspace.export("fixed.csv", [row | {"out_biz_no": "A2"}])
    run(workspace, "orders", "fixed.csv")
    next_night = run(workspace, "orders")

    fixed = fix(workspace, "orders", {"out_biz_no": "A3"})

    assert (next_night, fixed) == (["skipped fixed_already", "invalid field_missing"], ["succeeded SUCCESS"])
    assert (run(workspace, "orders"), workspace.requests()) == (["skipped fixed_already"] * 2, ["A2", "A3"])
