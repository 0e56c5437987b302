"""`report --night DATE`: one report over all jobs of a day."""

import json
from pathlib import Path

from tests.acceptance.workspace import Workspace, order, task

DAY = "2025-11-20"


def test_a_night_has_the_runs_of_all_its_jobs(workspace: Workspace) -> None:
    """Runs of that date are listed with links to their reports; --output chooses another folder."""
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])
    workspace.export("tasks.csv", [task(1)])
    for job in ("orders", "tasks"):
        workspace.backfill("run", job, "--date", DAY)
    reports = [report.name for report in workspace.reports()]
    workspace.backfill("run", "orders", "--date", "2025-11-21")

    ended = workspace.backfill("report", "--night", DAY)
    other = workspace.backfill("report", "--night", DAY, "--output", "sent/night")

    folder = workspace.folder / "reports" / f"night-{DAY}"
    summary = json.loads((folder / "summary.json").read_bytes())
    page, sent = ((path / "report.html").read_text(encoding="utf-8") for path in (folder, Path("sent/night")))
    assert (ended.exit_code, ended.stdout, other.stdout) == (0, f"{folder}\n", "sent/night\n")
    assert [(run["run_id"], run["date"]) for run in summary["runs"]] == [(name, DAY) for name in reports]
    assert (summary["rows"], summary["left"], summary["jobs"]) == (
        3,
        1,
        dict(zip(("orders", "tasks"), reports, strict=True)),
    )
    assert [name for name in reports if f'href="../{name}/report.html"' not in page] == []
    assert [name for name in reports if f'href="../../reports/{name}/report.html"' not in sent] == []


def test_a_night_report_is_refused_where_it_makes_no_sense(workspace: Workspace) -> None:
    """A day without runs, RUN or --format beside --night, neither of both, and a folder of inputs are exit 2."""
    (workspace.folder / "in").mkdir()
    workspace.configure({"jobs.orders": {"input": ["in/report.html"]}})
    workspace.run_one_row("tasks")
    day = workspace.summary()["date"]
    (workspace.folder / "in" / "report.html").write_text("x")
    words = {
        "--night 2001-01-01": "no run is of 2001-01-01",
        f"last --night {day}": "leave RUN, --format and --processes out",
        f"--night {day} --format html": "leave RUN, --format and --processes out",
        f"--night {day} --processes 2": "leave RUN, --format and --processes out",
        "": "name a RUN, or use --night DATE",
        f"--night {day} --output in": "report.html is an input of job orders",
    }

    ended = {each: workspace.backfill("report", *each.split()) for each in words}

    assert {each: (one.exit_code, words[each] in one.stderr) for each, one in ended.items()} == dict.fromkeys(
        words, (2, True)
    )
