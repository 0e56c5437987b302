"""A report is written while the run still holds its job."""

from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.assemble.reporting import report_on
from pipeline.errors import RunHeld
from pipeline.ledger.lease import LEASE_SECONDS, Holder, this_process
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunState
from tests.contract.nights import Nights
from tests.contract.staged_rows import invalid
from tests.moved_clock import NOON, MovedClock

FAR = Holder("far", "boot", 1, "1")
NO_PROGRESS = {"throttled": 0.0, "elapsed_s": 0.0, "sending_s": 0.0}


def test_a_run_keeps_its_job_while_its_report_is_written(tmp_path: Path) -> None:
    """However long a report takes to write, no other run of the job begins meanwhile, and the run can be finished."""
    clock = MovedClock()
    ledger = Ledger(tmp_path / "backfill.db", clock, FAR)
    orders = Nights(lambda holder=FAR: ledger, clock=clock)
    held = orders.begin()
    orders.stage(held, [invalid("A")] * 2001)
    held.conclude(state=RunState.COMPLETED, reason=None, finished_at="", open_as=("", ""), progress=NO_PROGRESS)

    def take_long() -> None:
        clock.move(LEASE_SECONDS - 1)
        held.keep_up()

    report_on(ledger, held.run, tmp_path / "report", None, tick=take_long)

    assert clock.now() - NOON > timedelta(seconds=2 * LEASE_SECONDS)
    other = Ledger(tmp_path / "backfill.db", clock, this_process())
    with pytest.raises(RunHeld):
        orders.begin(other)
    held.finish(3)
    assert other.find("last").exit_code == 3
    ledger.close()
    other.close()
