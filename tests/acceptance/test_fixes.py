"""Rows that were fixed: tied to the run they come from, refused where a spreadsheet spoiled them, sent once."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.simulator import InjectedFault, Kind
from pipeline.tables.row_mark import RowMark
from tests.acceptance.night import Night, order, read_csv


def rows_to_fix(night: Night) -> list[dict[str, str]]:
    """Return the rows to fix of the newest run."""
    return read_csv(night.reports()[-1] / "rows_to_fix.csv")


def fixed(night: Night, changes: Mapping[str, Mapping[str, str]], name: str = "fixed.csv") -> str:
    """Save the newest rows to fix with changes by their keys; return the file's name."""
    night.export(name, [row | dict(changes.get(row["out_biz_no"], {})) for row in rows_to_fix(night)])
    return name


def shown(night: Night, run: str = "last") -> Any:
    """Return what `show --json` says of a run."""
    return json.loads(night.backfill("show", run, "--json").stdout)


def refused(key: str) -> InjectedFault:
    return InjectedFault(Kind.REFUSE, key=key, code="INVALID_PARAMETER")


@pytest.fixture
def spoiled(night: Night) -> Night:
    """A night with a row that went out, one that is invalid and one that was rejected; the platform is fine again."""
    night.simulator.set_faults([refused("A3")])
    night.export("orders.csv", [order(1), order(2, trade_amount="x"), order(3)])
    night.backfill("run", "orders")
    night.simulator.set_faults([])
    assert night.fates() == ["succeeded SUCCESS", "invalid field_invalid", "rejected INVALID_PARAMETER"]
    return night


def test_rows_to_fix_name_their_origin(spoiled: Night) -> None:
    """`_row` names run, file and row, in a text that is no number and no date."""
    run = spoiled.reports()[-1].name

    assert [row["_row"] for row in rows_to_fix(spoiled)] == [str(RowMark(run, 1, row)) for row in (2, 3)]


def test_a_fix_is_linked_to_its_run_whose_left_goes_down(spoiled: Night) -> None:
    """The fixing run names the first run as its parent, and what it delivers is left there no more."""
    first = spoiled.reports()[-1].name
    left_before = (spoiled.summary()["left"], shown(spoiled)["left"])

    ended = spoiled.backfill("run", "orders", fixed(spoiled, {"A2": {"trade_amount": "2.00"}}), "--json")

    assert (left_before, ended.exit_code, json.loads(ended.stdout)["parent"]) == ((2, 2), 0, first)
    assert (shown(spoiled, first)["left"], shown(spoiled)["left"], spoiled.summary()["left"]) == (0, 0, 0)
    assert [run["parent"] for run in json.loads(spoiled.backfill("runs", "--json").stdout)] == [first, None]
    assert spoiled.backfill("runs").stdout.splitlines()[1].endswith(f"fix of {first}")


def test_a_fix_that_fails_leaves_its_row(spoiled: Night) -> None:
    """Of the rows that were given back only those count that succeeded; the rest is left in both runs."""
    first = spoiled.reports()[-1].name

    ended = spoiled.backfill("run", "orders", fixed(spoiled, {"A2": {"trade_amount": "2.345"}}))

    assert (ended.exit_code, spoiled.fates()) == (3, ["invalid field_invalid", "succeeded SUCCESS"])
    assert (shown(spoiled, first)["left"], shown(spoiled)["left"]) == (1, 1)


def test_a_rerun_lets_its_parents_left_go_down(spoiled: Night) -> None:
    """What a rerun delivers is left in its parent no more, also in a rerun of a rerun."""
    first = spoiled.reports()[-1].name
    spoiled.simulator.set_faults([InjectedFault(Kind.LOSE_BEFORE_APPLYING, key="A3")])
    spoiled.backfill("rerun", "last", "--only", "rejected")
    left_of_first = shown(spoiled, first)["left"]
    spoiled.simulator.set_faults([])

    spoiled.backfill("rerun", "last")

    assert (left_of_first, [shown(spoiled, run.name)["left"] for run in spoiled.reports()]) == (2, [1, 0, 0])


def test_a_fix_of_a_fix_is_tied_to_the_first_run(spoiled: Night) -> None:
    """`_row` goes on naming the first origin, and that run's `left` goes down with the last fix."""
    first = spoiled.reports()[-1].name
    marks = [row["_row"] for row in rows_to_fix(spoiled)]
    spoiled.backfill("run", "orders", fixed(spoiled, {"A2": {"trade_amount": "2.345"}}, "one.csv"))
    marks_again = [row["_row"] for row in rows_to_fix(spoiled)]

    ended = spoiled.backfill("run", "orders", fixed(spoiled, {"A2": {"trade_amount": "2.34"}}, "two.csv"), "--json")

    assert (marks_again, ended.exit_code, json.loads(ended.stdout)["parent"]) == (marks[:1], 0, first)
    assert [shown(spoiled, run.name)["left"] for run in spoiled.reports()] == [0, 0, 0]


def test_a_rerun_of_a_fix_counts_for_the_first_run(spoiled: Night) -> None:
    """A fixed row that stayed unknown, and is sent by a rerun, is left nowhere."""
    spoiled.simulator.set_faults([InjectedFault(Kind.LOSE_BEFORE_APPLYING, key="A2")])
    spoiled.backfill("run", "orders", fixed(spoiled, {"A2": {"trade_amount": "2.00"}}))
    before = [shown(spoiled, run.name)["left"] for run in spoiled.reports()]
    spoiled.simulator.set_faults([])

    ended = spoiled.backfill("rerun", "last")

    assert (ended.exit_code, before) == (0, [1, 1])
    assert [shown(spoiled, run.name)["left"] for run in spoiled.reports()] == [0, 0, 0]


def test_show_tells_the_reruns_and_fixes_of_a_run(spoiled: Night) -> None:
    """A run names those that went on with its rows, and asks for nothing that they have seen to."""
    first = spoiled.reports()[-1].name
    spoiled.backfill("rerun", "last", "--only", "rejected")
    spoiled.export("fixed.csv", [read_csv(spoiled.reports()[0] / "rows_to_fix.csv")[0] | {"trade_amount": "2.00"}])
    spoiled.backfill("run", "orders", "fixed.csv")
    _, rerun, fix = (report.name for report in spoiled.reports())

    text, as_json = spoiled.backfill("show", first).stdout, shown(spoiled, first)

    assert (as_json["reruns"], as_json["fixes"], as_json["left"]) == ([rerun], [fix], 0)
    assert f"  reruns: {rerun}, 0 rows left\n  fixes: {fix}, 0 rows left\n" in text
    assert "rows_to_fix" not in text


def test_the_same_file_given_back_twice_sends_nothing_twice(spoiled: Night) -> None:
    """The second time every row is known as delivered, and nothing is left anywhere."""
    name = fixed(spoiled, {"A2": {"trade_amount": "2.00"}})
    spoiled.backfill("run", "orders", name)
    sent = spoiled.requests()

    ended = spoiled.backfill("run", "orders", name)

    assert (ended.exit_code, spoiled.requests(), spoiled.fates()) == (0, sent, ["skipped already_succeeded"] * 2)
    assert [shown(spoiled, run.name)["left"] for run in spoiled.reports()] == [0, 0, 0]


def test_of_rows_that_contradict_each_other_one_is_fixed_and_all_go_out(night: Night) -> None:
    """The others come back as they were; an equal row that was left out counts under no other key either."""
    agreed = order(1)["agreement_no"]
    night.export("orders.csv", [order(1), order(1), order(2, agreement_no=agreed)])
    night.backfill("run", "orders")
    first = night.reports()[-1].name
    contradicted = night.fates()
    other_keys = fixed(night, {"A1": {"out_biz_no": "B1"}, "A2": order(2)}, "other-keys.csv")

    night.backfill("run", "orders", fixed(night, {"A2": order(2)}))

    assert contradicted == ["invalid contradiction"] * 3
    assert night.fates() == ["succeeded SUCCESS", "skipped duplicate_row", "succeeded SUCCESS"]
    assert shown(night, first)["left"] == 0
    night.backfill("run", "orders", other_keys)
    assert night.fates() == ["invalid key_conflict", "invalid key_conflict", "skipped already_succeeded"]
    assert sorted(night.requests()) == ["A1", "A2"]


def test_of_a_row_that_was_parted_all_parts_count(spoiled: Night) -> None:
    """One row given back as two is left until both succeeded; the second half alone is refused while it is tied."""
    first = spoiled.reports()[-1].name
    (row, _) = rows_to_fix(spoiled)
    halves = [row | {"out_biz_no": f"A2{half}", "trade_amount": amount} for half, amount in (("a", "1.00"), ("b", "x"))]
    spoiled.export("halves.csv", halves)
    spoiled.backfill("run", "orders", "halves.csv")
    before = shown(spoiled, first)["left"]

    spoiled.backfill("run", "orders", fixed(spoiled, {"A2b": {"trade_amount": "1.00"}}))
    tied = (spoiled.fates(), spoiled.outcomes()[0]["message"].rpartition("; ")[2])
    spoiled.backfill("run", "orders", fixed(spoiled, {"A2b": {"_row": ""}}))

    assert (before, shown(spoiled, first)["left"]) == (2, 2)
    advice = "if this row is to count as well, empty its cell _row and give it a key of its own"
    assert tied == (["invalid key_conflict"], advice)
    assert (spoiled.fates(), spoiled.requests()[-2:]) == (["succeeded SUCCESS"], ["A2a", "A2b"])


@pytest.mark.parametrize("mark", ["", "8", str(RowMark("01JD4Q4Z8V3N5R6T7Y8M9B0C1D", 1, 2))])
def test_a_row_of_no_known_origin_is_a_row_like_any_other(spoiled: Night, mark: str) -> None:
    """Where `_row` is empty, changed or of another ledger the row is sent, tied to none, and the log says so."""
    first = spoiled.reports()[-1].name

    ended = spoiled.backfill("run", "orders", fixed(spoiled, {"A2": {"trade_amount": "2.00", "_row": mark}}))

    assert (ended.exit_code, spoiled.fates()) == (0, ["succeeded SUCCESS"] * 2)
    assert "fixed.csv: 1 row with no known row in the column _row; handled like rows of an export" in ended.stderr
    assert (shown(spoiled, first)["left"], spoiled.summary()["parent"]) == (1, first)


def test_a_row_that_names_one_that_went_out_is_refused(spoiled: Night) -> None:
    """A mark that was filled down names a row that counts already: this one is sent once the mark is gone."""
    first, sent = spoiled.reports()[-1].name, spoiled.requests()

    filled_down = {"A2": {"trade_amount": "2.00", "_row": str(RowMark(first, 1, 1))}}
    ended = spoiled.backfill("run", "orders", fixed(spoiled, filled_down))

    assert (ended.exit_code, spoiled.fates()) == (3, ["invalid key_conflict", "succeeded SUCCESS"])
    assert "empty its cell _row" in spoiled.outcomes()[0]["message"]
    assert (spoiled.requests()[len(sent) :], shown(spoiled, first)["left"]) == (["A3"], 1)


def test_rows_of_a_run_that_is_still_to_be_read_are_not_fixed(night: Night) -> None:
    """While a run that was stopped has to read its rows once more nobody knows what becomes of them."""
    for name in ("a.csv", "b.csv"):
        night.export(name, [order(1, trade_amount="x"), order(2)])
    night.backfill("run", "orders", "a.csv", "b.csv", "--until", night.now())
    run = night.reports()[-1].name
    night.export("fixed.csv", [order(2) | {"_row": str(RowMark(run, 1, 2)), "_code": "x"}])

    ended = night.backfill("run", "orders", "fixed.csv")

    assert (ended.exit_code, night.requests()) == (2, [])
    assert f"run {run}, whose rows are fixed here, is not read to its end; resume it before this" in ended.stderr


def test_rows_of_several_runs_may_be_fixed_together(night: Night) -> None:
    """Each run's `left` goes down by its own rows; the fixing run names the run of its first row."""
    together: list[dict[str, str]] = []
    for number in (1, 2):
        night.export(f"orders-{number}.csv", [order(number, trade_amount="x"), order(number + 10, trade_amount="y")])
        night.backfill("run", "orders", f"orders-{number}.csv")
        together += [row | {"trade_amount": "1.00"} for row in rows_to_fix(night)[:1]]
    first, second = (run.name for run in night.reports())
    night.export("fixed.csv", together)

    ended = night.backfill("run", "orders", "fixed.csv", "--json")

    assert (ended.exit_code, json.loads(ended.stdout)["parent"]) == (0, first)
    assert [shown(night, run)["left"] for run in (first, second)] == [1, 1]


def test_rows_of_several_files_are_told_apart(night: Night) -> None:
    """The mark names the file by its number in the run, and a fix is tied to the row of that file."""
    for name in ("a.csv", "b.csv"):
        night.export(name, [order(1), order(2, out_biz_no=name[0], trade_amount="x")])
    night.backfill("run", "orders", "a.csv", "b.csv")
    first = night.reports()[-1].name

    night.export("fixed.csv", [row | {"trade_amount": "1.00"} for row in rows_to_fix(night)[1:]])
    night.backfill("run", "orders", "fixed.csv")

    assert (shown(night, first)["left"], night.requests()[-1]) == (1, "b")


def test_a_row_whose_id_came_back_rounded_is_refused(night: Night) -> None:
    """The fault names the field; the next rows to fix have the id as it was, so that they can be sent as they are."""
    rows = [order(number, agreement_no=f"2023540000000000000{number}", trade_amount="x") for number in range(1, 5)]
    night.export("orders.csv", rows)
    night.backfill("run", "orders")
    good = {"trade_amount": "1.00"}
    name = fixed(
        night,
        {
            "A1": good | {"agreement_no": "2.02354E+19"},
            "A2": good | {"agreement_no": "20235400000000000000"},
            "A3": good | {"agreement_no": "30235400000000000003"},
            "A4": good,
        },
    )

    refused = night.backfill("run", "orders", name)
    fates, again = night.fates(), fixed(night, {}, "again.csv")
    ended = night.backfill("run", "orders", again)

    assert (refused.exit_code, fates) == (3, ["invalid id_rounded"] * 2 + ["succeeded SUCCESS"] * 2)
    assert (ended.exit_code, night.fates()) == (0, ["succeeded SUCCESS"] * 2)
    assert [row["agreement_no"] for row in read_csv(night.folder / again)] == [row["agreement_no"] for row in rows[:2]]


def test_a_plan_of_fixed_rows_refuses_what_a_run_would(night: Night) -> None:
    """`plan` ties rows to their origins as well, and tells an id that came back rounded."""
    night.export("orders.csv", [order(1, agreement_no="20235400000000000001", trade_amount="x")])
    night.backfill("run", "orders")
    name = fixed(night, {"A1": {"agreement_no": "2.02354E+19", "trade_amount": "1.00"}})

    planned = night.backfill("plan", "orders", name, "--json")

    assert (planned.exit_code, json.loads(planned.stdout)["codes"]) == (3, {"id_rounded": 1})


def test_a_fix_is_resumed_with_its_links(night: Night) -> None:
    """A fixing run that was stopped while it read keeps nothing of it, and ties its rows when it goes on."""
    night.export("orders.csv", [order(number, trade_amount="x") for number in (1, 2)])
    night.backfill("run", "orders")
    first = night.reports()[-1].name
    name = fixed(night, {key: {"trade_amount": "1.00"} for key in ("A1", "A2")})
    stopped = night.backfill("run", "orders", name, "--until", night.now())
    before = shown(night, first)["left"]

    ended = night.backfill("resume", "last", "--json")

    assert (stopped.exit_code, before, ended.exit_code) == (5, 2, 0)
    assert (json.loads(ended.stdout)["parent"], shown(night, first)["left"]) == (first, 0)


def test_a_changed_file_of_fixed_rows_is_not_resumed(night: Night) -> None:
    """A fixing run has inputs as any other: one that changed since is not sent."""
    night.export("orders.csv", [order(1, trade_amount="x")])
    night.backfill("run", "orders")
    name = fixed(night, {"A1": {"trade_amount": "1.00"}})
    night.backfill("run", "orders", name, "--until", night.now())
    path = Path(night.folder / name)
    path.write_text(path.read_text(encoding="utf-8").replace("1.00", "2.00"), encoding="utf-8")

    ended = night.backfill("resume", "last")

    assert (ended.exit_code, night.requests()) == (2, [])
    assert "changed since run" in ended.stderr
