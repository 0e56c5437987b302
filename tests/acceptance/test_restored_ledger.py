"""A ledger that was restored or lost: no balance is called unchanged that the platform does not hold."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from pipeline.errors import LedgerBehind
from pipeline.library import resume, run_job
from pipeline.simulator import InjectedFault, Kind
from tests.acceptance.night import Night, balance, order, state

COMMANDS = (["run", "points"], ["plan", "points"], ["resume", "last"], ["rerun", "last"])


def back_up(night: Night) -> None:
    """Keep a copy of the state, taken as docs/backup.md says."""
    shutil.copytree(night.folder / "state", night.folder / "copy")
    with closing(sqlite3.connect(night.folder / "state" / "backfill.db")) as ledger:
        ledger.execute("VACUUM INTO ?", (str(night.folder / "copy" / "whole.db"),))
    (night.folder / "copy" / "whole.db").replace(night.folder / "copy" / "backfill.db")


def restore_ledger(night: Night) -> None:
    shutil.copy(night.folder / "copy" / "backfill.db", night.folder / "state" / "backfill.db")


def restore_state(night: Night) -> None:
    shutil.rmtree(night.folder / "state")
    shutil.copytree(night.folder / "copy", night.folder / "state")


def lose_state(night: Night) -> None:
    shutil.rmtree(night.folder / "state")


def lose_ledger(night: Night) -> None:
    (night.folder / "state" / "backfill.db").unlink()


def lose_quota(night: Night) -> None:
    (night.folder / "state" / "backfill.db-quota").unlink()


def say(night: Night, points: int, *words: str) -> tuple[int, list[str]]:
    """Run the points with one balance; return exit code and how the row ended."""
    night.export("points.csv", [balance(1, points)])
    return night.backfill("run", "points", *words).exit_code, night.fates()


@pytest.mark.parametrize(
    ("lose", "seen"),
    [
        pytest.param(restore_ledger, "backfill.db-mark", id="the ledger is restored"),
        pytest.param(restore_state, "it lacks the run of 1 report", id="all state is restored"),
        pytest.param(lose_state, "it lacks the run of 2 reports", id="all state is lost"),
        pytest.param(lose_ledger, "another ledger", id="the ledger is lost"),
        pytest.param(lose_quota, "backfill.db-quota is missing", id="the quota is lost"),
    ],
)
def test_nothing_is_sent_until_a_resync(lose: Callable[[Night], None], seen: str, night: Night) -> None:
    """Each command says what it saw and what to do, and exits with 2. After the resync nights go on as ever."""
    say(night, 100)
    back_up(night)
    say(night, 200)
    lose(night)
    night.export("points.csv", [balance(1, 100)])

    refused = [night.backfill(*words) for words in COMMANDS]
    sent = len(night.requests())
    resynced = say(night, 100, "--resync")
    after = [say(night, 100), say(night, 200), say(night, 200), say(night, 100)]

    assert [(ended.exit_code, ended.stdout) for ended in refused] == [(2, "")] * 4
    assert all(seen in ended.stderr and "`backfill run JOB --resync`; see docs/backup.md" in ended.stderr
               for ended in refused)  # fmt: skip
    assert (sent, resynced) == (2, (0, ["succeeded SUCCESS"]))
    assert [fates for _, (fates,) in after] == [
        "skipped unchanged", "succeeded SUCCESS", "skipped unchanged", "succeeded SUCCESS",
    ]  # fmt: skip
    keys = night.requests()
    assert len(keys) == len(set(keys)) == 5


def test_past_runs_can_be_looked_at_before_a_resync(night: Night) -> None:
    """`runs`, `show` and `report` tell what the ledger knows: that helps to see which copy it is."""
    say(night, 100)
    back_up(night)
    say(night, 200)
    restore_ledger(night)

    looked = [night.backfill(*words).exit_code for words in (["runs"], ["show", "last"], ["report", "last"])]

    assert looked == [0, 0, 0]


def test_states_are_sent_again_after_a_resync_and_orders_are_not(night: Night) -> None:
    """A state may have been followed by a lost one, and is sent again. An order is known by its key."""
    night.export("states.csv", [state(1)])
    night.export("orders.csv", [order(1)])
    for job in ("states", "orders"):
        night.backfill("run", job)

    ended = [(night.backfill("run", job, "--resync").exit_code, night.fates()) for job in ("states", "orders")]

    assert ended == [(0, ["succeeded 10000"]), (0, ["skipped already_succeeded"])]


def test_a_resync_is_good_for_all_jobs(night: Night) -> None:
    """The ledger as a whole is accepted, and trusted in nothing: another job needs no resync of its own."""
    say(night, 100)
    night.export("states.csv", [state(1)])
    night.backfill("run", "states")
    lose_quota(night)

    refused = night.backfill("run", "states").exit_code
    resynced = say(night, 100, "--resync")
    states = (night.backfill("run", "states").exit_code, night.fates())

    assert (refused, resynced, states) == (2, (0, ["succeeded SUCCESS"]), (0, ["succeeded 10000"]))


def test_what_an_earlier_generation_left_open_is_not_sent(night: Night) -> None:
    """A balance that a run left before the resync may be older than what the platform holds; orders go on."""
    night.simulator.set_faults([InjectedFault(Kind.LOSE_BEFORE_APPLYING, times=2)])
    say(night, 100)
    night.simulator.set_faults([InjectedFault(Kind.STATUS, status=403, key="A*")])
    night.export("orders.csv", [order(1)])
    night.backfill("run", "orders")
    points, orders = (report.name for report in night.reports())
    night.simulator.set_faults([])
    say(night, 200, "--resync")

    night.export("points.csv", [balance(1, 100)])
    rerun, resumed = night.backfill("rerun", points), night.backfill("resume", points)
    went_on = night.backfill("resume", orders)

    # Nothing of the points is left to resume; that is said before anything else.
    assert (rerun.exit_code, resumed.exit_code, went_on.exit_code) == (2, 3, 0)
    assert f"RUN {points} began before a `--resync`: what it left may be older" in rerun.stderr


def test_a_key_of_the_export_proves_a_balance_only_if_it_is_new(night: Night) -> None:
    """
    After a resync the platform may have answered a key of the export from memory, and hold another balance.

    So such a balance is sent again under its next key, unless it changed after the resync.
    """
    rows = [
        balance(1, 100, out_request_no="a", updated_at="2025-11-20 10:00:00"),
        balance(2, 100, out_request_no="b", updated_at="2099-11-20 10:00:00"),
    ]
    night.export("points.csv", rows)
    night.backfill("run", "points", "--resync")
    night.export("points.csv", [row | {"out_request_no": f"{row['out_request_no']}2"} for row in rows])
    night.backfill("run", "points")

    assert night.fates() == ["succeeded SUCCESS", "skipped unchanged"]


def test_a_refused_order_may_have_been_counted_before_the_resync(night: Night) -> None:
    """The platform refuses a key that it knows with other content: under a new key the order would count twice."""
    night.export("orders.csv", [order(1)])
    night.backfill("run", "orders")
    lose_state(night)
    night.export("orders.csv", [order(1, trade_amount="99.00")])

    ended = night.backfill("run", "orders", "--resync")
    fates = night.fates()
    again = night.backfill("rerun", "last", "--new-keys")

    assert (ended.exit_code, fates, again.exit_code) == (3, ["unknown IDEMPOTENT_ERROR"], 3)
    assert set(night.requests()) == {"A1"}


def test_reports_of_another_config_are_no_sign(night: Night) -> None:
    """A config that sends to other accounts may keep its reports in the same folder, with a ledger of its own."""
    config = night.folder / "backfill.toml"
    text = config.read_text(encoding="utf-8")
    accounts, jobs = text.index("[jobs.orders]"), text.index("[jobs.points]")
    (night.folder / "orders.toml").write_text(
        text[:jobs] + '[ledger]\nurl = "sqlite:///orders/ledger.db"\n', encoding="utf-8"
    )
    config.write_text(text[:accounts] + text[jobs:], encoding="utf-8")
    say(night, 100)
    night.export("orders.csv", [order(1)])

    assert night.backfill("run", "orders", "--config", "orders.toml").exit_code == 0
    assert say(night, 100) == (0, ["skipped unchanged"])


def test_a_beginner_may_start_afresh(night: Night) -> None:
    """Whoever deletes state and reports meant it."""
    say(night, 100)
    lose_state(night)
    shutil.rmtree(night.folder / "reports")

    assert say(night, 100) == (0, ["succeeded SUCCESS"])


def test_the_report_may_lie_elsewhere(night: Night) -> None:
    """Where no report lies beside the config a mark there tells of what was sent."""
    say_elsewhere = ["--report", str(night.folder / "elsewhere")]
    night.export("points.csv", [balance(1, 100)])
    night.backfill("run", "points", *say_elsewhere)
    lose_state(night)

    refused = night.backfill("run", "points", *say_elsewhere)

    assert (refused.exit_code, "(noted in backfill.toml-mark)" in refused.stderr) == (2, True)


def test_from_python_a_resync_is_asked_for_alike(night: Night) -> None:
    """The library refuses as the command does, and takes the same remedy."""
    say(night, 100)
    lose_quota(night)

    with pytest.raises(LedgerBehind, match=r"backfill\.db-quota is missing"):
        run_job("backfill.toml", "points")
    with pytest.raises(LedgerBehind, match=r"backfill\.db-quota is missing"):
        resume("backfill.toml")
    assert run_job("backfill.toml", "points", resync=True).exit_code == 0
    assert json.loads((night.reports()[-1] / "summary.json").read_bytes())["counts"]["succeeded"] == 1
