"""`plan --diff`: what changed since the last completed run of the job."""

import json

from tests.acceptance.workspace import Workspace, order


def test_a_plan_shows_what_changed(workspace: Workspace) -> None:
    """Rows new, changed and gone are counted, with examples whose keys are masked; nothing is sent or written."""
    workspace.export("orders.csv", [order(1), order(2), order(3)])
    first = workspace.backfill("plan", "orders", "--diff")
    workspace.backfill("run", "orders", "--date", "2025-11-19")
    (report,) = workspace.reports()
    sent = workspace.requests()
    workspace.export("orders.csv", [order(1), order(2, trade_amount="99.00"), order(4)])

    text, as_json = (
        workspace.backfill("plan", "orders", "--diff"),
        workspace.backfill("plan", "orders", "--diff", "--json"),
    )

    assert first.stdout.endswith("no run of job orders has completed yet: every row is new\n")
    assert text.stdout.endswith(
        f"since run {report.name[:8]} of 2025-11-19, by request key:\n"
        "  new              1\n"
        "    orders.csv: row 3: A***4 (2 characters)\n"
        "  changed          1\n"
        "    orders.csv: row 2: A***2 (2 characters)\n"
        "  gone             1\n"
        "    orders.csv: row 3: A***3 (2 characters)\n"
    )
    assert json.loads(as_json.stdout)["diff"] == {
        "run_id": report.name,
        "date": "2025-11-19",
        "new": 1,
        "changed": 1,
        "gone": 1,
        "examples": {
            "new": [{"file": "orders.csv", "row": 3, "key": "A***4 (2 characters)"}],
            "changed": [{"file": "orders.csv", "row": 2, "key": "A***2 (2 characters)"}],
            "gone": [{"file": "orders.csv", "row": 3, "key": "A***3 (2 characters)"}],
        },
    }
    assert (workspace.requests(), workspace.reports()) == (sent, [report])
