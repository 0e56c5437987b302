"""`plan --save` and `run --plan`: what was looked at is what is sent, or nothing is."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.simulator import FaultKind, InjectedFault, When
from tests.acceptance.workspace import Workspace, balance, order, wait_until

DAY = "2025-11-20"


@pytest.fixture
def saved(workspace: Workspace) -> Workspace:
    """Return a workspace with a saved plan of 3 orders, one of which is invalid."""
    workspace.configure({"jobs.orders": {"input": ["{date}.csv"], "max_invalid": "50%"}})
    workspace.export(f"{DAY}.csv", [order(1), order(2), order(3, trade_amount="x")])
    ended = workspace.backfill("plan", "orders", "--date", DAY, "--save", "plan.json")
    assert ended.exit_code == 3
    assert ended.stdout.endswith("saved; send it with `backfill run --plan plan.json`\n")
    return workspace


def saved_plan(workspace: Workspace) -> Any:
    return json.loads((workspace.folder / "plan.json").read_bytes())


def test_a_saved_plan_is_sent_as_it_was_looked_at(saved: Workspace) -> None:
    """`run --plan FILE` needs no job, day or input: all three are those of the plan."""
    ended = saved.backfill("run", "--plan", "plan.json", "--json")

    summary = json.loads(ended.stdout)
    assert (ended.exit_code, summary["job"], summary["date"], summary["inputs"][0]["file"]) == (
        3, "orders", DAY, f"{DAY}.csv",
    )  # fmt: skip
    assert sorted(saved.requests()) == ["A1", "A2"]


def test_the_job_may_be_named_beside_its_plan(saved: Workspace) -> None:
    """`run JOB --plan FILE` accepts the plan's own job, and refuses another one."""
    assert "is a plan of job orders, not of tasks" in saved.refused("tasks", "--plan", "plan.json")
    assert saved.backfill("run", "orders", "--plan", "plan.json").exit_code == 3


def test_a_plan_keeps_the_inputs_of_the_command_line(workspace: Workspace) -> None:
    """Inputs named for `plan` are read by `run --plan`, up to the plan's --limit."""
    workspace.export("other.csv", [order(7), order(8), order(9)])
    workspace.backfill("plan", "orders", "other.csv", "--limit", "2", "--save", "plan.json")

    ended = workspace.backfill("run", "--plan", "plan.json")

    assert (ended.exit_code, sorted(workspace.requests())) == (0, ["A7", "A8"])


def test_a_saved_plan_names_nobody(saved: Workspace) -> None:
    """The file has counts and digests: no id of a user, no key of a row, no constant, no secret."""
    content = (saved.folder / "plan.json").read_text(encoding="utf-8")

    assert [text for text in ("2088", "20255108518085", "A1", "消费金额", "PRIVATE") if text in content] == []
    assert saved_plan(saved)["shown"] == {
        "rows": 3, "counts": {"to_send": 2, "skipped": 0, "invalid": 1}, "codes": {"field_invalid": 1}, "exit_code": 3,
    }  # fmt: skip


def test_json_stays_one_object(saved: Workspace) -> None:
    """With --json the plan is printed as before; its requests are those of the file."""
    ended = saved.backfill("plan", "orders", "--date", DAY, "--save", "plan.json", "--json")

    assert json.loads(ended.stdout)["requests"] == saved_plan(saved)["requests"]["requests"] == 2


def change_a_cell(workspace: Workspace) -> None:
    workspace.export(f"{DAY}.csv", [order(1), order(2, trade_amount="13.50"), order(3, trade_amount="x")])


def change_an_invalid_row(workspace: Workspace) -> None:
    workspace.export(f"{DAY}.csv", [order(1), order(2), order(3, trade_amount="y")])


def remove_the_input(workspace: Workspace) -> None:
    (workspace.folder / f"{DAY}.csv").rename(workspace.folder / "gone.txt")


def add_an_input(workspace: Workspace) -> None:
    workspace.configure({"jobs.orders": {"input": ["{date}*.csv"], "max_invalid": "50%"}})
    workspace.backfill("plan", "orders", "--date", DAY, "--save", "plan.json")
    workspace.export(f"{DAY}-2.csv", [order(4)])


def change_a_constant(workspace: Workspace) -> None:
    workspace.configure(
        {
            "jobs.orders": {"input": ["{date}.csv"], "max_invalid": "50%"},
            "jobs.orders.constants": {"amount_name": "金额"},
        }
    )


def change_the_mapping(workspace: Workspace) -> None:
    workspace.configure(
        {
            "jobs.orders": {"input": ["{date}.csv"], "max_invalid": "50%"},
            "jobs.orders.columns": {"trade_no": "out_biz_no"},
            "jobs.orders.units": {"trade_amount": "fen"},
        }
    )


def change_the_address(workspace: Workspace) -> None:
    config = workspace.folder / "backfill.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("127.0.0.1", "localhost"), encoding="utf-8")


def deliver_a_row(workspace: Workspace) -> None:
    workspace.export("first.csv", [order(1)])
    workspace.backfill("run", "orders", "first.csv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(change_a_cell, f"{DAY}.csv changed since the plan was saved", id="input"),
        pytest.param(change_an_invalid_row, f"{DAY}.csv changed since the plan was saved", id="input, invalid row"),
        pytest.param(remove_the_input, f"no file matches '{DAY}.csv'", id="input removed"),
        pytest.param(add_an_input, f"{DAY}-2.csv is not in the plan", id="input added"),
        pytest.param(change_a_constant, "[jobs.orders] changed since the plan was saved: constants;", id="constant"),
        pytest.param(change_the_mapping, "changed since the plan was saved: columns, units;", id="mapping"),
        pytest.param(change_the_address, "changed since the plan was saved: base_url;", id="address"),
        pytest.param(deliver_a_row, "the run would send 1 requests now, the plan has 2", id="ledger"),
    ],
)
def test_a_plan_that_no_longer_holds_is_refused(change: Any, message: str, saved: Workspace) -> None:
    """If inputs, settings or the ledger changed, nothing is sent, and the message names what changed."""
    change(saved)

    assert message in saved.refused("--plan", "plan.json")


def test_other_requests_of_the_same_number_are_refused(workspace: Workspace) -> None:
    """The requests themselves are compared: a balance that came back would go under another key."""
    workspace.export("points.csv", [balance(1, 100)])
    workspace.backfill("plan", "points", "--save", "plan.json")
    for points in (100, 50):
        workspace.export("other.csv", [balance(1, points)])
        workspace.backfill("run", "points", "other.csv")

    assert "the run would send other requests than the plan" in workspace.refused("--plan", "plan.json")


def test_settings_that_are_put_back_count_as_unchanged(saved: Workspace) -> None:
    """A refused plan can be sent once what changed is restored."""
    change_a_cell(saved)
    saved.refused("--plan", "plan.json")
    saved.export(f"{DAY}.csv", [order(1), order(2), order(3, trade_amount="x")])

    assert (saved.backfill("run", "--plan", "plan.json").exit_code, sorted(saved.requests())) == (3, ["A1", "A2"])


def test_a_resume_is_bound_to_the_plan_too(saved: Workspace) -> None:
    """A run that was refused while it read its inputs stays bound to its plan; `resume` sends nothing else."""
    change_a_cell(saved)
    saved.refused("--plan", "plan.json")

    ended = saved.backfill("resume", "last")

    assert (ended.exit_code, saved.requests()) == (2, [])
    assert "changed since" in ended.stderr


def test_a_killed_run_of_a_plan_is_resumed(saved: Workspace) -> None:
    """A run of a plan that died while it sent continues like any other."""
    saved.simulator.set_faults([InjectedFault(FaultKind.SLOW, seconds=2, when=When.AFTER_APPLYING)])
    process = saved.start("run", "--plan", "plan.json")
    wait_until(lambda: bool(saved.requests()))
    process.kill()
    process.communicate()
    saved.simulator.set_faults([])

    assert (saved.backfill("resume", "last").exit_code, saved.summary()["counts"]["succeeded"]) == (3, 2)


def test_a_rerun_of_a_planned_run_is_free(saved: Workspace) -> None:
    """A rerun sends rows of the ledger; the plan of its parent does not bind it."""
    saved.simulator.set_faults([InjectedFault(FaultKind.THROTTLE, key="A2")])
    saved.backfill("run", "--plan", "plan.json")
    saved.simulator.set_faults([])
    change_a_cell(saved)

    assert (saved.backfill("rerun", "last").exit_code, saved.results()) == (0, ["succeeded SUCCESS"])


def test_words_that_do_not_fit_a_plan_are_refused(workspace: Workspace) -> None:
    """A plan brings its own inputs and day; a run needs a job, a plan or --all."""
    words = {
        "orders a.csv --plan plan.json": "--plan can't be used with INPUT",
        "--plan plan.json --date 2025-11-20": "--plan can't be used with --date",
        "--plan plan.json --limit 1": "--plan can't be used with --limit",
        "--plan plan.json --resync": "--plan can't be used with --resync",
        "--plan none.json": "--plan none.json: No such file or directory",
        "--plan backfill.toml": "--plan backfill.toml: not a plan",
        "": "required: JOB, or --all, or --plan FILE",
    }

    said = {each: workspace.refused(*each.split()) for each in words}

    assert [each for each, message in words.items() if message not in said[each]] == []


def test_no_file_of_the_user_is_overwritten(workspace: Workspace) -> None:
    """--save refuses inputs, keys, the config and the ledger, and leaves them as they are."""
    workspace.run_one_row("orders")
    workspace.export("named.csv", [order(5)])
    outputs = {
        "orders.csv": "orders.csv is an input of job orders",
        "named.csv": "named.csv is an input of this run",
        "backfill.toml": "backfill.toml is the config",
        "keys/app_private_key.pem": "app_private_key.pem is a key",
        "state/backfill.db": "belongs to the ledger",
        "keys": "--save keys: that is a folder",
        "orders.csv/plan": "--save orders.csv/plan: ",
    }
    files = [path for path in workspace.folder.rglob("*") if path.is_file() and "backfill.db" not in path.name]
    before = {path: path.read_bytes() for path in files}

    ended = {each: workspace.backfill("plan", "orders", "named.csv", "--save", each) for each in outputs}

    assert {each: (one.exit_code, outputs[each] in one.stderr) for each, one in ended.items()} == dict.fromkeys(
        outputs, (2, True)
    )
    assert {path: path.read_bytes() for path in files} == before
    assert workspace.backfill("show", "last").exit_code == 0


def test_a_plan_without_a_ledger_makes_none(workspace: Workspace) -> None:
    """`plan --save` writes its file and nothing else."""
    workspace.export("orders.csv", [order(1)])
    before = set(workspace.folder.rglob("*"))

    workspace.backfill("plan", "orders", "--save", "plans/first.json")

    new = {path.relative_to(workspace.folder) for path in set(workspace.folder.rglob("*")) - before}
    assert new == {Path("plans"), Path("plans/first.json")}


def test_credentials_of_a_uri_are_not_saved(workspace: Workspace) -> None:
    """An input of the command line that may hold credentials is refused before anything is read from it."""
    ended = workspace.backfill("plan", "orders", "s3://AKIATEST:secret@bucket/orders.csv", "--save", "plan.json")

    assert (ended.exit_code, "secret" in ended.stderr, "may hold credentials" in ended.stderr) == (2, False, True)
    assert not (workspace.folder / "plan.json").exists()
