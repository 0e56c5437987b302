"""Commands for past runs: rerun, resume, runs, show and report."""

import json
from collections.abc import Sequence

import pytest

from pipeline.simulator import FaultKind, InjectedFault
from tests.acceptance.workspace import Workspace, end_of, order, refund, state, wait_until


def lost(key: str) -> InjectedFault:
    return InjectedFault(FaultKind.LOSE_AFTER_APPLYING, key=key)


def refused(key: str, code: str) -> InjectedFault:
    return InjectedFault(FaultKind.REFUSE, key=key, code=code)


@pytest.fixture
def mixed(workspace: Workspace) -> Workspace:
    """Return a finished run with a row of every status that a rerun may take; the faults are gone."""
    workspace.configure({"jobs.orders": {"concurrency": 1}})
    faults = [lost("A1"), InjectedFault(FaultKind.CUT_BODY, key="A2"), refused("A3", "IDEMPOTENT_ERROR")]
    workspace.simulator.set_faults(
        [*faults, refused("A4", "INVALID_PARAMETER"), InjectedFault(FaultKind.THROTTLE, key="A5")]
    )
    workspace.export(
        "orders.csv", [*(order(number) for number in range(6)), refund(1, of=1), order(9, trade_amount="x")]
    )
    workspace.backfill("run", "orders")
    assert workspace.results() == [
        "succeeded SUCCESS",
        "unknown connection_lost",
        "unknown cut_short",
        "rejected IDEMPOTENT_ERROR",
        "rejected INVALID_PARAMETER",
        "unsent throttled",
        "blocked payment_not_succeeded",
        "invalid field_invalid",
    ]
    workspace.simulator.set_faults([])
    return workspace


@pytest.mark.parametrize(
    ("words", "keys", "exit_code"),
    [
        pytest.param([], ["A1", "A2", "A5", "R1"], 0, id="all that is open"),
        pytest.param(["--only", "unknown"], ["A1", "A2"], 0, id="one status"),
        pytest.param(["--only", "unknown,unsent"], ["A1", "A2", "A5"], 0, id="two statuses"),
        pytest.param(["--only", "blocked"], [], 3, id="blocked, and its payment still open"),
        pytest.param(["--only", "rejected"], ["A3", "A4"], 0, id="rejected"),
        pytest.param(["--code", "cut_short"], ["A2"], 0, id="a code"),
        pytest.param(["--code", "cut_short,throttled"], ["A2", "A5"], 0, id="two codes"),
        pytest.param(["--limit", "1"], ["A1"], 0, id="limit"),
        pytest.param(["--new-keys"], ["A1", "A2", "A3-k2", "A5", "R1"], 0, id="new keys"),
        pytest.param(["--new-keys", "--only", "rejected"], ["A3-k2", "A4"], 0, id="new keys, rejected"),
        pytest.param(["--new-keys", "--code", "IDEMPOTENT_ERROR"], ["A3-k2"], 0, id="new keys, a code"),
    ],
)
def test_rerun_takes_the_selected_rows(words: list[str], keys: list[str], exit_code: int, mixed: Workspace) -> None:
    """A rerun is a new run of the selected rows under their keys; --new-keys gives new ones only where wanted."""
    before = len(mixed.requests())

    ended = mixed.backfill("rerun", "last", *words)

    assert (ended.exit_code, sorted(mixed.requests()[before:])) == (exit_code, keys)
    assert len(mixed.outcomes()) == max(len(keys), exit_code and 1)


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        pytest.param(
            ["--code", "INVALID_PARAMETER"],
            "of the rows with such a code 1 is rejected; add --only rejected",
            id="rejected",
        ),
        pytest.param(
            ["--code", "INVALID_PARAMETER,IDEMPOTENT_ERROR", "--only", "unknown"],
            "of the rows with such a code 2 are rejected; add --only rejected",
            id="another status explicit for",
        ),
        pytest.param(
            ["--code", "field_invalid"],
            "of the rows with such a code 1 is invalid; a rerun takes none of these",
            id="invalid",
        ),
        pytest.param(["--code", "timout"], "no row of the run has such a code", id="no such code"),
    ],
)
def test_rerun_says_why_codes_selected_nothing(words: list[str], messages: str, mixed: Workspace) -> None:
    """If --code selects no row, stderr lists how the rows with these codes ended."""
    ended = mixed.backfill("rerun", "last", *words, "--json")

    assert (ended.exit_code, json.loads(ended.stdout)["rows"], len(mixed.reports())) == (3, 0, 1)
    assert f"no row was selected: {messages}\n" in ended.stderr


def test_rerun_refuses_a_status_that_no_rerun_can_take(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """--only succeeded is a usage error."""
    with pytest.raises(SystemExit) as ended:
        workspace.backfill("rerun", "last", "--only", "succeeded")

    assert ended.value.code == 2
    assert "is not a list of unknown, blocked, unsent, rejected" in capsys.readouterr().err


def test_runs_lists_runs_newest_first(mixed: Workspace) -> None:
    """Each run is a line with its day, state, rows and what is left; --limit N lists N runs, --json prints objects."""
    mixed.backfill("rerun", "last", "--only", "unknown")
    first, second = (report.name for report in mixed.reports())

    messages = json.loads(mixed.backfill("runs", "--json").stdout)
    lines = mixed.backfill("runs", "--limit", "1").stdout.splitlines()

    assert [(one["run_id"], one["job"], one["state"], one["exit_code"], one["parent"]) for one in messages] == [
        (second, "orders", "completed", 0, first),
        (first, "orders", "completed", 3, None),
    ]
    day, own = mixed.summary()["date"], json.loads((mixed.reports()[0] / "summary.json").read_bytes())
    assert [(one["date"], one["rows"], one["left"]) for one in messages] == [(day, 2, 0), (day, 8, 5)]
    assert messages[1]["counts"] == own["counts"]
    assert (len(lines), lines[1].split()[:8]) == (
        2,
        [mixed.short_id(second), "orders", day, "completed", "0", "2", "2", "0"],
    )
    assert lines[1].endswith(f"rerun of {mixed.short_id(first)}")


def test_columns_of_runs_stand_below_their_heads(workspace: Workspace) -> None:
    """Job names with wide characters, which take two columns each, do not move the columns behind them."""
    job = {"export": "orders", "api": "alipay.cumulation", "account": "zhima", "rate": 200, "input": ["orders.csv"]}
    constants = {"partner_id": "2088000000000000", "amount_name": "消费金额"}
    workspace.configure({'jobs."订单"': job, 'jobs."订单".constants': constants})
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "订单", "--date", "2025-11-20")
    workspace.backfill("run", "orders", "--date", "2025-11-20")

    heads, plain, wide = workspace.backfill("runs").stdout.splitlines()

    assert heads.index("date") == plain.index("2025-11-20") == wide.index("2025-11-20") + len("订单")
    assert heads.split() == [
        "run", "job", "date", "state", "exit", "rows", "done", "left", "started", "(UTC)", "seconds",
    ]  # fmt: skip


def test_show_prints_the_chain(mixed: Workspace) -> None:
    """The run, its reruns and their resumes are a tree, and below it stands what is left of the whole."""
    first = mixed.reports()[0].name
    mixed.simulator.set_faults([InjectedFault(FaultKind.STATUS, status=403)])
    mixed.backfill("rerun", "last", "--only", "unknown")
    mixed.simulator.set_faults([])
    mixed.backfill("resume", "last")
    second = mixed.reports()[-1].name

    shown, single = mixed.backfill("show", "last").stdout, mixed.backfill("show", first).stdout

    assert shown.endswith(
        "  chain:\n"
        f"    {mixed.short_id(first)}  run completed: 8 rows, 7 left\n"
        f"    └─ {mixed.short_id(second)}  rerun completed: 2 rows, 0 left, resumes: 1 *\n"
        "  left of the whole: 5 of 8 rows\n"
    )
    assert f"{mixed.short_id(first)}  run completed: 8 rows, 7 left *\n" in single


def test_runs_before_the_first_run(workspace: Workspace) -> None:
    """Without runs, nothing is listed, the exit code is 0, and no ledger is created."""
    ended = workspace.backfill("runs")

    assert (ended.exit_code, ended.stdout) == (0, "no runs yet\n")
    assert not (workspace.folder / "state").exists()


def test_show_prints_counts_and_faults(mixed: Workspace) -> None:
    """`show` prints counts by status and a line for each group of faults; --json prints the summary."""
    shown = mixed.backfill("show", "last")
    as_json = mixed.backfill("show", "last", "--json")

    words = [line.split() for line in shown.stdout.splitlines()]
    assert (shown.exit_code, json.loads(as_json.stdout)) == (0, mixed.summary())
    assert ["unknown", "2"] in words
    assert words[words.index(["faults:"]) + 1][:3] == ["1", "unknown", "connection_lost,"]
    assert "1 rejected INVALID_PARAMETER, first orders.csv: row 5 (line 6): " in shown.stdout
    assert '1 invalid field_invalid, first orders.csv: row 8 (line 9): trade_amount "x"' in shown.stdout


def test_show_of_an_active_run_has_no_end(workspace: Workspace) -> None:
    """An active run has counts, but no exit code, no report and no next steps."""
    # Enough attempts that the run waits and probes until the test restores the platform.
    workspace.configure({"jobs.orders": {"max_attempts": 20}})
    workspace.export("orders.csv", [order(number) for number in range(6)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.STATUS, status=503)])

    process = workspace.start("run", "orders")
    wait_until(lambda: len(workspace.requests()) >= 1)
    shown, as_json = workspace.backfill("show", "last"), json.loads(workspace.backfill("show", "last", "--json").stdout)
    workspace.simulator.set_faults([])
    ended = end_of(process)

    assert shown.stdout.splitlines()[0].endswith(" of job orders: running")
    assert not any(word in shown.stdout for word in ("exit code", "resume", "report", "interrupted"))
    assert (as_json["state"], as_json["exit_code"], as_json["rows"]) == ("running", None, 6)
    assert (ended.exit_code, json.loads(workspace.backfill("show", "last", "--json").stdout)) == (
        0,
        workspace.summary(),
    )


@pytest.mark.parametrize("words", [pytest.param((), id="alone"), pytest.param(("--processes", "2"), id="by-two")])
def test_report_writes_the_same_files_again(words: Sequence[str], mixed: Workspace) -> None:
    """Without --output, the report folder is written again from the ledger, byte for byte."""
    (report,) = mixed.reports()
    before = {path.name: path.read_bytes() for path in report.iterdir()}
    for path in report.iterdir():
        path.unlink()

    ended = mixed.backfill("report", "last", *words)

    assert (ended.exit_code, {path.name: path.read_bytes() for path in report.iterdir()}) == (0, before)


@pytest.mark.parametrize("explicit", [pytest.param(True, id="explicit-for"), pytest.param(False, id="by-its-name")])
@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl", "html"])
def test_report_writes_one_file_if_output_is_a_file(form: str, explicit: bool, mixed: Workspace) -> None:
    """--output FILE writes only that file, in the format of --format or of its suffix."""
    output = mixed.folder / "sent" / (f"workspace.{form.upper()}" if not explicit else "workspace.txt")

    ended = mixed.backfill("report", "last", *(["--format", form] if explicit else []), "--output", str(output))

    begins = {"csv": b"run_id,job,", "parquet": b"PAR1", "jsonl": b'{"run_id":', "html": b"<!"}[form]
    assert (ended.exit_code, [path.name for path in output.parent.iterdir()]) == (0, [output.name])
    assert output.read_bytes().startswith(begins)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        pytest.param(["--output", "workspace.txt"], "workspace.txt: unknown suffix", id="no format"),
        pytest.param(["--output", "backfill.toml"], "backfill.toml: unknown suffix", id="config, by its name"),
        pytest.param(
            ["--output", "backfill.toml", "--format", "csv"], "is the config and is not overwritten", id="config"
        ),
        pytest.param(
            ["--output", "state/backfill.db", "--format", "csv"],
            "belongs to the ledger and is not overwritten",
            id="ledger",
        ),
        pytest.param(
            ["--output", "state/backfill.db-quota", "--format", "csv"],
            "belongs to the ledger and is not overwritten",
            id="quota",
        ),
    ],
)
def test_report_refuses_misleading_or_destructive_names(words: list[str], fault: str, mixed: Workspace) -> None:
    """A name without a known suffix is refused, and so are the paths of config and ledger."""
    before = (mixed.folder / "backfill.toml").read_bytes()

    ended = mixed.backfill("report", "last", *words)

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert fault in ended.stderr
    assert (mixed.folder / "backfill.toml").read_bytes() == before
    assert mixed.backfill("show", "last").exit_code == 0
    assert not (mixed.folder / "workspace.txt").exists()


def test_report_writes_a_folder_if_output_is_a_folder(mixed: Workspace) -> None:
    """--output FOLDER writes the whole report there."""
    ended = mixed.backfill("report", "last", "--format", "jsonl", "--output", "again")

    names = sorted(path.name for path in (mixed.folder / "again").iterdir())
    assert (ended.exit_code, names) == (
        0,
        ["outcome.jsonl", "report.html", "rows_to_fix.csv", "rows_to_fix.xlsx", "summary.json"],
    )


def test_past_runs_can_be_read_without_any_key(mixed: Workspace) -> None:
    """runs, show and report need no key file."""
    for path in (mixed.folder / "keys").iterdir():
        path.unlink()

    assert [mixed.backfill(*words).exit_code for words in (["runs"], ["show", "last"], ["report", "last"])] == [0, 0, 0]


def test_resume_of_a_finished_run_sends_what_is_unsent(mixed: Workspace) -> None:
    """Resume of a finished run sends the unsent rows and leaves all others unchanged."""
    before, results = mixed.requests(), mixed.results()

    ended = mixed.backfill("resume", "last")

    results[results.index("unsent throttled")] = "succeeded SUCCESS"
    assert (ended.exit_code, mixed.requests(), mixed.results()) == (3, [*before, "A5"], results)


def test_a_job_may_be_resumed_with_another_format(workspace: Workspace) -> None:
    """`resume` accepts the shared options too."""
    workspace.export("states.csv", [state(1), state(2)])
    workspace.backfill("run", "states", "--until", workspace.now())

    ended = workspace.backfill("resume", "last", "--format", "jsonl", "--report", "second", "--json")

    assert (ended.exit_code, json.loads(ended.stdout)["counts"]["succeeded"]) == (0, 2)
    assert (workspace.folder / "second" / "outcome.jsonl").is_file()


def test_a_resume_accepts_a_limit(workspace: Workspace) -> None:
    """--limit N sends N of the rows left; the others stay for the next resume."""
    workspace.export("orders.csv", [order(n) for n in range(1, 6)])
    workspace.backfill("run", "orders", "--until", workspace.now())

    some = (workspace.backfill("resume", "last", "--limit", "2").exit_code, workspace.results())
    more = (workspace.backfill("resume", "last", "--limit", "3").exit_code, workspace.results())

    assert some == (5, ["succeeded SUCCESS"] * 2 + ["unsent interrupted"] * 3)
    assert more == (0, ["succeeded SUCCESS"] * 5)
    assert sorted(workspace.requests()) == ["A1", "A2", "A3", "A4", "A5"]


def test_a_rerun_is_resumed_without_the_exports(mixed: Workspace) -> None:
    """A rerun is sent from the ledger, so that the exports may be gone."""
    mixed.simulator.set_faults([InjectedFault(FaultKind.STATUS, status=403)])
    stopped = mixed.backfill("rerun", "last")
    mixed.simulator.set_faults([])
    (mixed.folder / "orders.csv").unlink()

    resumed = mixed.backfill("resume", "last")

    assert (stopped.exit_code, resumed.exit_code, mixed.results()) == (4, 0, ["succeeded SUCCESS"] * 4)


NOTHING = [
    pytest.param({"trade_amount": "x"}, "1 row is invalid: fix it in rows_to_fix.csv", 3, id="invalid"),
    pytest.param(
        {"trade_no": "refused"},
        "1 row is rejected: fix it in rows_to_fix.csv, or rerun with --only rejected or --new-keys",
        3,
        id="rejected",
    ),
    pytest.param({}, "no row of run {run} is left", 0, id="nothing left"),
]


@pytest.mark.parametrize(("row", "messages", "exit_code"), NOTHING)
def test_a_rerun_with_nothing_to_send_makes_no_run(
    row: dict[str, str], messages: str, exit_code: int, workspace: Workspace
) -> None:
    """It prints the rows left and the next step, exits with 3 if rows need a person, and supports --json."""
    key = "refused" if "trade_no" in row else "A2"
    workspace.simulator.set_faults([refused("refused", "INVALID_PARAMETER")])
    workspace.export("orders.csv", [order(1), order(2, out_biz_no=key, **row)])
    workspace.backfill("run", "orders")
    (report,) = workspace.reports()
    sent, messages = workspace.requests(), f"nothing to send: {messages.format(run=report.name)}"

    text, as_json = workspace.backfill("rerun", "last"), workspace.backfill("rerun", "last", "--json")

    assert (text.exit_code, text.stdout) == (
        exit_code,
        f"{messages.replace(report.name, workspace.short_id(report.name))}\n",
    )
    status = {"refused": "rejected", "A2": "invalid"}[key] if row else None
    assert (as_json.exit_code, json.loads(as_json.stdout)) == (
        exit_code,
        {
            "run_id": None, "parent": report.name, "job": "orders", "exit_code": exit_code, "rows": 0,
            "left": len(row), "reason": messages,
            "counts": {each: int(each == status) for each in workspace.summary()["counts"]},
        },
    )  # fmt: skip
    assert (workspace.requests(), workspace.reports()) == (sent, [report])


def test_a_rerun_that_selects_nothing_says_what_is_left(mixed: Workspace) -> None:
    """Rows outside the selection are listed by status, with the command that selects them."""
    ended = mixed.backfill("rerun", "last", "--only", "unsent", "--code", "cut_short")

    assert (ended.exit_code, len(mixed.reports())) == (3, 1)
    assert (
        "1 row is invalid: fix it in rows_to_fix.csv; 2 rows are rejected: fix them in rows_to_fix.csv" in ended.stdout
    )
    assert "2 rows are unknown: rerun without --only, --code and --limit to send them" in ended.stdout


def test_a_rerun_of_rows_sent_by_another_rerun_makes_no_run(mixed: Workspace) -> None:
    """Rows that a rerun completed are not taken again from the first run."""
    (first,) = mixed.reports()
    mixed.backfill("rerun", "last", "--only", "unknown,unsent,blocked,rejected")

    ended = mixed.backfill("rerun", first.name)

    assert (ended.exit_code, len(mixed.reports())) == (3, 2)
    assert ended.stdout == "nothing to send: 1 row is invalid: fix it in rows_to_fix.csv\n"


@pytest.mark.parametrize(("amount", "exit_code"), [("1.00", 0), ("x", 3)])
def test_a_resume_of_a_finished_run_says_so(amount: str, exit_code: int, workspace: Workspace) -> None:
    """Nothing is read or sent, the exit code is that of the run, and --json prints its summary."""
    workspace.export("orders.csv", [order(1), order(2, trade_amount=amount)])
    workspace.backfill("run", "orders")
    (workspace.folder / "orders.csv").unlink()
    sent, summary, (report,) = workspace.requests(), workspace.summary(), workspace.reports()

    text, as_json = workspace.backfill("resume", "last"), workspace.backfill("resume", "last", "--json")

    assert (text.exit_code, text.stdout) == (
        exit_code,
        f"run {workspace.short_id(report.name)} is finished (exit code {exit_code}): nothing to resume\n",
    )
    assert (as_json.exit_code, json.loads(as_json.stdout)) == (exit_code, summary)
    assert (workspace.requests(), workspace.reports()) == (sent, [report])


def test_last_is_the_last_run_that_did_something(workspace: Workspace) -> None:
    """`last` skips a run that was refused for its inputs, if there is another run."""
    refused = (
        workspace.backfill("show", "last"),
        workspace.backfill("run", "orders", "gone.csv"),
        workspace.backfill("show", "last"),
    )
    (workspace.folder / "wrong.csv").write_text("a,b\n1,2\n")
    workspace.backfill("run", "orders", "wrong.csv")
    only = workspace.backfill("show", "last", "--json")
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")
    workspace.backfill("run", "orders", "wrong.csv")

    shown = workspace.backfill("show", "last", "--json")

    assert [ended.exit_code for ended in refused] == [2, 2, 2]
    assert (json.loads(only.stdout)["exit_code"], json.loads(shown.stdout)["run_id"]) == (
        2,
        workspace.reports()[-1].name,
    )
