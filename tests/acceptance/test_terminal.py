"""Progress and logs of a run, as a terminal, a file and a person's options get them."""

import json
import os
import re
import signal
from pathlib import Path

from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import Workspace, end_of, order, wait_until

ENVIRON = {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}


def read_all(terminal: int) -> str:
    """Return what was written to a terminal whose programs have ended."""
    parts = []
    try:
        while part := os.read(terminal, 65536):
            parts.append(part)
    except OSError:
        # The end of a terminal is an error.
        pass
    return b"".join(parts).decode()


def export_slow_night(workspace: Workspace) -> None:
    """Write 30 orders that take about 2 seconds to send."""
    workspace.configure({"jobs.orders": {"concurrency": 2}})
    workspace.export("orders.csv", [order(number) for number in range(30)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.SLOW, seconds=0.1)])


def test_a_terminal_shows_progress_and_is_clean_afterwards(workspace: Workspace) -> None:
    """On a terminal lines are redrawn, and Ctrl-C ends the run with the lines removed and the cursor in sight."""
    export_slow_night(workspace)
    ours, theirs = os.openpty()

    process = workspace.start("run", "orders", stderr=theirs, environ=ENVIRON)
    os.close(theirs)
    wait_until(lambda: len(workspace.requests()) >= 4)
    process.send_signal(signal.SIGINT)
    ended = end_of(process)
    output = read_all(ours)
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output)

    assert ended.exit_code == 5
    assert re.search(r"orders sending .* of 30", text)
    ending = "ending: stopped by SIGINT; continue with `backfill resume`; a second signal ends it at once"
    assert ending in " ".join(text.split())
    # rich draws the lines without a line feed, and erases each of them at the end.
    assert re.search(r"(\x1b\[1A\x1b\[2K)+$", output)
    assert "\x1b[?25l" not in output


def test_rich_is_loaded_on_a_terminal_only(workspace: Workspace, tmp_path: Path) -> None:
    """A run whose stderr is a file does not import rich, and its JSON log has run, job and counts as fields."""
    workspace.export("orders.csv", [order(1), order(2, trade_amount="x")])

    ended = workspace.command(
        "run", "orders", "--log-format", "json", environ={**ENVIRON, "PYTHONPROFILEIMPORTTIME": "1"}
    )
    lines = ended.stderr.splitlines()
    logged = [json.loads(line) for line in lines if not line.startswith("import time:")]

    assert ended.exit_code == 3
    assert [line for line in lines if re.search(r"\| +rich\.", line)] == []
    assert any(re.search(r"\| +structlog$", line) for line in lines)
    run_id = workspace.summary()["run_id"]
    assert [(line["event"], line["run_id"], line["job"]) for line in logged] == [
        ("run_begun", run_id, "orders"),
        ("run_ended", run_id, "orders"),
    ]
    facts = ("state", "exit_code", "rows", "succeeded", "invalid")
    assert [logged[-1][name] for name in facts] == ["completed", 3, 2, 1, 1]


def test_quiet_and_verbose_change_the_log_only(workspace: Workspace) -> None:
    """With `-q` stderr is empty; with `-v` it has the lease and the files; stdout has the summary."""
    workspace.export("orders.csv", [order(1)])

    quiet = workspace.backfill("run", "orders", "-q")
    verbose = workspace.backfill("-v", "run", "orders")

    assert (quiet.exit_code, quiet.stderr, quiet.stdout.startswith("run ")) == (0, "", True)
    assert re.findall(r"event=(\w+)", verbose.stderr) == [
        "run_begun", "lease_taken", "file_begun", "file_read", "report_written", "lease_released",
    ]  # fmt: skip
