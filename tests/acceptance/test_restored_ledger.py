"""A restored or lost ledger: a balance counts as unchanged only if the platform has it."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from pipeline.errors import LedgerBehind
from pipeline.library import resume, run
from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import Workspace, balance, order, state

COMMANDS = (["run", "points"], ["plan", "points"], ["resume", "last"], ["rerun", "last"])


def back_up(workspace: Workspace) -> None:
    """Copy the state as docs/backup.md describes."""
    shutil.copytree(workspace.folder / "state", workspace.folder / "copy")
    with closing(sqlite3.connect(workspace.folder / "state" / "backfill.db")) as ledger:
        ledger.execute("VACUUM INTO ?", (str(workspace.folder / "copy" / "whole.db"),))
    (workspace.folder / "copy" / "whole.db").replace(workspace.folder / "copy" / "backfill.db")


def restore_ledger(workspace: Workspace) -> None:
    shutil.copy(workspace.folder / "copy" / "backfill.db", workspace.folder / "state" / "backfill.db")


def restore_state(workspace: Workspace) -> None:
    shutil.rmtree(workspace.folder / "state")
    shutil.copytree(workspace.folder / "copy", workspace.folder / "state")


def restore_state_and_reports(workspace: Workspace) -> None:
    restore_state(workspace)
    shutil.rmtree(workspace.reports()[-1])


def lose_state(workspace: Workspace) -> None:
    shutil.rmtree(workspace.folder / "state")


def lose_ledger(workspace: Workspace) -> None:
    (workspace.folder / "state" / "backfill.db").unlink()


def lose_quota(workspace: Workspace) -> None:
    (workspace.folder / "state" / "backfill.db-quota").unlink()


def say(workspace: Workspace, points: int, *words: str) -> tuple[int, list[str]]:
    """Run the points with one balance; return exit code and results."""
    workspace.export("points.csv", [balance(1, points)])
    return workspace.backfill("run", "points", *words).exit_code, workspace.results()


@pytest.mark.parametrize(
    ("lose", "seen"),
    [
        pytest.param(restore_ledger, "backfill.db-mark", id="the ledger is restored"),
        pytest.param(restore_state, "it lacks the run of 1 report", id="all state is restored"),
        pytest.param(restore_state_and_reports, "backfill.toml-mark", id="all but the config is restored"),
        pytest.param(lose_state, "it lacks the run of 2 reports", id="all state is lost"),
        pytest.param(lose_ledger, "another ledger", id="the ledger is lost"),
        pytest.param(lose_quota, "backfill.db-quota is missing", id="the quota is lost"),
    ],
)
def test_nothing_is_sent_until_a_resync(lose: Callable[[Workspace], None], seen: str, workspace: Workspace) -> None:
    """Each command names the evidence and the next step, and exits with 2. After a resync, runs work as before."""
    say(workspace, 100)
    back_up(workspace)
    say(workspace, 200)
    lose(workspace)
    workspace.export("points.csv", [balance(1, 100)])

    refused = [workspace.backfill(*words) for words in COMMANDS]
    sent = len(workspace.requests())
    resynced = say(workspace, 100, "--resync")
    after = [say(workspace, 100), say(workspace, 200), say(workspace, 200), say(workspace, 100)]

    assert [(ended.exit_code, ended.stdout) for ended in refused] == [(2, "")] * 4
    assert all(seen in ended.stderr and "`backfill run JOB --resync`; see docs/backup.md" in ended.stderr
               for ended in refused)  # fmt: skip
    assert (sent, resynced) == (2, (0, ["succeeded SUCCESS"]))
    assert [results for _, (results,) in after] == [
        "skipped unchanged", "succeeded SUCCESS", "skipped unchanged", "succeeded SUCCESS",
    ]  # fmt: skip
    keys = workspace.requests()
    assert len(keys) == len(set(keys)) == 5


def test_past_runs_can_be_read_before_a_resync(workspace: Workspace) -> None:
    """`runs`, `show` and `report` work before a resync, which helps to identify the copy."""
    say(workspace, 100)
    back_up(workspace)
    say(workspace, 200)
    restore_ledger(workspace)

    looked = [workspace.backfill(*words).exit_code for words in (["runs"], ["show", "last"], ["report", "last"])]

    assert looked == [0, 0, 0]


def test_states_are_sent_again_after_a_resync_and_orders_are_not(workspace: Workspace) -> None:
    """A state is sent again, because a lost one may have followed it. An order is known by its key."""
    workspace.export("states.csv", [state(1)])
    workspace.export("orders.csv", [order(1)])
    for job in ("states", "orders"):
        workspace.backfill("run", job)

    ended = [
        (workspace.backfill("run", job, "--resync").exit_code, workspace.results()) for job in ("states", "orders")
    ]

    assert ended == [(0, ["succeeded 10000"]), (0, ["skipped already_succeeded"])]


def test_a_resync_holds_for_all_jobs(workspace: Workspace) -> None:
    """A resync accepts the ledger as a whole: another job needs no resync of its own."""
    say(workspace, 100)
    workspace.export("states.csv", [state(1)])
    workspace.backfill("run", "states")
    lose_quota(workspace)

    refused = workspace.backfill("run", "states").exit_code
    resynced = say(workspace, 100, "--resync")
    states = (workspace.backfill("run", "states").exit_code, workspace.results())

    assert (refused, resynced, states) == (2, (0, ["succeeded SUCCESS"]), (0, ["succeeded 10000"]))


def test_open_balances_of_an_earlier_generation_are_not_sent(workspace: Workspace) -> None:
    """A balance left open before the resync may be older than the platform's and is not sent; orders are sent."""
    workspace.simulator.set_faults([InjectedFault(FaultKind.LOSE_BEFORE_APPLYING, times=2)])
    say(workspace, 100)
    workspace.simulator.set_faults([InjectedFault(FaultKind.STATUS, status=403, key="A*")])
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")
    points, orders = (report.name for report in workspace.reports())
    workspace.simulator.set_faults([])
    say(workspace, 200, "--resync")

    workspace.export("points.csv", [balance(1, 100)])
    rerun, resumed = workspace.backfill("rerun", points), workspace.backfill("resume", points)
    went_on = workspace.backfill("resume", orders)

    # No points are left to resume; this is reported before anything else.
    assert (rerun.exit_code, resumed.exit_code, went_on.exit_code) == (2, 3, 0)
    assert f"RUN {points} began before a `--resync`: what it left may be older" in rerun.stderr


def test_an_export_key_confirms_a_balance_only_if_it_is_new(workspace: Workspace) -> None:
    """
    After a resync the platform may have answered a key of the export from memory, and hold another balance.

    So such a balance is sent again under its next key, unless it changed after the resync.
    """
    rows = [
        balance(1, 100, out_request_no="a", updated_at="2025-11-20 10:00:00"),
        balance(2, 100, out_request_no="b", updated_at="2099-11-20 10:00:00"),
    ]
    workspace.export("points.csv", rows)
    workspace.backfill("run", "points", "--resync")
    workspace.export("points.csv", [row | {"out_request_no": f"{row['out_request_no']}2"} for row in rows])
    workspace.backfill("run", "points")

    assert workspace.results() == ["succeeded SUCCESS", "skipped unchanged"]


def test_a_refused_order_may_have_been_counted_before_the_resync(workspace: Workspace) -> None:
    """A key refused for other content is not replaced, because under a new key the order would count twice."""
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")
    lose_state(workspace)
    workspace.export("orders.csv", [order(1, trade_amount="99.00")])

    ended = workspace.backfill("run", "orders", "--resync")
    results = workspace.results()
    again = workspace.backfill("rerun", "last", "--new-keys")

    assert (ended.exit_code, results, again.exit_code) == (3, ["unknown IDEMPOTENT_ERROR"], 3)
    assert set(workspace.requests()) == {"A1"}


def test_reports_of_another_config_are_no_evidence(workspace: Workspace) -> None:
    """A config with other accounts may have its reports in the same folder, with its own ledger."""
    config = workspace.folder / "backfill.toml"
    text = config.read_text(encoding="utf-8")
    accounts, jobs = text.index("[jobs.orders]"), text.index("[jobs.points]")
    (workspace.folder / "orders.toml").write_text(
        text[:jobs] + '[ledger]\nurl = "sqlite:///orders/ledger.db"\n', encoding="utf-8"
    )
    config.write_text(text[:accounts] + text[jobs:], encoding="utf-8")
    say(workspace, 100)
    workspace.export("orders.csv", [order(1)])

    assert workspace.backfill("run", "orders", "--config", "orders.toml").exit_code == 0
    assert say(workspace, 100) == (0, ["skipped unchanged"])


def test_deleting_state_and_reports_starts_afresh(workspace: Workspace) -> None:
    """After state and reports were deleted, runs start without a resync."""
    say(workspace, 100)
    lose_state(workspace)
    shutil.rmtree(workspace.folder / "reports")

    assert say(workspace, 100) == (0, ["succeeded SUCCESS"])


def test_the_report_may_be_elsewhere(workspace: Workspace) -> None:
    """Without reports beside the config, the mark there is the evidence of requests sent."""
    say_elsewhere = ["--report", str(workspace.folder / "elsewhere")]
    workspace.export("points.csv", [balance(1, 100)])
    workspace.backfill("run", "points", *say_elsewhere)
    lose_state(workspace)

    refused = workspace.backfill("run", "points", *say_elsewhere)

    assert (refused.exit_code, "(noted in backfill.toml-mark)" in refused.stderr) == (2, True)


def test_the_python_api_needs_a_resync_too(workspace: Workspace) -> None:
    """The Python API refuses like the command, and accepts the same remedy."""
    say(workspace, 100)
    lose_quota(workspace)

    with pytest.raises(LedgerBehind, match=r"backfill\.db-quota is missing"):
        run("backfill.toml", "points")
    with pytest.raises(LedgerBehind, match=r"backfill\.db-quota is missing"):
        resume("backfill.toml")
    assert run("backfill.toml", "points", resync=True).exit_code == 0
    assert json.loads((workspace.reports()[-1] / "summary.json").read_bytes())["counts"]["succeeded"] == 1
