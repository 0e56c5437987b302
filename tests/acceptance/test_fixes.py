"""Fixed rows: linked to their origin, refused if a spreadsheet rounded them, sent once."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.simulator import FaultKind, InjectedFault
from pipeline.tables.row_mark import RowMark
from tests.acceptance.workspace import Workspace, order, read_csv


def rows_to_fix(workspace: Workspace) -> list[dict[str, str]]:
    """Return the rows to fix of the newest run."""
    return read_csv(workspace.reports()[-1] / "rows_to_fix.csv")


def fixed(workspace: Workspace, changes: Mapping[str, Mapping[str, str]], name: str = "fixed.csv") -> str:
    """Save the newest rows to fix with changes by key; return the file's name."""
    workspace.export(name, [row | dict(changes.get(row["out_biz_no"], {})) for row in rows_to_fix(workspace)])
    return name


def shown(workspace: Workspace, run: str = "last") -> Any:
    """Return the output of `show --json` for a run."""
    return json.loads(workspace.backfill("show", run, "--json").stdout)


def refused(key: str) -> InjectedFault:
    return InjectedFault(FaultKind.REFUSE, key=key, code="INVALID_PARAMETER")


@pytest.fixture
def spoiled(workspace: Workspace) -> Workspace:
    """Return a workspace with a sent, an invalid and a rejected row; the platform has no faults any more."""
    workspace.simulator.set_faults([refused("A3")])
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x"), order(3)])
    workspace.backfill("run", "orders")
    workspace.simulator.set_faults([])
    assert workspace.results() == ["succeeded SUCCESS", "invalid field_invalid", "rejected INVALID_PARAMETER"]
    return workspace


def test_rows_to_fix_name_their_origin(spoiled: Workspace) -> None:
    """`_row` names run, file and row, in a text that is neither number nor date."""
    run = spoiled.reports()[-1].name

    assert [row["_row"] for row in rows_to_fix(spoiled)] == [str(RowMark(run, 1, row)) for row in (2, 3)]


def test_a_fix_is_linked_to_its_run_whose_left_goes_down(spoiled: Workspace) -> None:
    """The fixing run has the first run as its parent, whose `left` goes down by the delivered rows."""
    first = spoiled.reports()[-1].name
    left_before = (spoiled.summary()["left"], shown(spoiled)["left"])

    ended = spoiled.backfill("run", "orders", fixed(spoiled, {"A2": {"trade_amount": "2.00"}}), "--json")

    assert (left_before, ended.exit_code, json.loads(ended.stdout)["parent"]) == ((2, 2), 0, first)
    assert (shown(spoiled, first)["left"], shown(spoiled)["left"], spoiled.summary()["left"]) == (0, 0, 0)
    assert [run["parent"] for run in json.loads(spoiled.backfill("runs", "--json").stdout)] == [first, None]
    assert spoiled.backfill("runs").stdout.splitlines()[1].endswith(f"fix of {spoiled.short_id(first)}")


def test_a_fix_that_fails_leaves_its_row(spoiled: Workspace) -> None:
    """Only fixed rows that succeeded count; the rest is left in both runs."""
    first = spoiled.reports()[-1].name

    ended = spoiled.backfill("run", "orders", fixed(spoiled, {"A2": {"trade_amount": "2.345"}}))

    assert (ended.exit_code, spoiled.results()) == (3, ["invalid field_invalid", "succeeded SUCCESS"])
    assert (shown(spoiled, first)["left"], shown(spoiled)["left"]) == (1, 1)


def test_a_rerun_reduces_left_of_its_parent(spoiled: Workspace) -> None:
    """Rows that a rerun delivers are no longer left in its parent, also for a rerun of a rerun."""
    first = spoiled.reports()[-1].name
    spoiled.simulator.set_faults([InjectedFault(FaultKind.LOSE_BEFORE_APPLYING, key="A3")])
    spoiled.backfill("rerun", "last", "--only", "rejected")
    left_of_first = shown(spoiled, first)["left"]
    spoiled.simulator.set_faults([])

    spoiled.backfill("rerun", "last")

    assert (left_of_first, [shown(spoiled, run.name)["left"] for run in spoiled.reports()]) == (2, [1, 0, 0])


def test_a_fix_of_a_fix_is_tied_to_the_first_run(spoiled: Workspace) -> None:
    """`_row` keeps naming the first origin, and that run's `left` goes down with the last fix."""
    first = spoiled.reports()[-1].name
    marks = [row["_row"] for row in rows_to_fix(spoiled)]
    spoiled.backfill("run", "orders", fixed(spoiled, {"A2": {"trade_amount": "2.345"}}, "one.csv"))
    marks_again = [row["_row"] for row in rows_to_fix(spoiled)]

    ended = spoiled.backfill("run", "orders", fixed(spoiled, {"A2": {"trade_amount": "2.34"}}, "two.csv"), "--json")

    assert (marks_again, ended.exit_code, json.loads(ended.stdout)["parent"]) == (marks[:1], 0, first)
    assert [shown(spoiled, run.name)["left"] for run in spoiled.reports()] == [0, 0, 0]


def test_a_rerun_of_a_fix_counts_for_the_first_run(spoiled: Workspace) -> None:
    """A fixed row that stayed unknown and is sent by a rerun is left in no run."""
    spoiled.simulator.set_faults([InjectedFault(FaultKind.LOSE_BEFORE_APPLYING, key="A2")])
    spoiled.backfill("run", "orders", fixed(spoiled, {"A2": {"trade_amount": "2.00"}}))
    before = [shown(spoiled, run.name)["left"] for run in spoiled.reports()]
    spoiled.simulator.set_faults([])

    ended = spoiled.backfill("rerun", "last")

    assert (ended.exit_code, before) == (0, [1, 1])
    assert [shown(spoiled, run.name)["left"] for run in spoiled.reports()] == [0, 0, 0]


def test_show_lists_the_reruns_and_fixes_of_a_run(spoiled: Workspace) -> None:
    """`show` has a tree of the runs that continued its rows, and has no next steps for rows that they delivered."""
    first = spoiled.reports()[-1].name
    spoiled.backfill("rerun", "last", "--only", "rejected")
    spoiled.export("fixed.csv", [read_csv(spoiled.reports()[0] / "rows_to_fix.csv")[0] | {"trade_amount": "2.00"}])
    spoiled.backfill("run", "orders", "fixed.csv")
    _, rerun, fix = (report.name for report in spoiled.reports())

    text, as_json = spoiled.backfill("show", first).stdout, shown(spoiled, first)

    assert (as_json["reruns"], as_json["fixes"], as_json["left"]) == ([rerun], [fix], 0)
    lines = [line.split("  ")[-1] for line in text.splitlines()[-4:]]
    assert lines == [
        "run completed: 3 rows, 2 left *", "rerun completed: 1 row, 0 left", "fix completed: 1 row, 0 left",
        "left of the whole: 0 of 3 rows",
    ]  # fmt: skip
    assert "rows_to_fix" not in text


def test_show_says_how_many_rows_of_the_next_steps_are_done(spoiled: Workspace) -> None:
    """After a rerun of one of two rows, the steps of the first run say that one is done, and not sent again."""
    spoiled.backfill("rerun", "last", "--only", "rejected")
    first = spoiled.reports()[0].name

    text = spoiled.backfill("show", first).stdout

    assert "  Reruns and fixes have done 1 of these rows; it is not sent again. " in text


def test_the_same_fixes_run_twice_are_sent_once(spoiled: Workspace) -> None:
    """The second time, every row is known as delivered, and no run has rows left."""
    name = fixed(spoiled, {"A2": {"trade_amount": "2.00"}})
    spoiled.backfill("run", "orders", name)
    sent = spoiled.requests()

    ended = spoiled.backfill("run", "orders", name)

    assert (ended.exit_code, spoiled.requests(), spoiled.results()) == (0, sent, ["skipped already_succeeded"] * 2)
    assert [shown(spoiled, run.name)["left"] for run in spoiled.reports()] == [0, 0, 0]


def test_one_of_contradicting_rows_is_fixed_and_all_are_sent(workspace: Workspace) -> None:
    """The other rows are run again unchanged; an equal row that was left out counts under no other key either."""
    agreed = order(1)["agreement_no"]
    workspace.export("orders.csv", [order(1), order(1), order(2, agreement_no=agreed)])
    workspace.backfill("run", "orders")
    first = workspace.reports()[-1].name
    contradicted = workspace.results()
    other_keys = fixed(workspace, {"A1": {"out_biz_no": "B1"}, "A2": order(2)}, "other-keys.csv")

    workspace.backfill("run", "orders", fixed(workspace, {"A2": order(2)}))

    assert contradicted == ["invalid contradiction"] * 3
    assert workspace.results() == ["succeeded SUCCESS", "skipped duplicate_row", "succeeded SUCCESS"]
    assert shown(workspace, first)["left"] == 0
    workspace.backfill("run", "orders", other_keys)
    assert workspace.results() == ["invalid key_conflict", "invalid key_conflict", "skipped already_succeeded"]
    assert sorted(workspace.requests()) == ["A1", "A2"]


def test_a_row_split_into_two_needs_both(spoiled: Workspace) -> None:
    """A row fixed as 2 rows is left until both succeeded; the second row alone is refused while it has its mark."""
    first = spoiled.reports()[-1].name
    (row, _) = rows_to_fix(spoiled)
    halves = [row | {"out_biz_no": f"A2{half}", "trade_amount": amount} for half, amount in (("a", "1.00"), ("b", "x"))]
    spoiled.export("halves.csv", halves)
    spoiled.backfill("run", "orders", "halves.csv")
    before = shown(spoiled, first)["left"]

    spoiled.backfill("run", "orders", fixed(spoiled, {"A2b": {"trade_amount": "1.00"}}))
    tied = (spoiled.results(), spoiled.outcomes()[0]["message"].rpartition("; ")[2])
    spoiled.backfill("run", "orders", fixed(spoiled, {"A2b": {"_row": ""}}))

    assert (before, shown(spoiled, first)["left"]) == (2, 2)
    advice = "if this row is to count as well, empty its cell _row and give it a key of its own"
    assert tied == (["invalid key_conflict"], advice)
    assert (spoiled.results(), spoiled.requests()[-2:]) == (["succeeded SUCCESS"], ["A2a", "A2b"])


@pytest.mark.parametrize("mark", ["", "8", str(RowMark("01JD4Q4Z8V3N5R6T7Y8M9B0C1D", 1, 2))])
def test_a_row_without_known_origin_is_an_ordinary_row(spoiled: Workspace, mark: str) -> None:
    """If `_row` is empty, changed or of another ledger, the row is sent without a link, and the log says so."""
    first = spoiled.reports()[-1].name

    ended = spoiled.backfill("run", "orders", fixed(spoiled, {"A2": {"trade_amount": "2.00", "_row": mark}}))

    assert (ended.exit_code, spoiled.results()) == (0, ["succeeded SUCCESS"] * 2)
    assert "fixed.csv: 1 row without a known origin in `_row`; processed like rows of an export" in ended.stderr
    assert (shown(spoiled, first)["left"], spoiled.summary()["parent"]) == (1, first)


def test_a_mark_of_a_delivered_row_is_refused(spoiled: Workspace) -> None:
    """A mark copied down names a row that counts already: the row is refused until the mark is removed."""
    first, sent = spoiled.reports()[-1].name, spoiled.requests()

    filled_down = {"A2": {"trade_amount": "2.00", "_row": str(RowMark(first, 1, 1))}}
    ended = spoiled.backfill("run", "orders", fixed(spoiled, filled_down))

    assert (ended.exit_code, spoiled.results()) == (3, ["invalid key_conflict", "succeeded SUCCESS"])
    assert "empty its cell _row" in spoiled.outcomes()[0]["message"]
    assert (spoiled.requests()[len(sent) :], shown(spoiled, first)["left"]) == (["A3"], 1)


def test_fixes_wait_for_a_run_that_must_be_read_again(workspace: Workspace) -> None:
    """A run that was stopped while staging will read its rows again, so that their fixes are refused."""
    for name in ("a.csv", "b.csv"):
        workspace.export(name, [order(1, trade_amount="x"), order(2)])
    workspace.backfill("run", "orders", "a.csv", "b.csv", "--until", workspace.now())
    run = workspace.reports()[-1].name
    workspace.export("fixed.csv", [order(2) | {"_row": str(RowMark(run, 1, 2)), "_code": "x"}])

    ended = workspace.backfill("run", "orders", "fixed.csv")

    assert (ended.exit_code, workspace.requests()) == (2, [])
    assert f"run {run}, whose rows are fixed here, is not read to its end; resume it before this" in ended.stderr


def test_rows_of_several_runs_may_be_fixed_together(workspace: Workspace) -> None:
    """Each run's `left` goes down by its own rows; the parent is the run of the first row."""
    together: list[dict[str, str]] = []
    for number in (1, 2):
        workspace.export(
            f"orders-{number}.csv", [order(number, trade_amount="x"), order(number + 10, trade_amount="y")]
        )
        workspace.backfill("run", "orders", f"orders-{number}.csv")
        together += [row | {"trade_amount": "1.00"} for row in rows_to_fix(workspace)[:1]]
    first, second = (run.name for run in workspace.reports())
    workspace.export("fixed.csv", together)

    ended = workspace.backfill("run", "orders", "fixed.csv", "--json")

    assert (ended.exit_code, json.loads(ended.stdout)["parent"]) == (0, first)
    assert [shown(workspace, run)["left"] for run in (first, second)] == [1, 1]


def test_rows_of_several_files_are_distinguished(workspace: Workspace) -> None:
    """The mark has the number of the file, and a fix is linked to the row of that file."""
    for name in ("a.csv", "b.csv"):
        workspace.export(name, [order(1), order(2, out_biz_no=name[0], trade_amount="x")])
    workspace.backfill("run", "orders", "a.csv", "b.csv")
    first = workspace.reports()[-1].name

    workspace.export("fixed.csv", [row | {"trade_amount": "1.00"} for row in rows_to_fix(workspace)[1:]])
    workspace.backfill("run", "orders", "fixed.csv")

    assert (shown(workspace, first)["left"], workspace.requests()[-1]) == (1, "b")


def test_a_fix_with_a_rounded_id_is_refused(workspace: Workspace) -> None:
    """The fault names the field; the next rows to fix have the original id, so that they can be sent."""
    rows = [order(number, agreement_no=f"2023540000000000000{number}", trade_amount="x") for number in range(1, 5)]
    workspace.export("orders.csv", rows)
    workspace.backfill("run", "orders")
    good = {"trade_amount": "1.00"}
    name = fixed(
        workspace,
        {
            "A1": good | {"agreement_no": "2.02354E+19"},
            "A2": good | {"agreement_no": "20235400000000000000"},
            "A3": good | {"agreement_no": "30235400000000000003"},
            "A4": good,
        },
    )

    refused = workspace.backfill("run", "orders", name)
    results, again = workspace.results(), fixed(workspace, {}, "again.csv")
    ended = workspace.backfill("run", "orders", again)

    assert (refused.exit_code, results) == (3, ["invalid id_rounded"] * 2 + ["succeeded SUCCESS"] * 2)
    assert (ended.exit_code, workspace.results()) == (0, ["succeeded SUCCESS"] * 2)
    assert [row["agreement_no"] for row in read_csv(workspace.folder / again)] == [
        row["agreement_no"] for row in rows[:2]
    ]


def test_a_plan_of_fixed_rows_refuses_what_a_run_would(workspace: Workspace) -> None:
    """`plan` links rows to their origins too, and reports a rounded id."""
    workspace.export("orders.csv", [order(1, agreement_no="20235400000000000001", trade_amount="x")])
    workspace.backfill("run", "orders")
    name = fixed(workspace, {"A1": {"agreement_no": "2.02354E+19", "trade_amount": "1.00"}})

    planned = workspace.backfill("plan", "orders", name, "--json")

    assert (planned.exit_code, json.loads(planned.stdout)["codes"]) == (3, {"id_rounded": 1})


def test_a_fix_is_resumed_with_its_links(workspace: Workspace) -> None:
    """A fixing run that was stopped while reading has no links, and adds them when it is resumed."""
    workspace.export("orders.csv", [order(number, trade_amount="x") for number in (1, 2)])
    workspace.backfill("run", "orders")
    first = workspace.reports()[-1].name
    name = fixed(workspace, {key: {"trade_amount": "1.00"} for key in ("A1", "A2")})
    stopped = workspace.backfill("run", "orders", name, "--until", workspace.now())
    before = shown(workspace, first)["left"]

    ended = workspace.backfill("resume", "last", "--json")

    assert (stopped.exit_code, before, ended.exit_code) == (5, 2, 0)
    assert (json.loads(ended.stdout)["parent"], shown(workspace, first)["left"]) == (first, 0)


def test_a_changed_file_of_fixed_rows_is_not_resumed(workspace: Workspace) -> None:
    """The inputs of a fixing run are checked like any others: a changed file is not sent."""
    workspace.export("orders.csv", [order(1, trade_amount="x")])
    workspace.backfill("run", "orders")
    name = fixed(workspace, {"A1": {"trade_amount": "1.00"}})
    workspace.backfill("run", "orders", name, "--until", workspace.now())
    path = Path(workspace.folder / name)
    path.write_text(path.read_text(encoding="utf-8").replace("1.00", "2.00"), encoding="utf-8")

    ended = workspace.backfill("resume", "last")

    assert (ended.exit_code, workspace.requests()) == (2, [])
    assert "changed since run" in ended.stderr
