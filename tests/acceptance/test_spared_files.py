"""No command overwrites a file of the user, under any of its names."""

import os
from pathlib import Path

import pytest

from tests.acceptance.workspace import Workspace, order, read_csv


@pytest.fixture
def done(workspace: Workspace) -> Workspace:
    """Return a workspace with one run, and its export, keys, config and ledger."""
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])
    workspace.backfill("run", "orders")
    return workspace


def contents(workspace: Workspace) -> dict[str, bytes]:
    """Return the contents of all files, except those of the ledger, which any command may change."""
    files = [path for path in workspace.folder.rglob("*") if path.is_file() and "state" not in path.parts]
    return {str(path.relative_to(workspace.folder)): path.read_bytes() for path in files}


USERS_FILES = [
    pytest.param("orders.csv", "an input of", id="export"),
    pytest.param("keys/app_private_key.pem", "a key", id="private key"),
    pytest.param("keys/wechatpay_public_key.pem", "a key", id="key of another account"),
    pytest.param("backfill.toml", "the config", id="config"),
    pytest.param("state/backfill.db", "the ledger", id="ledger"),
    pytest.param("state/backfill.db-quota", "the ledger", id="quota"),
]


@pytest.mark.parametrize("alias", ["itself", "relative", "symlink", "hard link"])
@pytest.mark.parametrize(("name", "what"), USERS_FILES)
def test_report_replaces_no_file_of_the_user(done: Workspace, name: str, what: str, alias: str) -> None:
    """`report --output` refuses an export, a key, the config, the ledger and its files, also through links."""
    file, link = done.folder / name, done.folder / "workspace.csv"
    output = str(file)
    if alias == "relative":
        output = f"keys/../{name}"
    elif alias == "symlink":
        link.symlink_to(file)
        output = "workspace.csv"
    elif alias == "hard link":
        os.link(file, link)
        output = "workspace.csv"
    before = contents(done)

    ended = done.backfill("report", "last", "--format", "csv", "--output", output)

    assert (ended.exit_code, contents(done)) == (2, before)
    assert what in ended.stderr
    assert done.backfill("show", "last").exit_code == 0


def test_marks_and_copies_of_the_ledger_are_kept(done: Workspace) -> None:
    """The marks, a copy that a run saved, and the backup that the config names belong to the ledger, also if new."""
    done.configure({"ledger": {"backup": "copy/backfill.db"}})
    names = ["state/backfill.db-mark", "state/backfill.db-saved-1", "backfill.toml-mark", "copy/backfill.db"]
    (done.folder / names[1]).write_text("a copy")

    ends = [done.backfill("totals", "--format", "csv", "--output", name) for name in names]

    assert [(ended.exit_code, "belongs to the ledger and is not overwritten" in ended.stderr) for ended in ends] == [
        (2, True)
    ] * 4
    assert not (done.folder / names[3]).exists()


@pytest.mark.parametrize("words", [("run", "orders"), ("rerun", "last"), ("resume", "last")])
@pytest.mark.parametrize("name", ["outcome.csv", "summary.json", "rows_to_fix.xlsx"])
def test_a_report_folder_with_a_file_of_the_user_is_refused(done: Workspace, words: tuple[str, ...], name: str) -> None:
    """`--report` refuses a folder with a link to the config, before anything is done."""
    (done.folder / "out").mkdir()
    os.link(done.folder / "backfill.toml", done.folder / "out" / name)
    before, runs = contents(done), done.backfill("runs").stdout

    ended = done.backfill(*words, "--report", "out")

    assert (ended.exit_code, contents(done), done.backfill("runs").stdout) == (2, before, runs)
    assert f"--report {done.folder / 'out'}: {name} is the config and is not overwritten" in ended.stderr


def test_the_report_does_not_overwrite_its_input(done: Workspace) -> None:
    """rows_to_fix.csv is not overwritten by the report of the run that reads it."""
    folder = done.folder / "to fix"
    folder.mkdir()
    rows = [row | {"trade_amount": "1.00"} for row in read_csv(done.reports()[-1] / "rows_to_fix.csv")]
    done.export("to fix/rows_to_fix.csv", rows)
    before, requests = contents(done), done.requests()

    ended = done.backfill("run", "orders", "to fix/rows_to_fix.csv", "--report", "to fix")

    assert (ended.exit_code, contents(done), done.requests()) == (2, before, requests)
    assert "rows_to_fix.csv is an input of this run and is not overwritten; choose another folder" in ended.stderr


def test_an_input_of_an_earlier_run_is_not_overwritten(done: Workspace) -> None:
    """Inputs of earlier runs are protected in any folder, also through a linked folder."""
    rows = [row | {"trade_amount": "1.00"} for row in read_csv(done.reports()[-1] / "rows_to_fix.csv")]
    (done.folder / "out").mkdir()
    done.export("out/rows_to_fix.csv", rows)
    done.backfill("run", "orders", "out/rows_to_fix.csv")
    (done.folder / "link").symlink_to("out")
    before = contents(done)

    ends = [done.backfill("run", "orders", "--report", "link"), done.backfill("report", "last", "--output", "out")]

    assert ([ended.exit_code for ended in ends], contents(done)) == ([2, 2], before)
    assert all("is an input of an earlier run and is not overwritten" in ended.stderr for ended in ends)


def test_rows_fixed_in_the_report_folder_are_kept(done: Workspace) -> None:
    """A rows_to_fix.csv that was fixed in its report folder is kept and logged; the other files are written."""
    report = done.reports()[-1]
    file = report / "rows_to_fix.csv"
    rows = [row | {"trade_amount": "1.00"} for row in read_csv(file)]
    done.export(str(file.relative_to(done.folder)), rows)
    fixed = file.read_bytes()
    done.backfill("run", "orders", str(file))
    (report / "summary.json").unlink()

    ended = done.backfill("report", report.name)

    assert (ended.exit_code, file.read_bytes()) == (0, fixed)
    assert f"{file} is an input of a run and was not changed" in ended.stderr
    assert (report / "summary.json").is_file()


@pytest.mark.parametrize(
    ("inputs", "output"),
    [
        pytest.param(["exports/{date}/orders-*.csv"], "exports/2025-11-21/orders-1.csv", id="a day to come"),
        pytest.param(["in/{date:%Y/%m}/*.csv"], "in/2025/12/workspace.csv", id="a date with folders"),
        pytest.param(["in/*.csv"], "in/workspace.csv", id="glob"),
        pytest.param(["in"], "in/workspace.csv", id="folder"),
    ],
)
def test_no_report_is_written_where_a_job_reads_exports(done: Workspace, inputs: list[str], output: str) -> None:
    """A path that matches a job's inputs, on any day, is refused."""
    done.configure({"jobs.orders": {"input": inputs}})

    ended = done.backfill("report", "last", "--output", output)

    assert (ended.exit_code, (done.folder / output).exists()) == (2, False)
    assert "would be read as an export of job orders" in ended.stderr


def test_a_free_folder_is_used(done: Workspace) -> None:
    """A separate folder can be written again and again, also beside exports."""
    ends = [done.backfill("run", "orders", "--report", "out").exit_code for _ in range(2)]
    ends += [done.backfill("report", "last", "--output", "out").exit_code]
    ends += [done.backfill("report", "last", "--output", "workspace.csv").exit_code for _ in range(2)]

    assert ends == [3, 3, 0, 0, 0]


def test_the_simulators_journal_changes_no_other_file(done: Workspace) -> None:
    """`simulate --journal` appends to a journal, and refuses any other file."""
    before = contents(done)

    ended = done.backfill("simulate", "--port", "0", "--journal", "backfill.toml")

    assert (ended.exit_code, contents(done)) == (2, before)
    assert "exists and is not a journal" in ended.stderr


def test_the_simulators_keys_replace_no_key(done: Workspace, tmp_path: Path) -> None:
    """`simulate --keys` replaces neither an existing other key nor a config, also through links."""
    real = tmp_path / "real.pem"
    real.write_text("a real key")
    folder = tmp_path / "sim"
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "app_private_key.pem").symlink_to(real)

    ended = done.backfill("simulate", "--port", "0", "--keys", str(folder))

    assert (ended.exit_code, real.read_text()) == (2, "a real key")
    assert "exists and is not a test key" in ended.stderr
