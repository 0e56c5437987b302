"""The files of a report: their names, columns, keys and order."""

import hashlib
import json
import re

import pytest

from pipeline import version
from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import Workspace, balance, order, task

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
COLUMNS = (
    "run_id,job,source_file,source_row,request_key,status,code,message,http_status,attempts,first_sent_at,finished_at,"
    "latency_ms,trace_id"
)
SUMMARY = (
    "run_id,parent,date,job,api,account,state,exit_code,inputs,rows,left,counts,codes,faults,attempts,started_at,"
    "finished_at,elapsed_s,sent_per_s,quota,report"
)
STATUSES = ["succeeded", "skipped", "invalid", "rejected", "unknown", "blocked", "unsent"]


def test_the_folder_has_the_promised_files(workspace: Workspace) -> None:
    """The folder has outcome, summary, page and rows to fix, and no temporary files."""
    workspace.export("orders.csv", [order(1)])

    workspace.backfill("run", "orders")

    (report,) = workspace.reports()
    names = sorted(path.name for path in report.iterdir())
    assert names == ["outcome.csv", "report.html", "rows_to_fix.csv", "rows_to_fix.xlsx", "summary.json"]
    assert report.parent == workspace.folder / "reports"


def test_the_outcome_columns_have_their_order(workspace: Workspace) -> None:
    """The header is that of the contract, and the line of a delivered row fills all columns."""
    workspace.export("orders.csv", [order(1)])

    workspace.backfill("run", "orders")

    (report,) = workspace.reports()
    (line,) = workspace.outcomes()
    assert (report / "outcome.csv").read_text().splitlines()[0] == COLUMNS
    latency, trace_id = int(line["latency_ms"]), line["trace_id"]
    assert all(MOMENT.fullmatch(line[name]) for name in ("first_sent_at", "finished_at"))
    assert line["first_sent_at"] <= line["finished_at"]
    assert (latency >= 0, bool(trace_id)) == (True, True)
    assert line == line | {
        "run_id": report.name,
        "job": "orders",
        "source_file": "orders.csv",
        "source_row": "1",
        "request_key": "A1",
        "status": "succeeded",
        "code": "SUCCESS",
        "message": "",
        "http_status": "200",
        "attempts": "1",
    }


def test_the_trace_id_of_wechat_pay_is_its_request_id(workspace: Workspace) -> None:
    """Every line has the id that the platform's support needs, also after a refusal."""
    workspace.export("points.csv", [balance(1, 5)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, code="PARAM_ERROR")])

    workspace.backfill("run", "points")

    (line,) = workspace.outcomes()
    assert (line["status"], line["http_status"], line["trace_id"].endswith("-0")) == ("rejected", "400", True)


def test_there_is_one_line_for_each_row_in_source_order(workspace: Workspace) -> None:
    """Rows of several files are in source order, for any order of answers and any outcome."""
    workspace.export("orders-1.csv", [order(number) for number in range(6)])
    workspace.export("orders-2.csv", [order(2), order(7, trade_amount="x"), order(8)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.SLOW, every=2, seconds=0.1)])

    workspace.backfill("run", "orders", "orders-2.csv", "orders-1.csv")

    places = [(line["source_file"], line["source_row"]) for line in workspace.outcomes()]
    assert places == [("orders-1.csv", str(row)) for row in range(1, 7)] + [
        ("orders-2.csv", str(row)) for row in range(1, 4)
    ]


def test_the_summary_has_its_keys_in_order_and_adds_up(workspace: Workspace) -> None:
    """The summary has every key of the contract in order; the counts of all 7 statuses sum to the rows."""
    files = [workspace.export(f"tasks-{number}.csv", [task(number), task(number + 2)]) for number in (1, 2)]
    workspace.export("tasks-2.csv", [task(2, times="2"), task(4, biz_time=""), task(1)])

    workspace.backfill("run", "tasks", "tasks-*.csv")

    summary = workspace.summary()
    assert ",".join(summary) == SUMMARY
    assert list(summary["counts"]) == STATUSES
    assert [list(source) for source in summary["inputs"]] == [["file", "rows", "sha256", "encoding"]] * 2
    assert list(summary["quota"]) == ["limit_per_s", "used_fraction", "throttled"]
    assert sum(summary["counts"].values()) == summary["rows"] == sum(source["rows"] for source in summary["inputs"])
    assert all(MOMENT.fullmatch(summary[name]) for name in ("started_at", "finished_at"))
    measured = ("started_at", "finished_at", "elapsed_s", "sent_per_s", "quota")
    (report,) = workspace.reports()
    assert {name: value for name, value in summary.items() if name not in measured} == {
        "run_id": report.name,
        "job": "tasks",
        "api": "alipay.cumulation",
        "account": "zhima",
        "state": "completed",
        "exit_code": 3,
        "inputs": [
            {
                "file": path.name,
                "rows": rows,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "encoding": "utf-8",
            }
            for path, rows in zip(files, (2, 3), strict=True)
        ],
        "rows": 5,
        "left": 1,
        "parent": None,
        "date": summary["date"],
        "counts": dict.fromkeys(STATUSES, 0) | {"succeeded": 3, "skipped": 1, "invalid": 1},
        "codes": {"SUCCESS": 3, "duplicate_row": 1, "field_missing": 1},
        "faults": [
            {
                "status": "invalid",
                "code": "field_missing",
                "field": "biz_time",
                "column": "biz_time",
                "rule": "is missing",
                "rows": 1,
                "example": {"file": "tasks-2.csv", "row": 2, "value": None},
            }
        ],
        "attempts": 4,
        "report": str(report),
    }


def test_a_short_run_reports_no_more_than_its_quota(workspace: Workspace) -> None:
    """A run shorter than a second does not report a rate above the quota."""
    workspace.export("points.csv", [balance(card, 1) for card in range(4)])

    workspace.backfill("run", "points")

    summary = workspace.summary()
    assert (summary["attempts"], summary["quota"]["limit_per_s"]) == (4, 5)
    assert summary["sent_per_s"] <= 5
    assert summary["quota"]["used_fraction"] == pytest.approx(summary["sent_per_s"] / 5, abs=0.001)


def test_rows_to_fix_without_rows_has_its_header(workspace: Workspace) -> None:
    """The file exists after every run."""
    workspace.export("orders.csv", [order(1)])

    workspace.backfill("run", "orders")

    lines = (workspace.reports()[-1] / "rows_to_fix.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines == [",".join([*order(1), "_row", "_status", "_code", "_message"])]


def test_an_unwritable_report_folder_is_reported_early(workspace: Workspace) -> None:
    """If --report is a file, the command fails and sends nothing; `resume` with a folder continues."""
    workspace.export("orders.csv", [order(1)])
    (workspace.folder / "taken").write_text("a file")

    ended = workspace.backfill("run", "orders", "--report", "taken")
    sent_before = workspace.requests()
    resumed = workspace.backfill("resume", "last")

    assert (ended.exit_code, sent_before) == (2, [])
    assert "taken" in ended.stderr
    assert (resumed.exit_code, workspace.requests(), workspace.results()) == (0, ["A1"], ["succeeded SUCCESS"])


def test_the_page_has_the_same_numbers(workspace: Workspace) -> None:
    """report.html needs no other file, and shows the next steps, the job's settings and the program's version."""
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])

    workspace.backfill("run", "orders")

    page = (workspace.reports()[-1] / "report.html").read_text()
    assert "field_invalid" in page
    assert "rows_to_fix.csv" in page
    assert "<code>max_attempts</code></dt><dd>2</dd>" in page
    assert f"<dt>backfill</dt><dd>{version()}</dd>" in page
    assert re.search(r"<link|src=|https?://", page) is None


def test_the_page_of_a_run_names_its_reruns(workspace: Workspace) -> None:
    """A rerun names its parent, and `report` writes a page of the parent that names the rerun."""
    workspace.simulator.set_faults([InjectedFault(FaultKind.LOSE_BEFORE_APPLYING, key="A1")])
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])
    workspace.backfill("run", "orders")
    first = workspace.reports()[-1]
    workspace.backfill("rerun", "last")
    rerun = workspace.reports()[-1]

    workspace.backfill("report", first.name, "--output", str(workspace.folder / "page.html"))

    assert f"Rerun of {first.name}" in (rerun / "report.html").read_text()
    assert f"Reruns: {rerun.name}" in (workspace.folder / "page.html").read_text()


def test_a_page_by_itself_names_the_file_in_the_report_of_the_run(workspace: Workspace) -> None:
    """`report --output FILE.html` names the file to fix in the report of the run, as nothing else is written."""
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])
    workspace.backfill("run", "orders")

    workspace.backfill("report", "last", "--output", str(workspace.folder / "sent" / "page.html"))

    page = (workspace.folder / "sent" / "page.html").read_text()
    assert f"backfill run orders {workspace.reports()[-1] / 'rows_to_fix.csv'}</code>" in page


def test_the_page_is_in_the_chosen_language(workspace: Workspace) -> None:
    """With LC_ALL=zh_CN.UTF-8, or with --lang zh, `run` and `report` write a Chinese page."""
    workspace.export("orders.csv", [order(1)])

    ended = workspace.command("run", "orders", environ={"LC_ALL": "zh_CN.UTF-8"})
    again = workspace.command("report", "last", "--output", "page.html", "--lang", "zh")

    assert (ended.exit_code, again.exit_code) == (0, 0)
    pages = [workspace.reports()[-1] / "report.html", workspace.folder / "page.html"]
    assert ["运行完成：所有行都已成功或已跳过。" in page.read_text(encoding="utf-8") for page in pages] == [True, True]


def test_a_rerun_reports_its_rows(workspace: Workspace) -> None:
    """Its inputs are those of the first run; row numbers and cells are those of the export."""
    workspace.export("orders.csv", [order(number) for number in range(4)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.LOSE_BEFORE_APPLYING, key="A2")])
    workspace.backfill("run", "orders")
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, code="INVALID_PARAMETER")])

    ended = workspace.backfill("rerun", "last", "--json")

    messages = json.loads(ended.stdout)
    (line,) = workspace.outcomes()
    assert (messages["rows"], [source["rows"] for source in messages["inputs"]]) == (1, [1])
    assert (line["source_row"], line["request_key"], line["status"]) == ("3", "A2", "rejected")
    assert (workspace.reports()[-1] / "rows_to_fix.csv").read_text().splitlines()[1].startswith("A2,")
