"""The options of `run` and `plan`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import CommandResult, Workspace, balance, order, read_csv, state


def lost(key: str) -> InjectedFault:
    return InjectedFault(FaultKind.LOSE_AFTER_APPLYING, key=key)


def refused(key: str, code: str) -> InjectedFault:
    return InjectedFault(FaultKind.REFUSE, key=key, code=code)


def test_limit_handles_the_first_rows_only(workspace: Workspace) -> None:
    """--limit N reads and reports N rows; the next run continues from the ledger."""
    workspace.export("orders.csv", [order(number) for number in range(5)])

    ended = workspace.backfill("run", "orders", "--limit", "2")

    assert (ended.exit_code, workspace.results(), workspace.requests()) == (0, ["succeeded SUCCESS"] * 2, ["A0", "A1"])
    assert workspace.backfill("run", "orders").exit_code == 0
    assert workspace.results() == ["skipped already_succeeded"] * 2 + ["succeeded SUCCESS"] * 3


@pytest.mark.parametrize("most", ["2", "30%"])
def test_max_failures_stops_the_run(most: str, workspace: Workspace) -> None:
    """More failed rows than --max-failures allows stop the run with exit 4, and the rest is unsent."""
    workspace.configure({"jobs.orders": {"concurrency": 1}})
    workspace.export("orders.csv", [order(number) for number in range(9)])
    workspace.simulator.set_faults([refused("A[123]", "INVALID_PARAMETER")])

    ended = workspace.backfill("run", "orders", "--max-failures", most)

    assert (ended.exit_code, workspace.results()) == (
        4,
        ["succeeded SUCCESS", *["rejected INVALID_PARAMETER"] * 3, *["unsent stopped"] * 5],
    )
    assert "3 rows failed, more than --max-failures allows" in ended.stdout


@pytest.mark.parametrize("most", ["3", "34%"])
def test_as_many_failures_as_allowed_do_not_stop(most: str, workspace: Workspace) -> None:
    """A run with exactly --max-failures failures continues to its end."""
    workspace.export("orders.csv", [order(number) for number in range(9)])
    workspace.simulator.set_faults([refused("A[123]", "INVALID_PARAMETER")])

    assert workspace.backfill("run", "orders", "--max-failures", most).exit_code == 3


def test_invalid_rows_count_as_failures_before_anything_is_sent(workspace: Workspace) -> None:
    """An export with too many invalid rows stops at --max-failures without a request."""
    workspace.export("orders.csv", [order(1), *(order(number, trade_amount="x") for number in range(2, 6))])

    ended = workspace.backfill("run", "orders", "--max-failures", "50%")

    assert (ended.exit_code, workspace.requests(), workspace.summary()["counts"]["invalid"]) == (4, [], 4)


@pytest.mark.parametrize("most", ["1", "50%"])
def test_rows_under_a_key_of_other_content_count_as_failures(most: str, workspace: Workspace) -> None:
    """Rows whose keys were delivered with other content stop a run at --max-failures before it sends any."""
    workspace.export("orders.csv", [order(1), order(2)])
    workspace.backfill("run", "orders")
    workspace.export("orders.csv", [*(order(number, trade_amount="7.77") for number in (1, 2)), order(3)])

    ended = workspace.backfill("run", "orders", "--max-failures", most)

    assert (ended.exit_code, workspace.results()) == (4, ["invalid key_conflict"] * 2 + ["unsent stopped"])


@pytest.mark.parametrize("words", [("run", "orders"), ("resume", "last"), ("rerun", "last")])
def test_a_sqlite_ledger_is_sent_by_one_process(words: Sequence[str], workspace: Workspace) -> None:
    """More than 1 process is refused with the reason, before anything is done."""
    workspace.export("orders.csv", [order(1)])
    before = sorted(workspace.folder.rglob("*"))

    ended = workspace.backfill(*words, "--processes", "2")

    assert ended == CommandResult(
        2,
        "",
        "backfill: --processes 2: with a SQLite ledger only one process sends; write 1, leave it out, or use a "
        "PostgreSQL ledger\n",
    )
    assert sorted(workspace.folder.rglob("*")) == before


def test_one_process_is_accepted(workspace: Workspace) -> None:
    """`--processes 1` sends as a run without the option does."""
    workspace.export("orders.csv", [order(1)])

    assert (workspace.backfill("run", "orders", "--processes", "1").exit_code, workspace.results()) == (
        0,
        ["succeeded SUCCESS"],
    )


@pytest.mark.parametrize("number", ["0", "65", "two"])
def test_a_wrong_number_of_processes(number: str, workspace: Workspace) -> None:
    """Anything but 1 to 64 is a usage error."""
    ended = workspace.command("run", "orders", "--processes", number)

    assert (ended.exit_code, "is not a whole number from 1 to 64" in ended.stderr) == (2, True)


def test_json_prints_the_summary_and_nothing_else(workspace: Workspace) -> None:
    """With --json, stdout has exactly the content of summary.json, for run, resume and rerun."""
    workspace.export("orders.csv", [order(1), order(2)])
    workspace.simulator.set_faults([lost("A1")])

    ran = workspace.backfill("run", "orders", "--json", "--report", "one")
    resumed = workspace.backfill("rerun", "last", "--json", "--report", "two")

    assert (ran.exit_code, resumed.exit_code) == (3, 3)
    assert json.loads(ran.stdout) == json.loads((workspace.folder / "one" / "summary.json").read_bytes())
    assert json.loads(resumed.stdout) == json.loads((workspace.folder / "two" / "summary.json").read_bytes())


def test_json_logs_have_one_object_per_line(workspace: Workspace) -> None:
    """With --log-format json, every line on stderr is an object with time, level, event, message, run and job."""
    workspace.export("orders.csv", [order(1)])

    ended = workspace.backfill("run", "orders", "--no-progress", "--log-format", "json")

    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.exit_code == 0
    assert all({"at", "level", "logger", "event", "message", "run_id", "job"} <= line.keys() for line in lines)
    assert lines[0]["message"] == f"run {workspace.summary()['run_id']} of job orders"


@pytest.mark.parametrize(
    ("words", "exit_code", "messages"),
    [
        pytest.param(["run", "orders"], 2, "orders.csv is empty", id="an input"),
        pytest.param(["plan", "orders"], 2, "orders.csv is empty", id="a plan's input"),
        pytest.param(["show", "last"], 2, "has no runs yet", id="no run"),
        pytest.param(["run", "orders", "--config", "no.toml"], 2, "no.toml: no config file", id="no config"),
    ],
)
def test_the_final_error_is_a_log_line_too(
    words: list[str], exit_code: int, messages: str, workspace: Workspace
) -> None:
    """With --log-format json, the error that ends a command is an object of level error."""
    (workspace.folder / "orders.csv").touch()

    ended = workspace.backfill(*words, "--log-format", "json")

    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.exit_code == exit_code
    assert [lines[-1][name] for name in ("level", "logger", "event")] == ["error", "backfill", "error"]
    assert messages in lines[-1]["message"]


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the rows of an outcome file of any format."""
    match path.suffix:
        case ".jsonl":
            return [json.loads(line) for line in path.read_text().splitlines()]
        case ".parquet":
            return pq.read_table(path, partitioning=None).to_pylist()
        case _:
            return list(read_csv(path))


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_the_outcome_file_has_the_wanted_format(form: str, workspace: Workspace) -> None:
    """--format chooses the format of the outcome file; each format has the same rows."""
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])

    workspace.backfill("run", "orders", "--format", form)

    (report,) = workspace.reports()
    files = sorted(path.name for path in report.iterdir())
    assert files == sorted([f"outcome.{form}", "report.html", "rows_to_fix.csv", "rows_to_fix.xlsx", "summary.json"])
    lines = lines_of(report / f"outcome.{form}")
    assert [(line["request_key"], line["status"], int(line["attempts"])) for line in lines] == [
        ("A1", "succeeded", 1),
        ("A2", "invalid", 0),
    ]


def test_the_environment_may_name_the_config(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """$BACKFILL_CONFIG names the config if --config is absent."""
    workspace.export("orders.csv", [order(1)])
    (workspace.folder / "backfill.toml").rename(workspace.folder / "other.toml")
    monkeypatch.setenv("BACKFILL_CONFIG", "other.toml")

    assert workspace.backfill("run", "orders").exit_code == 0
    assert workspace.backfill("run", "orders", "--config", "no.toml").exit_code == 2


def test_secrets_may_come_from_the_environment(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """private_key_env names the variable with the key; if it is not set, the error names it."""
    pem = (workspace.folder / "keys" / "app_private_key.pem").read_text()
    workspace.configure({"accounts.zhima": {"private_key_file": None, "private_key_env": "APP_KEY"}})
    workspace.export("orders.csv", [order(1)])

    without = workspace.backfill("run", "orders")
    monkeypatch.setenv("APP_KEY", pem)

    assert (workspace.backfill("run", "orders").exit_code, without.exit_code) == (0, 2)
    assert "private_key_env" in without.stderr
    assert "APP_KEY" in without.stderr


def test_a_run_is_named_by_id_prefix_or_last(workspace: Workspace) -> None:
    """A run id, a unique prefix, or `last` names a run; an ambiguous or unknown prefix exits with 2."""
    workspace.export("orders.csv", [order(1)])
    for _ in range(2):
        workspace.backfill("run", "orders")
    first, second = (report.name for report in workspace.reports())
    unique = second[: next(at for at in range(26) if first[at] != second[at]) + 1]

    shown = [workspace.backfill("show", name) for name in (first, second, unique, unique.lower(), "last")]

    short_first, short_second = map(workspace.short_id, (first, second))
    assert [(one.exit_code, one.stdout.split()[1]) for one in shown] == [(0, short_first), *[(0, short_second)] * 4]
    for name, messages in ((first[:6], "more than one run"), ("ZZZ", "is no run in this ledger")):
        ended = workspace.backfill("show", name)
        assert (ended.exit_code, messages in ended.stderr) == (2, True)


def test_plan_shows_a_run_and_writes_nothing(workspace: Workspace) -> None:
    """`plan` prints counts, first faults, sample payloads and the time at the quota; it sends and writes nothing."""
    workspace.export(
        "points.csv", [*(balance(card, 100) for card in range(10)), balance(0, 7), balance(1, 1, openid="")]
    )
    before = sorted(path.name for path in workspace.folder.iterdir())

    ended = workspace.backfill("plan", "points", "--json")

    messages = json.loads(ended.stdout)
    problems = messages.pop("problems")
    samples = messages.pop("samples")
    columns, ends_at = messages.pop("columns"), messages.pop("ends_at")
    assert (columns["file"], ends_at[-1]) == ("points.csv", "Z")
    assert ended.exit_code == 3
    assert messages == {
        "job": "points",
        "exit_code": 3,
        "reason": None,
        "rows": 12,
        "counts": {"to_send": 10, "skipped": 1, "invalid": 1},
        "codes": {"superseded": 1, "field_missing": 1},
        "faults": [
            {
                "status": "invalid",
                "code": "field_missing",
                "field": "openid",
                "column": "openid",
                "rule": "is missing",
                "rows": 1,
                "example": {"file": "points.csv", "row": 12, "value": None},
            }
        ],
        "requests": 10,
        "lanes": 10,
        "seconds": 2.0,
        "until": None,
        "requests_left": 0,
        "inputs": [{"file": "points.csv", "rows": 12, "encoding": "utf-8", "delimiter": ","}],
        "ignored": [],
        "warnings": [],
    }
    assert [(one["source_file"], one["source_row"], one["code"]) for one in problems] == [
        ("points.csv", 12, "field_missing")
    ]
    assert [sorted(one) for one in samples] == [
        ["brand_id", "card_id", "openid", "out_request_no", "point_balance", "user_card_code"]
    ] * 5
    assert (workspace.requests(), sorted(path.name for path in workspace.folder.iterdir())) == ([], before)


def test_plan_knows_what_was_delivered(workspace: Workspace) -> None:
    """Delivered rows are not planned again, and the ledger is not changed."""
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")
    workspace.export("orders.csv", [order(1), order(2), order(3)])
    runs = workspace.backfill("runs", "--json").stdout

    ended = workspace.backfill("plan", "orders", "--limit", "2")

    assert ended.exit_code == 0
    assert "plan of job orders: nothing was sent" in ended.stdout
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert lines[1:3] == [["orders.csv:", "2", "rows,", "utf-8,", "delimiter", "','"], ["columns", "of", "orders.csv:"]]
    at = lines.index(["rows", "2"])
    assert lines[at + 1 : at + 4] == [
        ["to", "send", "1"],
        ["skipped", "1"],
        ["invalid", "0"],
    ]
    assert (workspace.requests(), workspace.backfill("runs", "--json").stdout) == (["A1"], runs)


def test_plan_takes_a_deadline(workspace: Workspace) -> None:
    """`plan --until` prints the end of sending and what is left then, as JSON and as text."""
    workspace.export("points.csv", [balance(1, 1)])

    as_json = json.loads(workspace.backfill("plan", "points", "--until", "23:00", "--json").stdout)
    as_text = workspace.backfill("plan", "points", "--until", "23:00").stdout

    assert as_json["ends_at"].endswith("Z")
    assert as_json["until"].endswith("T15:00:00.000Z")
    assert as_json["requests_left"] in (0, 1)
    assert " requests are left at " in as_text


def test_plan_lists_the_columns_of_the_first_input(workspace: Workspace) -> None:
    """Columns that feed fields have sample values; unused columns are named."""
    workspace.export("points.csv", [balance(1, 100, note="A")])

    plan = json.loads(workspace.backfill("plan", "points", "--json").stdout)

    assert plan["columns"] == {
        "file": "points.csv",
        "mapped": [
            {"field": "openid", "column": "openid", "samples": ["<28 characters>"]},
            {"field": "user_card_code", "column": "user_card_code", "samples": ["<12 characters>"]},
            {"field": "point_balance", "column": "point_balance", "samples": ["100"]},
        ],
        "filter": [],
        "constants": ["brand_id", "card_id"],
        "absent": ["out_request_no", "updated_at"],
        "unused": ["note"],
    }


def test_a_plan_warns_of_names_that_the_gateway_may_refuse(workspace: Workspace) -> None:
    """A plan counts the states whose biz_data has names of Alipay parameters, and shows one name; it exits with 0."""
    rows = [state(1), state(2, biz_data='{"subject":"光明"}'), state(3, biz_data='{"seat":{"service":1}}')]
    workspace.export("states.csv", rows)

    planned, as_json = workspace.backfill("plan", "states"), workspace.backfill("plan", "states", "--json")

    warning = (
        "2 rows to send have the name of an Alipay parameter in biz_data, first subject; Alipay may refuse such a row "
        "(isv.suspected-attack). Try one with --limit, or agree on other names with the product's owner"
    )
    assert (planned.exit_code, f"  warning: {warning}\n" in planned.stdout) == (0, True)
    assert json.loads(as_json.stdout)["warnings"] == [warning]
