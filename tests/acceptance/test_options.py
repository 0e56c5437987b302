"""Every command and option, as a person types them."""

import bz2
import gzip
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.simulator import Fault, Kind
from tests.acceptance.night import ZONE, Night, balance, order, read_csv, refund, state


def lost(key: str) -> Fault:
    return Fault(Kind.LOSE_AFTER_APPLYING, key=key)


def refused(key: str, code: str) -> Fault:
    return Fault(Kind.REFUSE, key=key, code=code)


def test_inputs_named_replace_the_jobs_own(night: Night) -> None:
    """Only the files named are read."""
    night.export("orders.csv", [order(1)])
    night.export("late.csv", [order(2)])
    night.export("later.csv", [order(3)])

    ended = night.backfill("run", "orders", "late.csv", "later.csv")

    assert (ended.exit_code, sorted(night.requests())) == (0, ["A2", "A3"])
    assert [line["source_file"] for line in night.outcomes()] == ["late.csv", "later.csv"]


def test_paths_of_the_command_line_start_where_one_stands(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs, --config and --report are relative to the working directory; ledger and reports to the config."""
    elsewhere = night.folder / "elsewhere"
    elsewhere.mkdir()
    night.export("elsewhere/orders.csv", [order(7)])
    night.export("orders.csv", [order(1)])
    monkeypatch.chdir(elsewhere)

    named = night.backfill("run", "orders", "orders.csv", "--config", "../backfill.toml", "--report", "mine")
    own = night.backfill("run", "orders", "--config", "../backfill.toml")

    assert (named.exit_code, own.exit_code, night.requests()) == (0, 0, ["A7", "A1"])
    assert [line["request_key"] for line in read_csv(elsewhere / "mine" / "outcome.csv")] == ["A7"]
    assert [line["request_key"] for line in night.outcomes()] == ["A1"]
    assert (night.folder / "state" / "backfill.db").is_file()


def as_gzip(folder: Path, data: bytes) -> None:
    (folder / "orders.csv.gz").write_bytes(gzip.compress(data))


def as_bz2(folder: Path, data: bytes) -> None:
    (folder / "orders.csv.bz2").write_bytes(bz2.compress(data))


def as_zstd(folder: Path, data: bytes) -> None:
    with pa.CompressedOutputStream(str(folder / "orders.csv.zst"), "zstd") as file:
        file.write(data)


def as_parquet(folder: Path, _data: bytes) -> None:
    pq.write_table(pa.Table.from_pylist([order(1), order(2)]), folder / "orders.parquet")


def as_partitions(folder: Path, _data: bytes) -> None:
    for number in (1, 2):
        rows = [{name: text for name, text in order(number).items() if name != "trade_amount"}]
        part = folder / f"trade_amount=12.{number}0"
        part.mkdir()
        pq.write_table(pa.Table.from_pylist(rows), part / "part-0.parquet")


@pytest.mark.parametrize("write", [as_gzip, as_bz2, as_zstd, as_parquet, as_partitions])
def test_a_folder_of_exports_of_any_kind(write: Callable[[Path, bytes], None], night: Night) -> None:
    """CSV plain and compressed, Parquet, and folders with hive partitions are read alike."""
    folder = night.folder / "exports"
    folder.mkdir()
    write(folder, night.export("orders.csv", [order(1), order(2)]).read_bytes())

    ended = night.backfill("run", "orders", "exports")

    assert (ended.exit_code, sorted(night.requests())) == (0, ["A1", "A2"])


def test_the_date_fills_the_inputs(night: Night) -> None:
    """{date} is what --date says, and yesterday in the job's zone where it says nothing."""
    night.configure({"jobs.orders": {"input": ["exports/{date}/orders-*.csv"]}})
    yesterday = (datetime.now(ZoneInfo(ZONE)) - timedelta(days=1)).date()
    for number, day in enumerate(("2025-11-20", yesterday.isoformat()), 1):
        (night.folder / "exports" / day).mkdir(parents=True)
        night.export(f"exports/{day}/orders-1.csv", [order(number)])

    dated = night.backfill("run", "orders", "--date", "2025-11-20")
    undated = night.backfill("run", "orders")

    assert (dated.exit_code, undated.exit_code, night.requests()) == (0, 0, ["A1", "A2"])


def test_limit_handles_the_first_rows_only(night: Night) -> None:
    """--limit reads so many rows and reports no others; the next run goes on from what the ledger knows."""
    night.export("orders.csv", [order(number) for number in range(5)])

    ended = night.backfill("run", "orders", "--limit", "2")

    assert (ended.exit_code, night.fates(), night.requests()) == (0, ["succeeded SUCCESS"] * 2, ["A0", "A1"])
    assert night.backfill("run", "orders").exit_code == 0
    assert night.fates() == ["skipped already_succeeded"] * 2 + ["succeeded SUCCESS"] * 3


@pytest.mark.parametrize("most", ["2", "30%"])
def test_max_failures_stops_the_run(most: str, night: Night) -> None:
    """More failed rows than --max-failures allows stop the run with exit 4, and the rest is unsent."""
    night.configure({"jobs.orders": {"concurrency": 1}})
    night.export("orders.csv", [order(number) for number in range(9)])
    night.simulator.set_faults([refused("A[123]", "INVALID_PARAMETER")])

    ended = night.backfill("run", "orders", "--max-failures", most)

    assert (ended.exit_code, night.fates()) == (
        4,
        ["succeeded SUCCESS", *["rejected INVALID_PARAMETER"] * 3, *["unsent stopped"] * 5],
    )
    assert "3 rows failed, more than --max-failures allows" in ended.stdout


@pytest.mark.parametrize("most", ["3", "34%"])
def test_as_many_failures_as_allowed_do_not_stop(most: str, night: Night) -> None:
    """A run goes on to its end at just as many failures as --max-failures names."""
    night.export("orders.csv", [order(number) for number in range(9)])
    night.simulator.set_faults([refused("A[123]", "INVALID_PARAMETER")])

    assert night.backfill("run", "orders", "--max-failures", most).exit_code == 3


def test_invalid_rows_count_as_failures_before_anything_is_sent(night: Night) -> None:
    """A spoilt export stops at --max-failures without a request."""
    night.export("orders.csv", [order(1), *(order(number, trade_amount="x") for number in range(2, 6))])

    ended = night.backfill("run", "orders", "--max-failures", "50%")

    assert (ended.exit_code, night.requests(), night.summary()["counts"]["invalid"]) == (4, [], 4)


def test_json_prints_the_summary_and_nothing_else(night: Night) -> None:
    """With --json stdout holds the content of summary.json alone, for run, resume and rerun."""
    night.export("orders.csv", [order(1), order(2)])
    night.simulator.set_faults([lost("A1")])

    ran = night.backfill("run", "orders", "--json", "--report", "one")
    resumed = night.backfill("rerun", "last", "--json", "--report", "two")

    assert (ran.exit_code, resumed.exit_code) == (3, 3)
    assert json.loads(ran.stdout) == json.loads((night.folder / "one" / "summary.json").read_bytes())
    assert json.loads(resumed.stdout) == json.loads((night.folder / "two" / "summary.json").read_bytes())


def test_logs_as_json_are_a_line_each(night: Night) -> None:
    """With --log-format json every line on stderr is an object with time, level and message."""
    night.export("orders.csv", [order(1)])

    ended = night.backfill("run", "orders", "--no-progress", "--log-format", "json")

    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.exit_code == 0
    assert [sorted(line) for line in lines] == [["at", "level", "logger", "message"]] * len(lines)
    assert lines[0]["message"] == f"run {night.summary()['run_id']} of job orders"


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_the_outcome_file_comes_in_the_format_asked_for(form: str, night: Night) -> None:
    """--format names the ending of the one outcome file, and each holds the same lines."""
    night.export("orders.csv", [order(1), order(2, trade_amount="x")])

    night.backfill("run", "orders", "--format", form)

    (report,) = night.reports()
    files = sorted(path.name for path in report.iterdir())
    assert files == sorted([f"outcome.{form}", "report.html", "rows_to_fix.csv", "summary.json"])
    lines = {
        "csv": lambda path: read_csv(path),
        "jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
        "parquet": lambda path: pq.read_table(path, partitioning=None).to_pylist(),
    }[form](report / f"outcome.{form}")
    assert [(line["request_key"], line["status"], int(line["attempts"])) for line in lines] == [
        ("A1", "succeeded", 1),
        ("A2", "invalid", 0),
    ]


def test_the_config_may_be_named_by_the_environment(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """$BACKFILL_CONFIG names the config where --config does not."""
    night.export("orders.csv", [order(1)])
    (night.folder / "backfill.toml").rename(night.folder / "other.toml")
    monkeypatch.setenv("BACKFILL_CONFIG", "other.toml")

    assert night.backfill("run", "orders").exit_code == 0
    assert night.backfill("run", "orders", "--config", "no.toml").exit_code == 2


def test_secrets_may_come_from_the_environment(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """private_key_env names the variable that holds the key; without it the variable is named in the error."""
    pem = (night.folder / "keys" / "app_private_key.pem").read_text()
    night.configure({"accounts.zhima": {"private_key_file": None, "private_key_env": "APP_KEY"}})
    night.export("orders.csv", [order(1)])

    without = night.backfill("run", "orders")
    monkeypatch.setenv("APP_KEY", pem)

    assert (night.backfill("run", "orders").exit_code, without.exit_code) == (0, 2)
    assert "private_key_env" in without.stderr
    assert "APP_KEY" in without.stderr


def test_a_run_is_named_by_id_prefix_or_last(night: Night) -> None:
    """A whole id, a unique beginning of it, or `last` find a run; what fits two or none is refused with exit 2."""
    night.export("orders.csv", [order(1)])
    for _ in range(2):
        night.backfill("run", "orders")
    first, second = (report.name for report in night.reports())
    unique = second[: next(at for at in range(26) if first[at] != second[at]) + 1]

    shown = [night.backfill("show", name) for name in (first, second, unique, unique.lower(), "last")]

    assert [(one.exit_code, one.stdout.split()[1]) for one in shown] == [(0, first), *[(0, second)] * 4]
    for name, told in ((first[:6], "more than one run"), ("ZZZ", "is no run in this ledger")):
        ended = night.backfill("show", name)
        assert (ended.exit_code, told in ended.stderr) == (2, True)


# ---- plan -----------------------------------------------------------------------------------------------------------


def test_plan_tells_what_a_run_would_do_and_leaves_nothing(night: Night) -> None:
    """Counts, the first problems, sample payloads and the time at the quota; no request, no ledger, no report."""
    night.export("points.csv", [*(balance(card, 100) for card in range(10)), balance(0, 7), balance(1, 1, openid="")])
    before = sorted(path.name for path in night.folder.iterdir())

    ended = night.backfill("plan", "points", "--json")

    told = json.loads(ended.stdout)
    problems = told.pop("problems")
    samples = told.pop("samples")
    assert ended.exit_code == 3
    assert told == {
        "job": "points",
        "rows": 12,
        "counts": {"to send": 10, "skipped": 1, "invalid": 1},
        "codes": {"superseded": 1, "field_missing": 1},
        "requests": 10,
        "lanes": 10,
        "seconds": 2.0,
    }
    assert [(one["source_file"], one["source_row"], one["code"]) for one in problems] == [
        ("points.csv", 12, "field_missing")
    ]
    assert [sorted(one) for one in samples] == [
        ["brand_id", "card_id", "openid", "out_request_no", "point_balance", "user_card_code"]
    ] * 3
    assert (night.requests(), sorted(path.name for path in night.folder.iterdir())) == ([], before)


def test_plan_knows_what_was_delivered(night: Night) -> None:
    """Rows that the ledger knows as delivered are not planned again, and the ledger stays as it is."""
    night.export("orders.csv", [order(1)])
    night.backfill("run", "orders")
    night.export("orders.csv", [order(1), order(2), order(3)])
    runs = night.backfill("runs", "--json").stdout

    ended = night.backfill("plan", "orders", "--limit", "2")

    assert ended.exit_code == 0
    assert "plan of job orders: nothing was sent" in ended.stdout
    assert [line.split() for line in ended.stdout.splitlines()[1:5]] == [
        ["rows", "2"],
        ["to", "send", "1"],
        ["skipped", "1"],
        ["invalid", "0"],
    ]
    assert (night.requests(), night.backfill("runs", "--json").stdout) == (["A1"], runs)


# ---- rerun ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def mixed(night: Night) -> Night:
    """A finished run with a row of every status that a rerun may take, and the faults gone."""
    night.configure({"jobs.orders": {"concurrency": 1}})
    faults = [lost("A1"), Fault(Kind.CUT_BODY, key="A2"), refused("A3", "IDEMPOTENT_ERROR")]
    night.simulator.set_faults([*faults, refused("A4", "INVALID_PARAMETER"), Fault(Kind.THROTTLE, key="A5")])
    night.export("orders.csv", [*(order(number) for number in range(6)), refund(1, of=1), order(9, trade_amount="x")])
    night.backfill("run", "orders")
    assert night.fates() == [
        "succeeded SUCCESS",
        "unknown connection_lost",
        "unknown cut_short",
        "rejected IDEMPOTENT_ERROR",
        "rejected INVALID_PARAMETER",
        "unsent throttled",
        "blocked payment_not_succeeded",
        "invalid field_invalid",
    ]
    night.simulator.set_faults([])
    return night


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
        pytest.param(["--only", "unsent", "--code", "cut_short"], [], 0, id="status and code"),
        pytest.param(["--limit", "1"], ["A1"], 0, id="limit"),
        pytest.param(["--new-keys"], ["A1", "A2", "A3-k2", "A5", "R1"], 0, id="new keys"),
        pytest.param(["--new-keys", "--only", "rejected"], ["A3-k2", "A4"], 0, id="new keys, rejected"),
        pytest.param(["--new-keys", "--code", "IDEMPOTENT_ERROR"], ["A3-k2"], 0, id="new keys, a code"),
    ],
)
def test_rerun_takes_what_is_asked_for(words: list[str], keys: list[str], exit_code: int, mixed: Night) -> None:
    """A rerun is a run of its own over the selected rows, under their keys; a new key is only where it is asked for."""
    before = len(mixed.requests())

    ended = mixed.backfill("rerun", "last", *words)

    assert (ended.exit_code, sorted(mixed.requests()[before:])) == (exit_code, keys)
    assert len(mixed.outcomes()) == max(len(keys), exit_code and 1)


def test_rerun_refuses_a_status_that_no_rerun_can_take(night: Night, capsys: pytest.CaptureFixture[str]) -> None:
    """--only succeeded is a fault of usage."""
    with pytest.raises(SystemExit) as ended:
        night.backfill("rerun", "last", "--only", "succeeded")

    assert ended.value.code == 2
    assert "a rerun takes rows that are unknown, blocked, unsent, rejected" in capsys.readouterr().err


# ---- runs, show, report ---------------------------------------------------------------------------------------------


def test_runs_lists_what_was_run_newest_first(mixed: Night) -> None:
    """A line each with state and exit code; --limit cuts it, --json gives the same as objects."""
    mixed.backfill("rerun", "last")
    first, second = (report.name for report in mixed.reports())

    told = json.loads(mixed.backfill("runs", "--json").stdout)
    lines = mixed.backfill("runs", "--limit", "1").stdout.splitlines()

    assert [(one["run_id"], one["job"], one["state"], one["exit_code"], one["parent"]) for one in told] == [
        (second, "orders", "completed", 0, first),
        (first, "orders", "completed", 3, None),
    ]
    assert (len(lines), lines[1].split()[:4]) == (2, [second, "orders", "completed", "0"])
    assert lines[1].endswith(f"rerun of {first}")


def test_runs_before_the_first_run(night: Night) -> None:
    """There is nothing to list, which is no fault, and no ledger is made for it."""
    ended = night.backfill("runs")

    assert (ended.exit_code, ended.stdout) == (0, "no runs yet\n")
    assert not (night.folder / "state").exists()


def test_show_tells_counts_and_frequent_errors(mixed: Night) -> None:
    """The counts by status and the codes of rows that did not succeed, with what they mean; --json is the summary."""
    shown = mixed.backfill("show", "last")
    as_json = mixed.backfill("show", "last", "--json")

    words = [line.split() for line in shown.stdout.splitlines()]
    assert (shown.exit_code, json.loads(as_json.stdout)) == (0, mixed.summary())
    assert ["unknown", "2"] in words
    assert ["1", "rejected", "INVALID_PARAMETER"] in [line[:3] for line in words]


def test_report_writes_the_same_files_again(mixed: Night) -> None:
    """Without options the report folder is made anew from the ledger alone, byte for byte."""
    (report,) = mixed.reports()
    before = {path.name: path.read_bytes() for path in report.iterdir()}
    for path in report.iterdir():
        path.unlink()

    ended = mixed.backfill("report", "last")

    assert (ended.exit_code, {path.name: path.read_bytes() for path in report.iterdir()}) == (0, before)


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl", "html"])
def test_report_writes_one_file_where_output_names_one(form: str, mixed: Night) -> None:
    """--output takes the path of the file, in the format asked for, and leaves nothing beside it."""
    output = mixed.folder / "sent" / f"night.{form}"

    ended = mixed.backfill("report", "last", "--format", form, "--output", str(output))

    begins = {"csv": b"run_id,job,", "parquet": b"PAR1", "jsonl": b'{"run_id":', "html": b"<!"}[form]
    assert (ended.exit_code, [path.name for path in output.parent.iterdir()]) == (0, [output.name])
    assert output.read_bytes().startswith(begins)


def test_report_writes_a_folder_where_output_names_one(mixed: Night) -> None:
    """--output may name a folder for the whole report."""
    ended = mixed.backfill("report", "last", "--format", "jsonl", "--output", "again")

    names = sorted(path.name for path in (mixed.folder / "again").iterdir())
    assert (ended.exit_code, names) == (0, ["outcome.jsonl", "report.html", "rows_to_fix.csv", "summary.json"])


def test_past_runs_can_be_looked_at_without_any_key(mixed: Night) -> None:
    """runs, show and report need no key file."""
    for path in (mixed.folder / "keys").iterdir():
        path.unlink()

    assert [mixed.backfill(*words).exit_code for words in (["runs"], ["show", "last"], ["report", "last"])] == [0, 0, 0]


# ---- resume ---------------------------------------------------------------------------------------------------------


def test_resume_of_a_finished_run_sends_what_is_unsent(mixed: Night) -> None:
    """Of a run that finished, resume sends the rows that are surely not applied, and leaves all others as they are."""
    before, fates = mixed.requests(), mixed.fates()

    ended = mixed.backfill("resume", "last")

    fates[fates.index("unsent throttled")] = "succeeded SUCCESS"
    assert (ended.exit_code, mixed.requests(), mixed.fates()) == (3, [*before, "A5"], fates)


def test_a_job_may_be_stopped_and_resumed_under_another_format(night: Night) -> None:
    """resume takes the shared options too."""
    night.export("states.csv", [state(1), state(2)])
    night.backfill("run", "states", "--until", night.now())

    ended = night.backfill("resume", "last", "--format", "jsonl", "--report", "second", "--json")

    assert (ended.exit_code, json.loads(ended.stdout)["counts"]["succeeded"]) == (0, 2)
    assert (night.folder / "second" / "outcome.jsonl").is_file()
