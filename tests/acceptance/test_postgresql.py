"""The command with a ledger on a PostgreSQL server: each of its parts, its errors, and the move from and to a file."""

import json
from collections.abc import Iterator

import psycopg
import pytest

from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import CHECKOUT, Workspace, balance, order, refund, state, task
from tests.postgresql import fixtures
from tests.postgresql.server import PostgresServer, free_port

postgres = fixtures.postgres


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    """An empty database."""
    made = postgres.database()
    yield made
    postgres.drop(made)


@pytest.fixture
def served(workspace: Workspace, url: str) -> Workspace:
    """Return a workspace whose ledger is on the server."""
    workspace.configure({"ledger": {"url": url}})
    return workspace


def test_a_row_left_unknown_is_sent_again_by_a_rerun(served: Workspace) -> None:
    """A run, its rerun, their lists, reports and totals, and a prune: as with a file, and no file appears."""
    served.simulator.set_faults([InjectedFault(FaultKind.CUT_BODY, key="A2")])
    served.export("orders.csv", [order(1), order(2), refund(1, of=1), order(1), order(3, trade_amount="-1")])
    assert served.backfill("run", "orders").exit_code == 3
    before = served.results()
    first = served.reports()[-1].name
    served.simulator.set_faults([])
    rerun = served.backfill("rerun", "last")
    shown = json.loads(served.backfill("show", first, "--json").stdout)
    listed = [run["run_id"] for run in json.loads(served.backfill("runs", "--json").stdout)]
    written = served.backfill("report", first, "--format", "jsonl")
    totals = served.backfill("totals", "--from", "2025-11-20", "--to", "2025-11-20", "--format", "csv")
    pruned = json.loads(served.backfill("prune", "--keep", "0", "--json").stdout)

    assert before[:2] == ["succeeded SUCCESS", "unknown cut_short"]
    assert before[2:] == ["succeeded SUCCESS", "skipped duplicate_row", "invalid field_invalid"]
    assert (rerun.exit_code, served.results()) == (0, ["succeeded SUCCESS"])
    assert shown["left"] == 1
    assert listed[-1:] == [first]
    assert written.exit_code == 0
    assert len(totals.stdout.splitlines()) >= 2
    assert (pruned["runs"], len(pruned["kept"])) == ([], 2)
    assert not (served.folder / "state").exists()


def test_a_stopped_run_is_resumed(served: Workspace) -> None:
    """`resume` sends the rows that were not reached, each once; a later run of all exports sends nothing."""
    served.export("orders.csv", [order(number) for number in range(30)])
    stopped = served.backfill("run", "orders", "--until", served.now())
    resumed = served.backfill("resume", "last", "--until", "23:59") if stopped.exit_code == 5 else stopped
    again = served.backfill("run", "orders")

    assert (stopped.exit_code, resumed.exit_code, again.exit_code) == (5, 0, 0)
    assert sorted(served.requests()) == sorted(f"A{number}" for number in range(30))
    assert set(served.results()) == {"skipped already_succeeded"}


def test_balances_tasks_and_states_are_known_the_next_night(served: Workspace) -> None:
    """Unchanged balances and states, and delivered tasks, are skipped; what changed is sent."""
    served.export("points.csv", [balance(1, 100), balance(2, 200)])
    served.export("tasks.csv", [task(1, times="2")])
    served.export("states.csv", [state(1), state(2)])
    ended = [served.backfill("run", job).exit_code for job in ("points", "tasks", "states")]
    sent = len(served.requests())
    plan = served.backfill("plan", "points")
    found = []
    for job in ("points", "tasks", "states"):
        ended.append(served.backfill("run", job).exit_code)
        found.append(served.results())

    assert (ended, plan.exit_code, len(served.requests())) == ([0] * 6, 0, sent)
    assert found == [["skipped unchanged"] * 2, ["skipped already_succeeded"], ["skipped unchanged"] * 2]


def test_plans_and_the_night_are_read_from_the_server(served: Workspace) -> None:
    """A plan is saved, sent, and compared with the run; one report covers the day."""
    served.export("orders.csv", [order(1), order(2)])
    saved = served.backfill("plan", "orders", "--date", "2025-11-20", "--save", "plan.json")
    ran = served.backfill("run", "--plan", "plan.json")
    served.export("orders.csv", [order(1), order(2, trade_amount="9.00"), order(3)])
    differs = json.loads(served.backfill("plan", "orders", "--diff", "--json").stdout)["diff"]
    run_id = served.reports()[0].name
    wrong = served.backfill("show", run_id[:-1] + "!")
    night = served.backfill("report", "--night", "2025-11-20")

    assert (saved.exit_code, ran.exit_code, night.exit_code) == (0, 0, 0)
    assert {name: differs[name] for name in ("new", "changed", "gone")} == {"new": 1, "changed": 1, "gone": 0}
    assert f"did you mean {run_id}?" in wrong.stderr
    assert not (served.folder / "state").exists()


def test_a_ledger_that_cannot_be_used_ends_with_2(workspace: Workspace, url: str, postgres: PostgresServer) -> None:
    """No server, no such database, an unknown parameter, a newer version, another program's tables: nothing is sent."""
    workspace.export("orders.csv", [order(1)])
    with psycopg.connect(postgres.url_of(url.rpartition("/")[2]), autocommit=True) as connection:
        connection.execute("CREATE TABLE ledger_version (version BIGINT)")
        connection.execute("INSERT INTO ledger_version VALUES (99)")
    others = postgres.database()
    with psycopg.connect(others, autocommit=True) as connection:
        connection.execute("CREATE TABLE runs (id BIGINT)")
    urls = {
        f"postgresql://postgres@127.0.0.1:{free_port()}/ledger": "the server can't be used (connection failed",
        f"{postgres.url}_of_nobody": "does not exist); check [ledger] url and the server",
        f"{postgres.url}?foo=1": "[ledger] url can't be used",
        url: "it was written by a newer backfill (ledger version 99",
        others: "the database has tables of another program",
    }
    for wrong, why in urls.items():
        workspace.configure({"ledger": {"url": wrong}})
        assert why in workspace.refused("orders")
    postgres.drop(others)


def test_a_ledger_on_a_server_needs_its_extra(served: Workspace) -> None:
    """Without psycopg the command says what to install."""
    served.export("orders.csv", [order(1)])
    (served.folder / "sitecustomize.py").write_text("import sys\nsys.modules['psycopg'] = None\n", encoding="utf-8")
    path = f"{served.folder}:{CHECKOUT}"
    ended = served.command("run", "orders", environ={"PYTHONPATH": path})

    assert ended.exit_code == 2
    assert "install it with `pip install 'loyalty-backfill[postgres]'`" in ended.stderr


def test_a_ledger_moves_to_a_server_and_back(workspace: Workspace, url: str) -> None:
    """What was delivered is known in each copy; a copy into a ledger in use, or of a missing one, is refused."""
    workspace.export("orders.csv", [order(1), order(2), refund(1, of=1)])
    workspace.export("points.csv", [balance(1, 100)])
    assert [workspace.backfill("run", job).exit_code for job in ("orders", "points")] == [0, 0]
    sent = workspace.requests()
    there = workspace.backfill("ledger", "copy", "sqlite:///state/backfill.db", url)
    workspace.configure({"ledger": {"url": url}})
    ran = workspace.backfill("run", "orders")
    assert ran.exit_code == 0, ran.stderr
    on_server = ran.exit_code, workspace.results()
    back = workspace.backfill("ledger", "copy", url, "sqlite:///back.db", "--json")
    workspace.configure({"ledger": {"url": "sqlite:///back.db"}})
    in_file = workspace.backfill("run", "points").exit_code, workspace.results()
    twice = workspace.backfill("ledger", "copy", "sqlite:///back.db", url)
    missing = workspace.backfill("ledger", "copy", "sqlite:///nowhere.db", "sqlite:///new.db")

    assert there.exit_code == 0
    assert there.stdout.splitlines()[0].startswith("copied 2 runs and 4 deliveries to postgresql://")
    assert on_server == (0, ["skipped already_succeeded"] * 3)
    assert (back.exit_code, json.loads(back.stdout)["lines"]["runs"]) == (0, 3)
    assert in_file == (0, ["skipped unchanged"])
    assert workspace.requests() == sent
    assert (twice.exit_code, missing.exit_code) == (2, 2)
    assert "it is in use already" in twice.stderr
    assert "there is no such file" in missing.stderr
