"""Reports: written while the run still has its job's lease."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.assemble.reports.reporting import RunReport, summarise
from pipeline.errors import RunHeld, SettingsError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunState
from pipeline.ledger.store.lease import LEASE_SECONDS, LeaseOwner, this_process
from pipeline.report import OutcomeFormat, QuotaUse, Tally
from tests.ledger_runs.job_runs import JobRuns
from tests.ledger_runs.staged_rows import invalid, order
from tests.moved_clock import NOON, MovedClock

FAR = LeaseOwner(host="far", boot="boot", pid=1, began="1", namespace="one")
NO_PROGRESS = {"throttled": 0.0, "elapsed_s": 0.0, "sending_s": 0.0}


def test_a_run_keeps_its_job_while_its_report_is_written(tmp_path: Path) -> None:
    """During a long report, no other run of the job begins, and the run can be finished."""
    clock = MovedClock()
    ledger = Ledger(tmp_path / "backfill.db", clock, FAR)
    orders = JobRuns(lambda owner=FAR: ledger, clock=clock)
    run_ledger = orders.begin()
    orders.stage(run_ledger, [invalid("A")] * 2001)
    run_ledger.conclude(state=RunState.COMPLETED, reason=None, finished_at="", open_as=("", ""), progress=NO_PROGRESS)

    def take_long() -> None:
        clock.move(LEASE_SECONDS - 1)
        run_ledger.heartbeat()

    RunReport(ledger, tmp_path / "report", None).write(run_ledger.run, take_long)

    assert clock.now() - NOON > timedelta(seconds=2 * LEASE_SECONDS)
    other = Ledger(tmp_path / "backfill.db", clock, this_process())
    with pytest.raises(RunHeld):
        orders.begin(other)
    run_ledger.finish(3)
    assert other.find("last").exit_code == 3
    ledger.close()
    other.close()


def test_a_run_that_is_pruned_meanwhile_has_no_report(tmp_path: Path) -> None:
    """Its rows may be deleted before they are read, so no file appears."""
    clock = MovedClock()
    ledger = Ledger(tmp_path / "backfill.db", clock, FAR)
    orders = JobRuns(lambda owner=FAR: ledger, clock=clock)
    record = orders.run(*(order(f"{n}") for n in range(1500)))
    orders.run(order("last"))

    def prune() -> None:
        ledger.prune(runs_before=NOON + timedelta(days=9999), deliveries_before=None)

    with pytest.raises(SettingsError, match=record.run_id):
        RunReport(ledger, tmp_path / "report", OutcomeFormat.CSV).write(record, prune)
    assert list((tmp_path / "report").iterdir()) == []
    ledger.close()


@pytest.mark.parametrize(
    ("limit", "requests", "seconds", "per_second"),
    [
        pytest.param(5.0, 0, 0.0, 0.0, id="nothing was sent"),
        pytest.param(5.0, 1, 0.0, 5.0, id="one"),
        pytest.param(5.0, 5, 0.25, 5.0, id="all that the first second allows"),
        pytest.param(5.0, 6, 1.0, 5.0, id="the first of the next second"),
        pytest.param(5.0, 505, 100.0, 5.0, id="all that is allowed"),
        pytest.param(5.0, 400, 99.8, 4.0, id="less than is allowed"),
        pytest.param(0.5, 3, 4.0, 0.5, id="one in two seconds"),
    ],
)
def test_a_run_within_the_limit_reports_no_more(
    tmp_path: Path, limit: float, requests: int, seconds: float, per_second: float
) -> None:
    """Even a short run reports no more requests per second than the quota, and the matching fraction."""
    ledger = Ledger(tmp_path / "backfill.db", MovedClock(), FAR)
    run = replace(JobRuns(lambda owner=FAR: ledger).begin().run, limit_per_s=limit, sending_s=seconds)
    tally = Tally()
    tally.attempts = requests

    summary = summarise(ledger, run, tmp_path, tally)

    assert summary.sent_per_s == pytest.approx(per_second)
    assert summary.quota == QuotaUse(limit, summary.sent_per_s / limit, 0)
    ledger.close()
