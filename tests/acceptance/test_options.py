"""The options of `run` and `plan`, as a person types them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.simulator import InjectedFault, Kind
from tests.acceptance.night import Ended, Night, balance, order, read_csv


def lost(key: str) -> InjectedFault:
    return InjectedFault(Kind.LOSE_AFTER_APPLYING, key=key)


def refused(key: str, code: str) -> InjectedFault:
    return InjectedFault(Kind.REFUSE, key=key, code=code)


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


@pytest.mark.parametrize("most", ["1", "50%"])
def test_rows_under_a_key_of_other_content_count_as_failures(most: str, night: Night) -> None:
    """Rows that contradict what was delivered under their keys stop a run at --max-failures, before it sends any."""
    night.export("orders.csv", [order(1), order(2)])
    night.backfill("run", "orders")
    night.export("orders.csv", [*(order(number, trade_amount="7.77") for number in (1, 2)), order(3)])

    ended = night.backfill("run", "orders", "--max-failures", most)

    assert (ended.exit_code, night.fates()) == (4, ["invalid key_conflict"] * 2 + ["unsent stopped"])


@pytest.mark.parametrize("words", [("run", "orders"), ("resume", "last"), ("rerun", "last")])
def test_a_sqlite_ledger_is_sent_by_one_process(words: Sequence[str], night: Night) -> None:
    """More processes than one are refused before anything is done, with the reason."""
    night.export("orders.csv", [order(1)])
    before = sorted(night.folder.rglob("*"))

    ended = night.backfill(*words, "--processes", "2")

    assert ended == Ended(
        2, "", "backfill: --processes 2: with a SQLite ledger only one process sends; write 1, or leave it out\n"
    )
    assert sorted(night.folder.rglob("*")) == before


def test_one_process_may_be_asked_for(night: Night) -> None:
    """`--processes 1` sends as a run without the option does."""
    night.export("orders.csv", [order(1)])

    assert (night.backfill("run", "orders", "--processes", "1").exit_code, night.fates()) == (0, ["succeeded SUCCESS"])


@pytest.mark.parametrize("number", ["0", "65", "two"])
def test_a_number_of_processes_that_can_not_be(number: str, night: Night) -> None:
    """Anything but 1 to 64 is a usage error."""
    ended = night.command("run", "orders", "--processes", number)

    assert (ended.exit_code, "is not a whole number from 1 to 64" in ended.stderr) == (2, True)


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


@pytest.mark.parametrize(
    ("words", "exit_code", "messages"),
    [
        pytest.param(["run", "orders"], 2, "orders.csv is empty", id="an input"),
        pytest.param(["plan", "orders"], 2, "orders.csv is empty", id="a plan's input"),
        pytest.param(["show", "last"], 2, "there are no runs yet", id="no run"),
        pytest.param(["run", "orders", "--config", "no.toml"], 2, "no.toml: no config file", id="no config"),
    ],
)
def test_what_ends_a_command_is_a_log_line_too(words: list[str], exit_code: int, messages: str, night: Night) -> None:
    """With --log-format json the sentence that ends a command is an object like the others, of level error."""
    (night.folder / "orders.csv").touch()

    ended = night.backfill(*words, "--log-format", "json")

    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (ended.exit_code, lines[-1]["level"], lines[-1]["logger"]) == (exit_code, "error", "backfill")
    assert messages in lines[-1]["message"]


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the lines of an outcome file by its ending."""
    match path.suffix:
        case ".jsonl":
            return [json.loads(line) for line in path.read_text().splitlines()]
        case ".parquet":
            return pq.read_table(path, partitioning=None).to_pylist()
        case _:
            return list(read_csv(path))


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_the_outcome_file_comes_in_the_format_asked_for(form: str, night: Night) -> None:
    """--format names the ending of the one outcome file, and each holds the same lines."""
    night.export("orders.csv", [order(1), order(2, trade_amount="x")])

    night.backfill("run", "orders", "--format", form)

    (report,) = night.reports()
    files = sorted(path.name for path in report.iterdir())
    assert files == sorted([f"outcome.{form}", "report.html", "rows_to_fix.csv", "rows_to_fix.xlsx", "summary.json"])
    lines = lines_of(report / f"outcome.{form}")
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
    for name, messages in ((first[:6], "more than one run"), ("ZZZ", "is no run in this ledger")):
        ended = night.backfill("show", name)
        assert (ended.exit_code, messages in ended.stderr) == (2, True)


def test_plan_tells_what_a_run_would_do_and_leaves_nothing(night: Night) -> None:
    """Counts, the first problems, sample payloads and the time at the quota; no request, no ledger, no report."""
    night.export("points.csv", [*(balance(card, 100) for card in range(10)), balance(0, 7), balance(1, 1, openid="")])
    before = sorted(path.name for path in night.folder.iterdir())

    ended = night.backfill("plan", "points", "--json")

    messages = json.loads(ended.stdout)
    problems = messages.pop("problems")
    samples = messages.pop("samples")
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
        "inputs": [{"file": "points.csv", "rows": 12, "encoding": "utf-8"}],
        "ignored": [],
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
    assert [line.split() for line in ended.stdout.splitlines()[1:6]] == [
        ["orders.csv:", "2", "rows,", "utf-8"],
        ["rows", "2"],
        ["to", "send", "1"],
        ["skipped", "1"],
        ["invalid", "0"],
    ]
    assert (night.requests(), night.backfill("runs", "--json").stdout) == (["A1"], runs)
