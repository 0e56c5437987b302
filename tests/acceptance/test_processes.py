"""A run that sends from several processes keeps every promise of one that sends from one."""

import json
import shutil
from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.simulator import Decision, Fault, Kind, When
from tests.acceptance.night import Night, balance, order, read_csv, refund

THREE = ("--processes", "3")
# What differs between two runs of the same rows.
_TIMES = ("run_id", "first_sent_at", "finished_at", "latency_ms", "trace_id")


def timeless(line: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in line.items() if name not in _TIMES}


def summed_up(summary: Any) -> Any:
    return [summary[name] for name in ("state", "exit_code", "rows", "counts", "codes", "attempts")]


def mixed_rows() -> list[dict[str, str]]:
    """Return rows of every fate, several of them in lanes of two or three."""
    rows = [order(number, user_id=f"208800000000{number % 7:04d}") for number in range(40)]
    rows += [refund(number, number, user_id=f"208800000000{number % 7:04d}") for number in range(6)]
    return [*rows, order(90, trade_amount="x"), order(91), order(91), order(92), refund(8, 92)]


def test_several_processes_report_what_one_does(night: Night) -> None:
    """Outcomes, counts and exit code are those of a run with one process, row by row; so is what was delivered."""
    faults = [
        Fault(Kind.REFUSE, key="A3", code="INVALID_PARAMETER"), Fault(Kind.REFUSE, key="A92", code="INVALID_PARAMETER"),
        Fault(Kind.LOSE_AFTER_APPLYING, key="A17"),
    ]  # fmt: skip
    night.export("orders.csv", mixed_rows())
    night.simulator.set_faults(faults)
    alone = night.backfill("run", "orders", "--processes", "1")
    lines, summary, sent = night.outcomes(), night.summary(), sorted(night.requests())
    shutil.rmtree(night.folder / "state")
    night.simulator.reset()
    night.simulator.set_faults(faults)

    spread = night.backfill("run", "orders", *THREE)

    assert (alone.exit_code, spread.exit_code) == (3, 3)
    assert list(map(timeless, night.outcomes())) == list(map(timeless, lines))
    assert (summed_up(night.summary()), sorted(night.requests())) == (summed_up(summary), sent)


def test_a_lane_is_carried_by_one_process_in_order(night: Night) -> None:
    """Rows of one user reach the platform in their order, whichever process takes them."""
    night.export("orders.csv", [order(number, agreement_no="A" * 20, user_id="2088000000000001") for number in range(9)]
                 + [order(number) for number in range(9, 30)])  # fmt: skip
    ended = night.backfill("run", "orders", *THREE)

    lane = [key for key in night.requests() if int(key[1:]) < 9]
    assert (ended.exit_code, lane) == (0, [f"A{number}" for number in range(9)])


def test_the_job_may_name_its_processes(night: Night) -> None:
    """`processes` of the job is what a run without the option has; a process that cannot begin shows that it was."""
    night.configure({"jobs.orders": {"processes": 2}})
    night.export("orders.csv", [order(number) for number in range(8)])

    ended = night.command("run", "orders", environ={"PYTHONPROFILEIMPORTTIME": "1"})

    # The command itself and two crews each import the writer once.
    assert (ended.exit_code, ended.stderr.count("pipeline.write.delivery\n")) == (0, 3)
    assert len(night.requests()) == 8


@pytest.mark.parametrize("number", ["0", "65", "two"])
def test_a_number_of_processes_that_can_not_be(number: str, night: Night) -> None:
    """Anything but 1 to 64 is a usage error."""
    ended = night.command("run", "orders", "--processes", number)

    assert (ended.exit_code, "is not a whole number from 1 to 64" in ended.stderr) == (2, True)


def test_a_caller_who_is_refused_costs_three_requests_at_most(night: Night) -> None:
    """Until the platform has accepted a row only one process sends, one request at a time."""
    night.export("orders.csv", [order(number) for number in range(30)])
    night.simulator.set_faults([Fault(Kind.STATUS, status=401)])

    ended = night.backfill("run", "orders", *THREE)

    assert (ended.exit_code, night.fates(), 1 <= len(night.requests()) <= 3) == (4, ["unsent stopped"] * 30, True)


def test_answers_that_never_verify_stop_the_run(night: Night) -> None:
    """Three answers in a row that can't be trusted stop all processes, though each has seen but some of them."""
    night.export("orders.csv", [order(number) for number in range(30)])
    night.simulator.set_faults([Fault(Kind.BAD_SIGNATURE)])

    ended = night.backfill("run", "orders", *THREE)

    counts = night.summary()["counts"]
    assert (ended.exit_code, counts["unknown"] + counts["unsent"]) == (4, 30)
    assert 1 <= counts["unknown"] <= len(night.requests()) <= 6


def test_too_many_failures_stop_all_processes(night: Night) -> None:
    """--max-failures counts the failures of all processes; at most what is in flight is sent beyond it."""
    night.configure({"jobs.orders": {"concurrency": 3}})
    night.export("orders.csv", [order(number) for number in range(60)])
    night.simulator.set_faults([Fault(Kind.REFUSE, key="A[1-9]*", code="INVALID_PARAMETER")])

    ended = night.backfill("run", "orders", "--max-failures", "5", *THREE)

    counts = night.summary()["counts"]
    assert (ended.exit_code, counts["succeeded"], counts["rejected"] + counts["unsent"]) == (4, 1, 59)
    assert 6 <= counts["rejected"] <= 6 + 3
    assert "rows failed, more than --max-failures allows" in ended.stdout


def test_an_outage_costs_no_row_and_few_requests(night: Night) -> None:
    """While the platform is down one request of all processes probes; once it is back every row goes out."""
    night.export("orders.csv", [order(number) for number in range(40)])
    night.configure({"jobs.orders": {"max_attempts": 6, "concurrency": 6}})
    night.simulator.set_faults([Fault(Kind.STATUS, key="A[1-9]*", status=503, until_seconds=2.5)])

    ended = night.backfill("run", "orders", *THREE)

    failed = night.simulator.journal.decided(Decision.UNTOUCHED)
    assert (ended.exit_code, night.fates()) == (0, ["succeeded SUCCESS"] * 40)
    assert len(failed) <= 6 + 6


def test_an_outage_without_end_stops_all_processes(night: Night) -> None:
    """After outage_limit_s the run stops with exit 4; resume, with other processes, sends everything once."""
    night.export("orders.csv", [order(number) for number in range(20)])
    night.configure({"jobs.orders": {"outage_limit_s": 2, "max_attempts": 6}})
    night.simulator.set_faults([Fault(Kind.STATUS, status=502, when=When.AFTER_APPLYING)])

    ended = night.backfill("run", "orders", *THREE)
    requests = len(night.requests())
    night.simulator.set_faults([])
    resumed = night.backfill("resume", "last", "--processes", "2")

    assert (ended.exit_code, requests <= 25, resumed.exit_code) == (4, True, 0)
    assert sorted(night.simulator.journal.applied_keys()) == sorted(f"A{number}" for number in range(20))


def test_a_rerun_may_have_processes_too(night: Night) -> None:
    """What a run left unknown goes out again from several processes, under the same keys."""
    night.export("orders.csv", [order(number) for number in range(12)])
    night.simulator.set_faults([Fault(Kind.LOSE_AFTER_APPLYING, key="A[67]")])

    ended = night.backfill("run", "orders", *THREE)
    unknown = [fate for fate in night.fates() if fate != "succeeded SUCCESS"]
    night.simulator.set_faults([])
    rerun = night.backfill("rerun", "last", *THREE)

    assert (ended.exit_code, unknown) == (3, ["unknown connection_lost"] * 2)
    assert (rerun.exit_code, night.fates()) == (0, ["succeeded SUCCESS"] * 2)
    assert sorted(night.simulator.journal.applied_keys()) == sorted(f"A{number}" for number in range(12))


def test_the_quota_holds_over_all_processes(night: Night) -> None:
    """Three processes together never make a sixth request within a second, but for what a busy server is late by."""
    night.export("points.csv", [balance(number, 100) for number in range(16)])

    ended = night.backfill("run", "points", "--json", *THREE)

    arrived = sorted(entry.steady for entry in night.simulator.journal.entries)
    assert (ended.exit_code, json.loads(ended.stdout)["counts"]["succeeded"]) == (0, 16)
    assert min(later - first for first, later in zip(arrived, arrived[5:], strict=False)) >= 0.9


def test_a_night_without_rows_needs_no_answer(night: Night) -> None:
    """A run of no rows ends as with one process."""
    night.export("orders.csv", [order(1)])
    (night.folder / "orders.csv").write_text(",".join(order(1)) + "\n", encoding="utf-8")

    ended = night.backfill("run", "orders", *THREE)

    assert (ended.exit_code, read_csv(night.reports()[-1] / "outcome.csv")) == (0, [])
