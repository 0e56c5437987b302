"""`max_invalid`: a batch with too many invalid rows is not sent."""

import json
from collections.abc import Sequence

import pytest

from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import Workspace, order

COLUMNS = {"jobs.orders.columns": {"trade_amount": "note"}}
NOTE = 'trade_amount (column note) "备***注" (2 characters) is not an amount in yuan with at most two decimals'
TOO_MANY = "unsent too_many_invalid"


def results(*numbers: int, code: str = "invalid field_invalid", of: int = 30) -> list[str]:
    """Return the results of `of` rows, of which those with these numbers are invalid, without any sent."""
    return [code if number in numbers else TOO_MANY for number in range(1, of + 1)]


WRONG = [number for number in range(1, 31) if number % 6]


@pytest.fixture
def wrong(workspace: Workspace) -> Workspace:
    """Return a job that maps the amount to a wrong column: 25 of 30 rows are invalid."""
    workspace.configure(COLUMNS)
    workspace.export("orders.csv", [order(n, note="备注" if n in WRONG else "7.00") for n in range(1, 31)])
    return workspace


def test_nothing_is_sent_and_the_most_frequent_fault_is_named(wrong: Workspace) -> None:
    """The run exits with 4 before its first request, and names column, field, rule, count and a row."""
    ended = wrong.backfill("run", "orders")

    assert (ended.exit_code, wrong.results(), wrong.requests()) == (4, results(*WRONG), [])
    assert wrong.summary()["state"] == "stopped"
    assert "25 of 30 rows are invalid; max_invalid allows 20%. Nothing is sent." in ended.stdout
    assert f"Most frequent, in 25 rows: {NOTE} (field_invalid), first in orders.csv: row 1 (line 2)." in ended.stdout
    assert {line["message"] for line in wrong.outcomes() if line["code"] == "too_many_invalid"} == {
        "too many rows of the run are invalid, so nothing was sent"
    }


def test_plan_gives_the_same_reason(wrong: Workspace) -> None:
    """A plan of such a batch exits with 4 and the same reason; with a larger limit it exits with 3."""
    planned, allowed = (wrong.backfill("plan", "orders", *more) for more in ((), ("--max-invalid", "25")))
    as_json = json.loads(wrong.backfill("plan", "orders", "--json").stdout)
    reason = wrong.backfill("run", "orders").stdout.splitlines()[1].strip()

    assert (planned.exit_code, allowed.exit_code) == (4, 3)
    assert f"the run would stop before its first request: {reason}" in planned.stdout
    assert (as_json["exit_code"], as_json["reason"], as_json["counts"]) == (
        4, reason, {"to_send": 5, "skipped": 0, "invalid": 25},
    )  # fmt: skip
    assert as_json["faults"] == [
        {
            "status": "invalid", "code": "field_invalid", "field": "trade_amount", "column": "note",
            "rule": "is not an amount in yuan with at most two decimals", "rows": 25,
            "example": {"file": "orders.csv", "row": 1, "value": "备***注 (2 characters)"},
        }
    ]  # fmt: skip


def test_a_resume_checks_again_with_its_own_limit(wrong: Workspace) -> None:
    """A resume reads the rows again and stops again; with a larger --max-invalid it sends the valid rows."""
    wrong.backfill("run", "orders")

    again, more = wrong.backfill("resume", "last"), wrong.backfill("resume", "last", "--max-invalid", "84%")

    assert (again.exit_code, more.exit_code, len(wrong.reports())) == (4, 3, 1)
    sent = [f"A{number}" for number in range(1, 31) if number not in WRONG]
    assert sorted(wrong.requests()) == sorted(sent)
    assert wrong.results() == ["invalid field_invalid" if n in WRONG else "succeeded SUCCESS" for n in range(1, 31)]


def test_a_resume_reads_the_corrected_config(wrong: Workspace) -> None:
    """Because nothing was sent, a resume maps the rows with the corrected config."""
    wrong.backfill("run", "orders")
    wrong.configure({"jobs.orders.columns": {"trade_amount": "trade_amount"}})

    assert (wrong.backfill("resume", "last").exit_code, wrong.results()) == (0, ["succeeded SUCCESS"] * 30)


def test_a_rerun_does_not_bypass_the_check(wrong: Workspace) -> None:
    """A rerun of a run that sent nothing is refused, and names `resume`."""
    wrong.backfill("run", "orders")

    ended = wrong.backfill("rerun", "last")

    assert (ended.exit_code, wrong.requests(), len(wrong.reports())) == (2, [], 1)
    assert "sent nothing yet; continue it with `backfill resume" in ended.stderr


@pytest.mark.parametrize(
    ("settings", "words", "exit_code"),
    [
        pytest.param({}, [], 4, id="a fifth"),
        pytest.param({"max_invalid": "90%"}, [], 3, id="a share in the config"),
        pytest.param({"max_invalid": 25}, [], 3, id="a number in the config"),
        pytest.param({"max_invalid": 24}, [], 4, id="a smaller number in the config"),
        pytest.param({"max_invalid": "90%"}, ["--max-invalid", "10%"], 4, id="the option before the config"),
        pytest.param({"max_invalid": 0}, ["--max-invalid", "100%"], 3, id="the option allows all"),
        pytest.param({}, ["--limit", "19"], 3, id="fewer than 20 are invalid"),
        pytest.param({}, ["--limit", "19", "--max-invalid", "14"], 4, id="a number has no lower bound"),
    ],
)
def test_the_limit_comes_from_option_or_config(
    settings: dict[str, object], words: Sequence[str], exit_code: int, wrong: Workspace
) -> None:
    """The option has precedence over the job's setting, and that over the default."""
    wrong.configure({**COLUMNS, "jobs.orders": settings})

    assert wrong.backfill("run", "orders", *words).exit_code == exit_code
    assert (wrong.requests() == []) is (exit_code == 4)


def test_a_limit_above_all_rows_is_refused(wrong: Workspace) -> None:
    """A limit of more than 100% is refused; the fault names file, table and key."""
    wrong.configure({**COLUMNS, "jobs.orders": {"max_invalid": "120%"}})

    assert "[jobs.orders] max_invalid: '120%' is more than all rows" in wrong.refused("orders")


def test_rows_that_contradict_deliveries_count_too(workspace: Workspace) -> None:
    """Rows that only the ledger finds invalid count: their keys were delivered with other content."""
    workspace.export("orders.csv", [order(number) for number in range(25)])
    workspace.backfill("run", "orders")
    workspace.export("orders.csv", [order(number, trade_amount="7.77") for number in range(30)])

    ended = workspace.backfill("run", "orders")

    assert (ended.exit_code, workspace.results()) == (4, ["invalid key_conflict"] * 25 + [TOO_MANY] * 5)
    assert len(workspace.requests()) == 25


def test_a_resume_keeps_max_invalid(wrong: Workspace) -> None:
    """--max-invalid belongs to the run; a resume may replace it."""
    wrong.configure({**COLUMNS, "jobs.orders": {"max_invalid": "100%"}})

    first = wrong.backfill("run", "orders", "--max-invalid", "24")
    kept = wrong.backfill("resume", "last")
    anew = wrong.backfill("resume", "last", "--max-invalid", "23")
    last = wrong.backfill("resume", "last")

    ended = [(end.exit_code, f"max_invalid allows {most}" in end.stdout) for end, most in (
        (first, 24), (kept, 24), (anew, 23), (last, 23)
    )]  # fmt: skip
    assert (ended, wrong.requests()) == ([(4, True)] * 4, [])


def test_a_resume_keeps_max_failures(workspace: Workspace) -> None:
    """--max-failures belongs to the run; a resume may replace it."""
    workspace.configure({"jobs.orders": {"concurrency": 1}})
    workspace.export("orders.csv", [order(number) for number in range(9)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, code="INVALID_PARAMETER")])
    sent = []

    for words in (["run", "orders", "--max-failures", "1"], ["resume", "last"], ["resume", "last"]):
        assert workspace.backfill(*words).exit_code == 4
        sent.append(len(workspace.requests()))
    workspace.backfill("resume", "last", "--max-failures", "0")
    sent.append(len(workspace.requests()))
    workspace.backfill("resume", "last")
    sent.append(len(workspace.requests()))

    assert sent == [2, 4, 6, 7, 8]


def test_a_rerun_has_limits_of_its_own(workspace: Workspace) -> None:
    """A rerun without the options has the job's limits."""
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])
    workspace.backfill("run", "orders", "--max-failures", "0", "--max-invalid", "100%")
    workspace.backfill("resume", "last", "--limit", "0", "--max-failures", "100%")

    assert workspace.backfill("rerun", "last").exit_code == 0
    assert workspace.results() == ["succeeded SUCCESS"]
