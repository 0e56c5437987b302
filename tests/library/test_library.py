"""The Python API: each function, against the simulator."""

import inspect
import logging
from argparse import ArgumentParser, _SubParsersAction
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from pipeline import library
from pipeline.cli.parser import build_parser
from pipeline.errors import LedgerError, SettingsError, SourceError
from pipeline.library import outcome, plan, rerun, resume, run, runs

# Options that say how a command prints.
PRINTING = {"help", "json", "no_progress", "log_format", "lang", "verbose", "quiet"}
# A rerun and a resume keep the run's day. For all jobs, a program has a loop, and decides which error ends it.
# A cluster is for nights that a scheduler starts by the command.
ON_A_CLUSTER = {"engine", "address"}
LEFT_OUT = {"rerun": {"date", *ON_A_CLUSTER}, "resume": {"date", *ON_A_CLUSTER}, "run": {"all", *ON_A_CLUSTER}}


def test_a_job_runs_from_python_and_its_outcome_is_a_frame(config: Path, orders: Path) -> None:
    """`run` returns exit code, counts and a DataFrame of outcomes; a `rerun` reports the rows left."""
    result = run(config, "orders", orders, environ={})
    again = rerun(config, result.run_id, environ={})

    frame = result.outcome()
    assert (result.exit_code, result.state, result.rows, result.left) == (3, "completed", 2, 1)
    assert (result.codes, result.summary["run_id"]) == ({"SUCCESS": 1, "field_invalid": 1}, result.run_id)
    assert result.next_steps[0].text.startswith("Fix the 1 row in rows_to_fix.csv")
    assert (again.run_id, again.exit_code, again.rows, again.state) == (result.run_id, 3, 0, None)
    assert again.reason == "nothing to send: 1 row is invalid: fix it in rows_to_fix.csv"
    assert frame[["source_row", "request_key", "status", "code"]].to_numpy().tolist() == [
        [1, "A-1", "succeeded", "SUCCESS"],
        [2, "A-2", "invalid", "field_invalid"],
    ]


def test_outcomes_come_from_the_ledger_as_frame_or_arrow(config: Path, orders: Path) -> None:
    """`outcome` needs no report, and equals what the report has, also as an Arrow table."""
    result = run(config, "orders", [str(orders)], environ={}, format="parquet")

    frame = outcome(config, environ={})
    table = outcome(config, result.run_id[:20], as_arrow=True, environ={})

    pd.testing.assert_frame_equal(frame, result.outcome())
    assert table == result.outcome(as_arrow=True)
    assert table.select(["source_row", "status"]).to_pylist() == [
        {"source_row": 1, "status": "succeeded"},
        {"source_row": 2, "status": "invalid"},
    ]
    assert {table.schema.field(name).type for name in ("first_sent_at", "finished_at")} == {pa.timestamp("ms", "UTC")}
    assert table["first_sent_at"].null_count == 1


def test_a_plan_sends_nothing(config: Path, orders: Path) -> None:
    """`plan` returns counts, samples and the end at the quota; nothing is written beside the config."""
    made = plan(config, "orders", orders, until=datetime(2025, 1, 1, tzinfo=UTC), environ={})

    assert (made.job, made.exit_code, made.counts) == ("orders", 3, {"to_send": 1, "skipped": 0, "invalid": 1})
    assert (made.to_send, made.requests_left, len(made.samples)) == (1, 1, 1)
    assert timedelta(0) < made.ends_at - datetime.now(UTC) < timedelta(minutes=1)
    assert not (config.parent / "state").exists()


def test_a_saved_plan_is_sent_as_it_was_shown(config: Path, orders: Path, tmp_path: Path) -> None:
    """`run` takes job and inputs from the file that `plan` saved; once the input changed, nothing is sent."""
    made = plan(config, "orders", orders, save=tmp_path / "orders.plan.json", environ={})

    result = run(config, plan=made.saved, environ={})
    orders.write_text(orders.read_text(encoding="utf-8") + "A-3,T3,1.00\n", encoding="utf-8")

    assert made.saved == tmp_path / "orders.plan.json"
    assert (result.job, result.rows, result.counts["succeeded"]) == ("orders", 2, made.to_send)
    with pytest.raises(SettingsError, match=r"orders\.csv changed since the plan was saved; nothing was sent"):
        run(config, "orders", plan=made.saved, environ={})


def test_a_saved_plan_excludes_arguments_of_its_own(
    config: Path, orders: Path, frame: pd.DataFrame, tmp_path: Path
) -> None:
    """Inputs, day and limit are the plan's, also the job; a table can't be saved with a plan."""
    path = tmp_path / "orders.plan.json"
    plan(config, "orders", orders, save=path, environ={})

    with pytest.raises(ValueError, match="plan can't be used with inputs; leave one out"):
        run(config, inputs=orders, plan=path, environ={})
    with pytest.raises(ValueError, match="plan can't be used with limit; leave one out"):
        run(config, plan=path, limit=0, environ={})
    with pytest.raises(SettingsError, match=r"is a plan of job orders, not of points; leave JOB out"):
        run(config, "points", plan=path, environ={})
    with pytest.raises(TypeError, match="job must be str, not NoneType"):
        run(config, environ={})
    with pytest.raises(ValueError, match="save can't be used with a table; write it to a file first"):
        plan(config, "orders", frame, save=path, environ={})
    with pytest.raises(SettingsError, match=r"--save .*: orders\.csv is an input of this run and is not overwritten"):
        plan(config, "orders", orders, save=orders, environ={})


def test_a_plan_has_the_differences_from_the_last_run(config: Path, orders: Path) -> None:
    """`diff` counts new, changed and gone rows by request key; the notebook's table has them."""
    run(config, "orders", orders, environ={})
    orders.write_text("out_biz_no,trade_no,trade_amount\nA-1,T1,12.50\nA-3,T3,1.00\n", encoding="utf-8")

    made = plan(config, "orders", orders, diff=True, environ={})

    assert made.differences is not None
    found = made.differences
    assert (found.new.rows, found.changed.rows, found.gone.rows) == (1, 0, 1)
    assert (
        "<th>difference</th><th>rows</th></tr></thead><tbody><tr><td>new</td><td>1</td></tr>"
        in made._repr_html_().replace("\n", "")
    )
    assert plan(config, "orders", orders, environ={}).differences is None


def test_past_runs_are_listed_newest_first(config: Path, orders: Path) -> None:
    """`runs` returns typed lines, also as a DataFrame; before the first run there is none."""
    assert runs(config, environ={}) == ()
    first = run(config, "orders", orders, environ={})
    second = run(config, "orders", orders, environ={})

    listed = runs(config, environ={})

    assert [(each.run_id, each.state, each.exit_code) for each in listed] == [
        (second.run_id, "completed", 3),
        (first.run_id, "completed", 3),
    ]
    assert runs(config, limit=1, environ={}) == listed[:1]
    assert listed.to_pandas()[["run_id", "job"]].to_numpy().tolist() == [[each.run_id, "orders"] for each in listed]


def test_without_a_run_there_is_no_outcome(config: Path) -> None:
    """An outcome of a ledger without runs is a SettingsError, as for the command."""
    with pytest.raises(SettingsError, match=r"RUN 'last': ledger .* has no runs yet"):
        outcome(config, environ={})


def test_results_show_themselves_as_tables_in_a_notebook(config: Path, tmp_path: Path) -> None:
    """The HTML has the counts, and no text of an export or path becomes markup."""
    orders = tmp_path / "<b>.csv"
    orders.write_text("out_biz_no,trade_no,trade_amount\nA-1,T1,12.50\nA-2,T2,1.234\n", encoding="utf-8")

    made = plan(config, "orders", orders, environ={})._repr_html_()
    result = run(config, "orders", orders, environ={})
    shown = result._repr_html_()
    listed = runs(config, environ={})._repr_html_()

    assert "<td>&lt;b&gt;.csv</td><td>2</td><td>field_invalid</td>" in made.replace(f"{tmp_path}/", "")
    assert f"run {result.run_id} of job orders: completed, exit code 3" in shown
    assert "<tr><td>succeeded</td><td>1</td></tr><tr><td>invalid</td><td>1</td></tr>" in shown
    assert f"<td>{result.run_id}</td><td>orders</td><td>completed</td><td>3</td>" in listed
    assert not any("<b>" in html for html in (made, shown, listed))


def test_the_options_of_a_run_reach_it(config: Path, orders: Path, tmp_path: Path) -> None:
    """`limit`, `report`, `format` and `date` act as the command's options do."""
    result = run(config, "orders", str(orders), date=date(2025, 11, 20), limit=1, report=tmp_path / "out",
                 format="jsonl", max_failures="100%", max_invalid=5, processes=1, environ={})  # fmt: skip

    assert (result.rows, result.summary["date"], result.report) == (1, "2025-11-20", tmp_path / "out")
    assert (tmp_path / "out" / "outcome.jsonl").is_file()


def test_too_many_invalid_rows_stop_a_run(config: Path, orders: Path) -> None:
    """With `max_invalid=0` nothing is sent; `resume` with another limit sends the valid row."""
    stopped = run(config, "orders", orders, max_invalid=0, environ={})
    sent = resume(config, max_invalid="100%", environ={})

    assert (stopped.state, stopped.exit_code, stopped.counts["unsent"]) == ("stopped", 4, 1)
    assert (sent.run_id, sent.state, sent.counts["succeeded"]) == (stopped.run_id, "completed", 1)


def test_a_rerun_selects_by_status_and_code(config: Path, orders: Path) -> None:
    """`only`, `code` and `new_keys` select rows as the command's options do."""
    run(config, "orders", orders, environ={})

    selected = rerun(config, only=["rejected"], code={"NO_SUCH_CODE"}, new_keys=True, limit=3, environ={})

    assert (selected.exit_code, selected.rows) == (3, 0)


@pytest.mark.parametrize("function", [run, plan, rerun, resume, runs])
def test_each_option_of_a_command_is_a_parameter(function: object) -> None:
    """A function has the options of its command by their names, but not those that only print."""
    name = function.__name__  # type: ignore[attr-defined]
    parameters = set(inspect.signature(function).parameters)  # type: ignore[arg-type]

    assert options_of(build_parser(), name) - PRINTING - LEFT_OUT.get(name, set()) - parameters == set()


def options_of(parser: ArgumentParser, command: str) -> set[str]:
    (commands,) = (action for action in parser._actions if isinstance(action, _SubParsersAction))
    return {action.dest for action in commands.choices[command]._actions}


def test_all_exceptions_of_a_run_are_exported() -> None:
    """A program can catch each error by a name of the library."""
    errors = {"PipelineError", "SettingsError", "SourceError", "LedgerError", "LedgerBehind", "RunHeld"}

    assert errors | {"RunInterrupted"} <= set(library.__all__)


def test_a_missing_column_is_an_error_of_the_input(config: Path, tmp_path: Path) -> None:
    """What ends the command with exit code 2 is an exception: nothing was sent."""
    orders = tmp_path / "orders.csv"
    orders.write_text("trade_no,trade_amount\nT1,12.50\n", encoding="utf-8")

    with pytest.raises(SourceError, match="out_biz_no"):
        run(config, "orders", orders, environ={})


def test_warnings_and_ignored_files_are_logged(
    config: Path, orders: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What the command logs goes to the logger `backfill`; urllib3 does not log addresses of requests."""
    folder = tmp_path / "folder"
    folder.mkdir()
    orders.rename(folder / "orders.csv")
    (folder / "notes.log").write_text("no export", encoding="utf-8")

    with caplog.at_level(logging.DEBUG):
        run(config, "orders", folder, environ={})

    lines = [(record.name, record.getMessage()) for record in caplog.records if record.levelno >= logging.WARNING]
    assert lines == [
        ("backfill", f"{config} [accounts.card]: no job uses it, so its keys are not checked"),
        ("backfill", f"ignored: {folder / 'notes.log'}"),
    ]
    assert [record for record in caplog.records if record.name.startswith("urllib3")] == []


def test_a_run_that_could_not_begin_releases_its_job(config: Path, tmp_path: Path) -> None:
    """The same process can run the job again once the cause is fixed."""
    orders = tmp_path / "orders.csv"
    orders.write_text("out_biz_no,trade_no,trade_amount\nA-1,T1,12.50\n", encoding="utf-8")
    quota = tmp_path / "state" / "backfill.db-quota"
    quota.parent.mkdir()
    quota.write_bytes(b"torn" * 500)
    with pytest.raises(LedgerError, match="damaged"):
        run(config, "orders", [str(orders)], environ={})
    quota.unlink()

    assert run(config, "orders", [str(orders)], environ={}).exit_code == 0
