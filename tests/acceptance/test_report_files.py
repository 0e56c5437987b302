"""The files of a report: their names, columns, keys and order."""

import hashlib
import json
import re

import pytest

from pipeline.simulator import InjectedFault, Kind
from tests.acceptance.night import Night, balance, order, task

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


def test_the_folder_holds_four_files(night: Night) -> None:
    """The outcome, the summary, the page and the rows to fix; no half-written file beside them."""
    night.export("orders.csv", [order(1)])

    night.backfill("run", "orders")

    (report,) = night.reports()
    names = sorted(path.name for path in report.iterdir())
    assert names == ["outcome.csv", "report.html", "rows_to_fix.csv", "rows_to_fix.xlsx", "summary.json"]
    assert report.parent == night.folder / "reports"


def test_the_outcome_columns_stand_in_their_order(night: Night) -> None:
    """The first line is the contract's, and a line of a delivered row fills all of its columns."""
    night.export("orders.csv", [order(1)])

    night.backfill("run", "orders")

    (report,) = night.reports()
    (line,) = night.outcomes()
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


def test_the_trace_id_of_wechat_pay_is_its_request_id(night: Night) -> None:
    """What the platform's support asks for stands in every line, also of a refusal."""
    night.export("points.csv", [balance(1, 5)])
    night.simulator.set_faults([InjectedFault(Kind.REFUSE, code="PARAM_ERROR")])

    night.backfill("run", "points")

    (line,) = night.outcomes()
    assert (line["status"], line["http_status"], line["trace_id"].endswith("-0")) == ("rejected", "400", True)


def test_there_is_one_line_for_each_row_in_source_order(night: Night) -> None:
    """Over several files, whatever order the platform answered in, and whatever became of a row."""
    night.export("orders-1.csv", [order(number) for number in range(6)])
    night.export("orders-2.csv", [order(2), order(7, trade_amount="x"), order(8)])
    night.simulator.set_faults([InjectedFault(Kind.SLOW, every=2, seconds=0.1)])

    night.backfill("run", "orders", "orders-2.csv", "orders-1.csv")

    places = [(line["source_file"], line["source_row"]) for line in night.outcomes()]
    assert places == [("orders-1.csv", str(row)) for row in range(1, 7)] + [
        ("orders-2.csv", str(row)) for row in range(1, 4)
    ]


def test_the_summary_has_its_keys_in_order_and_adds_up(night: Night) -> None:
    """Every key of the contract, in its order; the counts of all seven statuses sum to the rows."""
    files = [night.export(f"tasks-{number}.csv", [task(number), task(number + 2)]) for number in (1, 2)]
    night.export("tasks-2.csv", [task(2, times="2"), task(4, biz_time=""), task(1)])

    night.backfill("run", "tasks", "tasks-*.csv")

    summary = night.summary()
    assert ",".join(summary) == SUMMARY
    assert list(summary["counts"]) == STATUSES
    assert [list(source) for source in summary["inputs"]] == [["file", "rows", "sha256", "encoding"]] * 2
    assert list(summary["quota"]) == ["limit_per_s", "used_fraction", "throttled"]
    assert sum(summary["counts"].values()) == summary["rows"] == sum(source["rows"] for source in summary["inputs"])
    assert all(MOMENT.fullmatch(summary[name]) for name in ("started_at", "finished_at"))
    measured = ("started_at", "finished_at", "elapsed_s", "sent_per_s", "quota")
    (report,) = night.reports()
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


def test_a_short_run_does_not_claim_more_than_its_quota(night: Night) -> None:
    """Requests that go out before the first second is full are not reported as faster than the platform allows."""
    night.export("points.csv", [balance(card, 1) for card in range(4)])

    night.backfill("run", "points")

    summary = night.summary()
    assert (summary["attempts"], summary["quota"]["limit_per_s"]) == (4, 5)
    assert summary["sent_per_s"] <= 5
    assert summary["quota"]["used_fraction"] == pytest.approx(summary["sent_per_s"] / 5, abs=0.001)


def test_rows_to_fix_has_its_header_also_where_no_row_is(night: Night) -> None:
    """Whoever reads the file every morning finds it."""
    night.export("orders.csv", [order(1)])

    night.backfill("run", "orders")

    lines = (night.reports()[-1] / "rows_to_fix.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines == [",".join([*order(1), "_row", "_status", "_code", "_message"])]


def test_a_report_that_cannot_be_written_is_told_before_anything_is_sent(night: Night) -> None:
    """Where --report names a file, the command says so and sends nothing; `resume` goes on, to a folder that is one."""
    night.export("orders.csv", [order(1)])
    (night.folder / "taken").write_text("a file")

    ended = night.backfill("run", "orders", "--report", "taken")
    sent_before = night.requests()
    resumed = night.backfill("resume", "last")

    assert (ended.exit_code, sent_before) == (2, [])
    assert "taken" in ended.stderr
    assert (resumed.exit_code, night.requests(), night.fates()) == (0, ["A1"], ["succeeded SUCCESS"])


def test_a_page_tells_the_same_numbers(night: Night) -> None:
    """report.html needs no other file and no script, and shows what to do next."""
    night.export("orders.csv", [order(1), order(2, trade_amount="x")])

    night.backfill("run", "orders")

    page = (night.reports()[-1] / "report.html").read_text()
    assert "field_invalid" in page
    assert "rows_to_fix.csv" in page
    assert re.search(r"<script|<link|src=|https?://", page) is None


def test_a_rerun_reports_the_rows_that_it_took(night: Night) -> None:
    """Its inputs are those of the first run, with the rows taken; places and cells are those of the export."""
    night.export("orders.csv", [order(number) for number in range(4)])
    night.simulator.set_faults([InjectedFault(Kind.LOSE_BEFORE_APPLYING, key="A2")])
    night.backfill("run", "orders")
    night.simulator.set_faults([InjectedFault(Kind.REFUSE, code="INVALID_PARAMETER")])

    ended = night.backfill("rerun", "last", "--json")

    messages = json.loads(ended.stdout)
    (line,) = night.outcomes()
    assert (messages["rows"], [source["rows"] for source in messages["inputs"]]) == (1, [1])
    assert (line["source_row"], line["request_key"], line["status"]) == ("3", "A2", "rejected")
    assert (night.reports()[-1] / "rows_to_fix.csv").read_text().splitlines()[1].startswith("A2,")
