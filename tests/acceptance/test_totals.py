"""`backfill totals`: what each agreement has at the platform, and what is not final."""

import csv
import io
import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import Workspace, order, read_csv, refund, task

AGREEMENT = [f"20255108518085{number:06d}" for number in range(10)]


def totals(workspace: Workspace, *words: str) -> list[tuple[str, ...]]:
    """Return agreement, status, reports, tasks, amount and discount of each line; nothing may be missing."""
    ended = workspace.backfill("totals", "--format", "csv", *words)
    assert (ended.exit_code, ended.stderr) == (0, "")
    names = ("agreement_no", "status", "reports", "tasks", "amount", "discount")
    return [tuple(line[name] for name in names) for line in csv.DictReader(io.StringIO(ended.stdout))]


def lost_answer(key: str) -> InjectedFault:
    return InjectedFault(FaultKind.CUT_BODY, key=key)


def test_payments_refunds_tasks_and_discounts_are_added_up(workspace: Workspace) -> None:
    """Refunds are subtracted, several discounts and a task done n times are added up, per agreement."""
    discounts = [
        {"discount_name": name, "discount_type": "memberPoint", "discount_amount": amount}
        for name, amount in (("a", "0.1"), ("b", "0.25"))
    ]
    paid = order(1, out_biz_no="A1b", trade_amount="3.05", discounts=json.dumps(discounts))
    workspace.export("orders.csv", [order(1), paid, refund(1, of=1, trade_amount="1.00"), order(2)])
    workspace.export("tasks.csv", [task(1, times="3")])
    workspace.backfill("run", "orders")
    workspace.backfill("run", "tasks")

    assert totals(workspace) == [
        (AGREEMENT[1], "succeeded", "4", "3", "14.55", "0.35"),
        (AGREEMENT[2], "succeeded", "1", "0", "12.50", "0.00"),
    ]
    assert totals(workspace, "--agreement", AGREEMENT[2]) == [(AGREEMENT[2], "succeeded", "1", "0", "12.50", "0.00")]


def test_the_days_are_those_of_beijing(workspace: Workspace) -> None:
    """`--from` and `--to` include their days, by biz_time as it is sent: in Beijing time."""
    times = ["2025-11-19T23:59:59+08:00", "2025-11-19T16:00:00Z", "2025-11-20T23:59:59+08:00", "2025-11-21 00:00:00"]
    workspace.export("orders.csv", [order(number, biz_time=time) for number, time in enumerate(times, 1)])
    workspace.backfill("run", "orders")

    found = totals(workspace, "--from", "2025-11-20", "--to", "2025-11-20")

    assert [line[0] for line in found] == [AGREEMENT[2], AGREEMENT[3]]
    assert [line[0] for line in totals(workspace, "--from", "2025-11-21")] == [AGREEMENT[4]]


def test_what_is_not_final_has_lines_of_its_own(workspace: Workspace) -> None:
    """Rows that are unknown, rejected, blocked or invalid have a line each, and the agreement is not final."""
    refused = InjectedFault(FaultKind.REFUSE, key="A2", code="INVALID_PARAMETER")
    workspace.simulator.set_faults([lost_answer("A1"), refused])
    rows = [order(1), order(2), refund(2, of=2), order(3), order(3, out_biz_no="A3b", trade_amount="x")]
    workspace.export("orders.csv", rows)
    workspace.backfill("run", "orders")

    assert totals(workspace) == [
        (AGREEMENT[1], "unknown", "1", "0", "12.50", "0.00"),
        (AGREEMENT[2], "rejected", "1", "0", "12.50", "0.00"),
        (AGREEMENT[2], "blocked", "-1", "0", "-12.50", "0.00"),
        (AGREEMENT[3], "succeeded", "1", "0", "12.50", "0.00"),
        (AGREEMENT[3], "invalid", "1", "", "", ""),
    ]


def test_a_row_that_is_sent_again_counts_once(workspace: Workspace) -> None:
    """A rerun under the same key replaces the unknown report, and the same export again changes nothing."""
    workspace.simulator.set_faults([lost_answer("A1")])
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")
    unknown = totals(workspace)
    workspace.simulator.set_faults([])
    workspace.backfill("rerun", "last")
    workspace.backfill("run", "orders")

    assert unknown == [(AGREEMENT[1], "unknown", "1", "0", "12.50", "0.00")]
    assert totals(workspace) == [(AGREEMENT[1], "succeeded", "1", "0", "12.50", "0.00")]


def test_a_row_under_a_new_key_counts_once(workspace: Workspace) -> None:
    """A refused row that was given another key counts under that key only, also if it is refused again."""
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, key="A1", code="IDEMPOTENT_ERROR")])
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, key="A1-k2", code="INVALID_PARAMETER")])
    workspace.backfill("rerun", "last", "--new-keys")
    refused_again = totals(workspace)
    workspace.simulator.set_faults([])
    workspace.backfill("rerun", "last", "--only", "rejected")

    assert refused_again == [(AGREEMENT[1], "rejected", "1", "0", "12.50", "0.00")]
    assert totals(workspace) == [(AGREEMENT[1], "succeeded", "1", "0", "12.50", "0.00")]


def test_a_fixed_row_counts_once_under_its_new_key(workspace: Workspace) -> None:
    """Rows that were rejected or invalid count as their fixes do, once these were staged."""
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, key="A1", code="INVALID_PARAMETER")])
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])
    workspace.backfill("run", "orders")
    to_fix = read_csv(workspace.reports()[-1] / "rows_to_fix.csv")
    fixes = [row | {"out_biz_no": f"{row['out_biz_no']}f", "trade_amount": "7.00"} for row in to_fix]
    workspace.export("fixed.csv", fixes)
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, key="A1f", code="INVALID_PARAMETER")])
    workspace.backfill("run", "orders", "fixed.csv")

    assert totals(workspace) == [
        (AGREEMENT[1], "rejected", "1", "0", "7.00", "0.00"),
        (AGREEMENT[2], "succeeded", "1", "0", "7.00", "0.00"),
    ]


def test_an_invalid_row_counts_once_until_its_key_comes_right(workspace: Workspace) -> None:
    """The same invalid row of two nights counts once; a later export with a valid row of its key replaces it."""
    workspace.export("orders.csv", [order(1, trade_amount="x"), order(2, out_biz_no="", trade_amount="x")])
    workspace.backfill("run", "orders")
    workspace.backfill("run", "orders")
    twice = totals(workspace)
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")

    assert twice == [(AGREEMENT[number], "invalid", "1", "", "", "") for number in (1, 2)]
    assert totals(workspace) == [
        (AGREEMENT[1], "succeeded", "1", "0", "12.50", "0.00"),
        (AGREEMENT[2], "invalid", "1", "", "", ""),
    ]


def test_rows_that_were_not_reached_are_unsent(workspace: Workspace) -> None:
    """Rows behind `--until` are in the ledger and were never sent: they are unsent."""
    workspace.export("orders.csv", [order(1), order(2)])
    workspace.backfill("run", "orders", "--max-failures", "0", "--limit", "1")
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, key="A3", code="INVALID_PARAMETER")])
    workspace.configure({"jobs.orders": {"concurrency": 1}})
    workspace.export("orders.csv", [order(3), *(order(number) for number in (4, 5, 6, 7, 8, 9))])
    workspace.backfill("run", "orders", "--max-failures", "0")

    lines = totals(workspace)

    assert lines[0] == (AGREEMENT[1], "succeeded", "1", "0", "12.50", "0.00")
    assert lines[1] == (AGREEMENT[3], "rejected", "1", "0", "12.50", "0.00")
    assert lines[-1] == (AGREEMENT[9], "unsent", "1", "0", "12.50", "0.00")


def test_totals_survive_a_prune(workspace: Workspace) -> None:
    """Deleted runs leave their deliveries, and these their agreements and amounts."""
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")
    workspace.export("orders.csv", [order(2)])
    workspace.backfill("run", "orders")
    before = totals(workspace)
    pruned = json.loads(workspace.backfill("prune", "--keep", "0", "--json").stdout)["runs"]

    assert (len(pruned), totals(workspace)) == (1, before)


def test_agreement_numbers_are_masked_on_stdout_and_whole_in_files(workspace: Workspace) -> None:
    """The table on stdout masks them unless `--show-ids` is given; a file has them, and only its owner may read it."""
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])
    workspace.backfill("run", "orders")
    output = workspace.folder / "out" / "totals.csv"

    masked = workspace.backfill("totals").stdout
    shown = workspace.backfill("totals", "--show-ids").stdout
    written = workspace.backfill("totals", "--output", str(output)).stdout

    assert masked.splitlines()[1:] == [
        "zhima    2***1 (20 characters)  succeeded        1      0   12.50      0.00",
        "zhima    2***2 (20 characters)  invalid          1",
        "2 agreements, 1 of them not final",
        "agreement numbers are masked; --show-ids shows them, --output writes them",
    ]
    assert shown.splitlines()[1].split()[:3] == ["zhima", AGREEMENT[1], "succeeded"]
    assert written.splitlines() == [str(output), "2 agreements, 1 of them not final"]
    assert [line["agreement_no"] for line in read_csv(output)] == AGREEMENT[1:3]
    assert output.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "error"),
    [
        pytest.param(
            ["--output", "orders.csv"], "orders.csv is an input of job orders and is not overwritten", id="input"
        ),
        pytest.param(
            ["--format", "csv", "--output", "backfill.toml"], "is the config and is not overwritten", id="config"
        ),
        pytest.param(["--format", "csv", "--output", "state/backfill.db"], "belongs to the ledger", id="ledger"),
        pytest.param(["--format", "csv", "--output", "keys"], "that is a folder; name a file", id="folder"),
        pytest.param(["--output", "x.doc"], "unknown suffix; use .csv, .parquet, .json, .txt, or add", id="suffix"),
        pytest.param(["--format", "parquet"], "Parquet is not text; name a file with --output", id="binary"),
        pytest.param(["--from", "2025-11-02", "--to", "2025-11-01"], "--from 2025-11-02 is after", id="period"),
        pytest.param(["--account", "x"], "the config has these accounts: ", id="account"),
    ],
)
def test_wrong_options_change_nothing(workspace: Workspace, words: list[str], error: str) -> None:
    """A file of the user is not overwritten, and a wrong option is named, with exit code 2."""
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")
    before = (workspace.folder / "orders.csv").read_bytes()

    ended = workspace.backfill("totals", *words)

    assert (ended.exit_code, ended.stdout, error in ended.stderr) == (2, "", True)
    assert (workspace.folder / "orders.csv").read_bytes() == before


def test_totals_without_a_ledger_are_refused(workspace: Workspace) -> None:
    """Before the first run nobody can say what was reported: exit code 2."""
    ended = workspace.backfill("totals")

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.endswith("backfill.db has no runs yet\n")


def test_totals_of_a_ledger_that_is_behind_are_refused(workspace: Workspace) -> None:
    """A restored ledger does not know all reports: no totals until a resync, and a note after it."""
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")
    shutil.copytree(workspace.folder / "state", workspace.folder / "copy")
    workspace.export("orders.csv", [order(2)])
    workspace.backfill("run", "orders")
    shutil.rmtree(workspace.folder / "state")
    (workspace.folder / "copy").rename(workspace.folder / "state")

    refused = workspace.backfill("totals")
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders", "--resync")
    noted = workspace.backfill("totals")

    assert (refused.exit_code, refused.stdout, "--resync" in refused.stderr) == (2, "", True)
    assert "1 agreement, 0 of them not final" in noted.stdout
    assert "reports that it does not know are missing in these totals" in noted.stderr


def test_what_the_totals_lack_is_noted(workspace: Workspace) -> None:
    """Reports from before the ledger kept amounts, rows without agreement, and runs that sent nothing are named."""
    workspace.export("orders.csv", [order(1), order(2, agreement_no="")])
    workspace.backfill("run", "orders")
    with closing(sqlite3.connect(workspace.folder / "state" / "backfill.db")) as ledger, ledger:
        ledger.execute("UPDATE deliveries SET agreement = NULL, biz_day = NULL, direction = NULL, amount = NULL")
    workspace.export("orders.csv", [order(number, trade_amount="x") for number in range(30)])
    workspace.backfill("run", "orders")
    wrong = workspace.reports()[-1].name

    ended = workspace.backfill("totals", "--format", "json")

    notes = ended.stderr.splitlines()
    assert json.loads(ended.stdout) == []
    assert [note.partition("missing in these totals: ")[2][:25] for note in notes[1:]] == [
        "1 report is invalid and w",
        "1 report is confirmed bef",
    ]
    assert f"the rows of run {wrong} are missing in these totals: it sent nothing; run job orders again" in notes[0]


def test_a_report_shows_agreements_that_are_not_final(workspace: Workspace) -> None:
    """Terminal and report.html of a run name agreements with rows that did not succeed, until a rerun settles them."""
    workspace.simulator.set_faults([lost_answer("A1")])
    workspace.export("orders.csv", [order(1), order(2), order(3, trade_amount="x")])
    ended = workspace.backfill("run", "orders")
    page = (workspace.reports()[-1] / "report.html").read_text(encoding="utf-8")
    first = workspace.reports()[-1].name
    workspace.simulator.set_faults([])
    workspace.backfill("rerun", "last")

    assert "  totals not final: 2 agreements (`backfill totals`)" in ended.stdout.splitlines()
    assert "Agreements whose totals are not final: 2" in page
    assert AGREEMENT[1] not in page
    assert "totals not final: 1 agreement (" in workspace.backfill("show", first).stdout
    assert "totals not final" not in workspace.backfill("show", "last").stdout
    assert "open_agreements" not in workspace.summary()
