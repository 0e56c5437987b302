"""What the next export still has of a row whose fix was delivered is skipped; of no other row."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.simulator import InjectedFault, Kind
from tests.acceptance.night import Night, balance, order, read_csv, state, task

Row = dict[str, str]


def lost(key: str) -> InjectedFault:
    return InjectedFault(Kind.LOSE_BEFORE_APPLYING, key=key)


def refused(key: str) -> InjectedFault:
    return InjectedFault(Kind.REFUSE, key=key, code="INVALID_PARAMETER")


def run(night: Night, job: str, *words: str, faults: Sequence[InjectedFault] = ()) -> list[str]:
    """Run a job while the platform has faults; return the fates of its rows."""
    night.simulator.set_faults(list(faults))
    night.backfill("run", job, *words)
    night.simulator.set_faults([])
    return night.fates()


def fix(night: Night, job: str, changes: Mapping[str, str], faults: Sequence[InjectedFault] = ()) -> list[str]:
    """Give the rows to fix of the newest run back with changes; return their fates."""
    rows = read_csv(night.reports()[-1] / "rows_to_fix.csv")
    night.export("fixed.csv", [row | dict(changes) for row in rows])
    return run(night, job, "fixed.csv", faults=faults)


def planned(night: Night, job: str, *words: str) -> Any:
    return json.loads(night.backfill("plan", job, *words, "--json").stdout)["codes"]


# The job, the row that is at fault, what fixes it, and what it is in the first run.
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
    night: Night, job: str, row: Row, changes: Row, first: str, form: str
) -> None:
    """The next export has the row as it was: it is skipped, in a plan as well, and nothing is sent, time and again."""
    rows = [GOOD[job], row]
    if form == "csv":
        name = night.export(f"{job}.csv", rows).name
    else:
        name = f"{job}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), night.folder / name)
    before = run(night, job, name, faults=[refused("bad*")])

    assert before[1].split()[0] == first
    assert {fate.split()[0] for fate in fix(night, job, changes)} == {"succeeded"}
    sent = night.requests()
    for _ in range(2):
        assert (planned(night, job, name)["fixed_already"], run(night, job, name)[1]) == (1, "skipped fixed_already")
    assert night.requests() == sent


def test_a_row_is_known_in_another_kind_of_file(night: Night) -> None:
    """From CSV to typed Parquet the texts change, and the values do not."""
    run(night, "orders", night.export("orders.csv", [order(1), order(2, agreement_no="")]).name)
    fix(night, "orders", {"agreement_no": "20255108518085000002"})
    rows = [{**order(1), "trade_amount": 12.5}, {**order(2, agreement_no=""), "trade_amount": 12.5}]
    pq.write_table(pa.Table.from_pylist(rows), night.folder / "orders.parquet")

    assert run(night, "orders", "orders.parquet") == ["skipped already_succeeded", "skipped fixed_already"]


def test_a_row_is_known_when_it_is_read_otherwise(night: Night) -> None:
    """A row that a change of the config makes valid is known by its texts: it does not go out beside its fix."""
    night.export("orders.csv", [order(1, trade_amount="1250.5")])
    night.configure({"jobs.orders.units": {"trade_amount": "fen"}})
    first = run(night, "orders")
    fix(night, "orders", {"trade_amount": "1250", "out_biz_no": "B1"})
    night.configure({"jobs.orders.units": {"trade_amount": "yuan"}})

    assert first == ["invalid field_invalid"]
    assert (run(night, "orders"), night.requests()) == (["skipped fixed_already"], ["B1"])


@pytest.mark.parametrize("changes", [{"trade_amount": "2.00"}, {"out_biz_no": "A2"}], ids=["same key", "other key"])
def test_a_row_whose_fix_failed_is_handled_as_before(night: Night, changes: Row) -> None:
    """A fix that was rejected as well fixes nothing: the row goes out again, and may succeed."""
    night.export("orders.csv", [order(2, out_biz_no="bad")])
    run(night, "orders", faults=[refused("bad")])
    failed = fix(night, "orders", changes, faults=[refused("*")])

    assert (failed, run(night, "orders")) == (["rejected INVALID_PARAMETER"], ["succeeded SUCCESS"])


def test_a_row_that_changed_is_another_row(night: Night) -> None:
    """Only a row that says the same as the one that was fixed is skipped."""
    night.export("orders.csv", [order(2, trade_amount="x")])
    run(night, "orders")
    fix(night, "orders", {"trade_amount": "2.00", "out_biz_no": "B2"})
    night.export("orders.csv", [order(2, trade_amount="3.00"), order(2, trade_amount="y")])

    assert run(night, "orders") == ["succeeded SUCCESS", "invalid field_invalid"]


def test_of_rows_that_say_the_same_each_needs_its_fix(night: Night) -> None:
    """Two invalid rows say the same, and one of them was fixed: the other one is still to be fixed."""
    night.export("orders.csv", [order(2, out_biz_no="")] * 2)
    run(night, "orders")
    rows = read_csv(night.reports()[-1] / "rows_to_fix.csv")
    night.export("fixed.csv", [rows[0] | {"out_biz_no": "A2"}])
    run(night, "orders", "fixed.csv")

    one = run(night, "orders")
    night.export("fixed.csv", [rows[1] | {"out_biz_no": "A3"}])
    run(night, "orders", "fixed.csv")

    assert one == ["skipped fixed_already", "invalid field_missing"]
    assert run(night, "orders") == ["skipped fixed_already"] * 2


@pytest.mark.parametrize("changes", [{"trade_amount": "2.00"}, {"out_biz_no": "A2"}], ids=["same key", "other key"])
def test_a_row_waits_while_its_fix_is_in_doubt(night: Night, changes: Row) -> None:
    """A fix that may have been applied holds the row back; once the fix is settled the row is skipped."""
    night.export("orders.csv", [order(2, out_biz_no="bad")])
    run(night, "orders", faults=[refused("bad")])
    doubt = fix(night, "orders", changes, faults=[InjectedFault(Kind.LOSE_AFTER_APPLYING, key="*")])
    fixing = night.reports()[-1].name
    sent = night.requests()

    waiting = run(night, "orders")
    unsent = night.requests() == sent
    waiting_run = night.reports()[-1].name
    night.backfill("rerun", fixing)
    settled = night.fates()
    night.backfill("rerun", waiting_run)

    assert (doubt, waiting, unsent) == (["unknown connection_lost"], ["blocked fix_open"], True)
    assert (settled, night.fates()) == (["succeeded SUCCESS"], ["skipped fixed_already"])
    assert len(night.simulator.journal.applied_keys()) == 1


def test_a_fix_waits_while_its_row_is_in_doubt(night: Night) -> None:
    """A row that was rejected, sent again and may have been applied since is not sent under another key."""
    night.export("orders.csv", [order(2, out_biz_no="bad")])
    run(night, "orders", faults=[refused("bad")])
    first = night.reports()[-1]
    night.simulator.set_faults([InjectedFault(Kind.LOSE_AFTER_APPLYING, key="*")])
    night.backfill("rerun", "last", "--only", "rejected")
    doubt = night.fates()
    night.simulator.set_faults([])

    night.export("fixed.csv", [row | {"out_biz_no": "A2"} for row in read_csv(first / "rows_to_fix.csv")])
    waiting = run(night, "orders", "fixed.csv")
    night.backfill("rerun", first.name, "--only", "rejected")
    settled = night.fates()
    again = run(night, "orders", "fixed.csv")

    assert (doubt, waiting, settled) == (["unknown connection_lost"], ["blocked fix_open"], ["succeeded SUCCESS"])
    assert (again, night.simulator.journal.applied_keys()) == (["invalid key_conflict"], ["bad"])
    assert "empty its cell _row" in night.outcomes()[0]["message"]


def test_a_row_that_was_staged_before_its_fix_went_out_is_not_sent_after_it(night: Night) -> None:
    """A run that was stopped, and goes on after the fix was delivered, skips the row when its turn comes."""
    night.export("orders.csv", [order(2, out_biz_no="bad")])
    run(night, "orders", faults=[refused("bad")])
    first = night.reports()[-1]
    stopped = night.backfill("rerun", "last", "--only", "rejected", "--until", night.now())
    stopped_run = night.reports()[-1].name
    night.export("fixed.csv", [row | {"out_biz_no": "A2"} for row in read_csv(first / "rows_to_fix.csv")])
    fixed = run(night, "orders", "fixed.csv")

    night.backfill("resume", stopped_run)

    assert (stopped.exit_code, fixed) == (5, ["succeeded SUCCESS"])
    assert read_csv(night.folder / "reports" / stopped_run / "outcome.csv")[0]["code"] == "fixed_already"
    assert night.simulator.journal.applied_keys() == ["A2"]


def test_a_fix_that_was_delivered_is_not_sent_in_yet_another_form(night: Night) -> None:
    """The same row fixed once more, otherwise and under another key, would count twice."""
    night.export("orders.csv", [order(2, trade_amount="x")])
    run(night, "orders")
    (row,) = read_csv(night.reports()[-1] / "rows_to_fix.csv")
    fates = []
    for key in ("B1", "B2"):
        night.export("fixed.csv", [row | {"trade_amount": "2.00", "out_biz_no": key}])
        fates += [planned(night, "orders", "fixed.csv"), run(night, "orders", "fixed.csv")]

    assert fates == [{}, ["succeeded SUCCESS"], {"key_conflict": 1}, ["invalid key_conflict"]]
    assert night.requests() == ["B1"]


def test_a_task_of_which_a_part_counts_waits_for_the_rest(night: Night) -> None:
    """Of a fixed task one completion was delivered, one was refused: the row does not go out beside them."""
    night.export("tasks.csv", [task(2, out_biz_no="bad", times="2")])
    run(night, "tasks", faults=[refused("bad*")])
    half = fix(night, "tasks", {"out_biz_no": "K2"}, faults=[refused("K2-2")])
    fixing = night.reports()[-1].name

    waiting = run(night, "tasks")
    night.backfill("rerun", fixing, "--only", "rejected")

    assert (half, waiting) == (["rejected INVALID_PARAMETER"], ["blocked fix_open"])
    assert (run(night, "tasks"), night.simulator.journal.applied_keys()) == (
        ["skipped fixed_already"],
        ["K2-1", "K2-2"],
    )


def test_a_balance_that_was_overtaken_is_fixed_no_more(night: Night) -> None:
    """Once another balance of the card was confirmed the broken row may mean something new: a person has to see it."""
    broken = balance(2, 0) | {"point_balance": "x"}
    night.export("points.csv", [broken])
    run(night, "points")
    fix(night, "points", {"point_balance": "5"})
    skipped = run(night, "points")
    night.export("other.csv", [balance(2, 9)])
    run(night, "points", "other.csv")

    assert (skipped, run(night, "points")) == (["skipped fixed_already"], ["invalid field_invalid"])


def test_an_older_balance_does_not_undo_a_fixed_one(night: Night) -> None:
    """The fixed balance stands where its row stands: the one above it in the export is superseded by it."""
    night.export("points.csv", [balance(2, 3), balance(2, 0) | {"point_balance": "x"}])
    first = run(night, "points")
    fix(night, "points", {"point_balance": "5"})

    assert first == ["succeeded SUCCESS", "invalid field_invalid"]
    assert run(night, "points") == ["skipped superseded", "skipped fixed_already"]
    assert [entry.points for entry in night.simulator.journal.entries] == [3, 5]


def test_an_old_fix_given_back_again_undoes_nothing(night: Night) -> None:
    """A fixed balance that was delivered, and overtaken since, is not sent once more."""
    night.export("points.csv", [balance(2, 0) | {"point_balance": "x"}])
    run(night, "points")
    fix(night, "points", {"point_balance": "5"})
    run(night, "points", night.export("other.csv", [balance(2, 9)]).name)

    assert run(night, "points", "fixed.csv") == ["skipped already_succeeded"]
    assert [entry.points for entry in night.simulator.journal.entries] == [5, 9]


def test_a_fix_under_new_keys_counts(night: Night) -> None:
    """A fix that the platform wanted under another key, and a rerun sent so, fixes its row."""
    night.export("orders.csv", [order(2, trade_amount="x")])
    run(night, "orders")
    fix(
        night,
        "orders",
        {"trade_amount": "2.00"},
        faults=[InjectedFault(Kind.REFUSE, key="A2", code="IDEMPOTENT_ERROR")],
    )
    night.backfill("rerun", "last", "--new-keys")
    rekeyed = night.fates()

    assert (rekeyed, run(night, "orders")) == (["succeeded SUCCESS"], ["skipped fixed_already"])
    assert night.requests()[-1] == "A2-k2"


def test_a_row_that_two_runs_found_invalid_is_fixed_once(night: Night) -> None:
    """Both runs have the row to fix; delivered as a fix of the first run it is not sent as one of the second."""
    night.export("orders.csv", [order(2, trade_amount="x")])
    rows = []
    for _ in range(2):
        run(night, "orders")
        rows += read_csv(night.reports()[-1] / "rows_to_fix.csv")
    fates = []
    for row, key in zip(rows, ("B1", "B2"), strict=True):
        night.export("fixed.csv", [row | {"trade_amount": "2.00", "out_biz_no": key}])
        fates += run(night, "orders", "fixed.csv")

    assert (fates, night.requests()) == (["succeeded SUCCESS", "invalid key_conflict"], ["B1"])


def test_of_rows_that_say_the_same_a_later_run_may_fix_the_other_one(night: Night) -> None:
    """Where an export has the row twice, and one was fixed, the next run's fix is of the other one."""
    night.export("orders.csv", [order(2, out_biz_no="")] * 2)
    run(night, "orders")
    (row, _) = read_csv(night.reports()[-1] / "rows_to_fix.csv")
    night.export("fixed.csv", [row | {"out_biz_no": "A2"}])
    run(night, "orders", "fixed.csv")
    next_night = run(night, "orders")

    fixed = fix(night, "orders", {"out_biz_no": "A3"})

    assert (next_night, fixed) == (["skipped fixed_already", "invalid field_missing"], ["succeeded SUCCESS"])
    assert (run(night, "orders"), night.requests()) == (["skipped fixed_already"] * 2, ["A2", "A3"])
